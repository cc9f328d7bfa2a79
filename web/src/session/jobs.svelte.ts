import { isCancelled, PageError, type Running } from "../base";

/** What the page is at. The root element shows it as data-state, and tests wait for it. */
export type Doing = "opening" | "loading" | "classifying" | "scoring" | "learning" | "exporting" | "working";

export interface Problem {
  readonly title: string;
  readonly message: string;
  readonly retry?: () => void;
}

export class Job {
  readonly title: string;
  readonly doing: Doing;
  done = $state(0);
  total = $state(0);
  unit = $state("");
  readonly cancel: () => void;

  constructor(doing: Doing, title: string, cancel: () => void) {
    this.doing = doing;
    this.title = title;
    this.cancel = cancel;
  }
}

/** Long work: each piece has a bar and a button that ends it, and an error in words with another try. */
export class Jobs {
  list = $state.raw<readonly Job[]>([]);
  problem = $state.raw<Problem | undefined>();
  readonly doing: Doing | "idle" | "error" = $derived(this.list.at(-1)?.doing ?? (this.problem ? "error" : "idle"));
  private readonly lanes = new Map<string, AbortController>();

  /**
   * Runs work and gives its result; undefined where it was cancelled or failed. Work of the same `lane` that still runs
   * is cancelled first: a new click is what counts.
   */
  async run<T>(
    doing: Doing,
    title: string,
    work: (running: Required<Running>) => Promise<T>,
    { lane = doing, retry }: { lane?: string; retry?: () => void } = {},
  ): Promise<T | undefined> {
    this.lanes.get(lane)?.abort();
    const control = new AbortController();
    this.lanes.set(lane, control);
    const job = new Job(doing, title, () => control.abort());
    this.list = [...this.list, job];
    this.problem = undefined;
    try {
      const result = await work({
        signal: control.signal,
        progress: (done, total, unit) => {
          [job.done, job.total, job.unit] = [done, total, unit];
        },
      });
      return control.signal.aborted ? undefined : result;
    } catch (error) {
      if (!isCancelled(error) && !control.signal.aborted) this.fail(title, error, retry);
      return undefined;
    } finally {
      this.list = this.list.filter((each) => each !== job);
      if (this.lanes.get(lane) === control) this.lanes.delete(lane);
    }
  }

  fail(title: string, error: unknown, retry?: () => void): void {
    const message = error instanceof PageError ? error.message : `This should not happen: ${String(error)}`;
    if (!(error instanceof PageError)) console.error(error);
    this.problem = retry ? { title, message, retry } : { title, message };
  }

  cancelAll(): void {
    for (const control of this.lanes.values()) control.abort();
  }
}
