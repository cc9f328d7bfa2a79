/** What was used last stays, up to a number of bytes; what goes is told to `gone`. */
export class Lru<Value> {
  #kept = new Map<string, { readonly value: Value; readonly bytes: number }>();
  #bytes = 0;
  limit: number;
  readonly gone: (key: string, value: Value) => void;

  constructor(limit: number, gone: (key: string, value: Value) => void = () => undefined) {
    this.limit = limit;
    this.gone = gone;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#kept.size;
  }

  get(key: string): Value | undefined {
    const entry = this.#kept.get(key);
    if (entry === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    return entry.value;
  }

  /** Keep a value; one that is larger than the limit alone is not kept. */
  put(key: string, value: Value, bytes: number): void {
    this.drop(key);
    if (bytes > this.limit) {
      this.gone(key, value);
      return;
    }
    this.#kept.set(key, { value, bytes });
    this.#bytes += bytes;
    this.trim();
  }

  /** Drop what was used longest ago until the rest is within the limit. */
  trim(): void {
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.limit) break;
      this.drop(oldest);
    }
  }

  drop(key: string): void {
    const entry = this.#kept.get(key);
    if (entry === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= entry.bytes;
    this.gone(key, entry.value);
  }

  clear(): void {
    for (const key of [...this.#kept.keys()]) this.drop(key);
  }
}
