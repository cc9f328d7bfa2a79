const SLICE = 24; // milliseconds of work between two looks at messages

/** Lets the worker see a message, such as a cancel, when some milliseconds have passed. */
export class Pauses {
  private since = performance.now();

  private readonly signal: AbortSignal | undefined;

  constructor(signal?: AbortSignal) {
    this.signal = signal;
    signal?.throwIfAborted();
  }

  async maybe(): Promise<void> {
    if (performance.now() - this.since < SLICE) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.signal?.throwIfAborted();
    this.since = performance.now();
  }
}
