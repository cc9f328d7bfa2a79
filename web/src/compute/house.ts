// A worker's blocks: kept while a loaded area needs them, and after that as long as there is room.
import { Lru, PageError } from "../base";
import type { Window } from "../geo";
import type { Piece } from "../store";

/** A block in memory. */
export interface Held extends Piece {
  readonly valid: number; // pixels with data, inside the area or not
}

interface Entry {
  readonly held: Held;
  users: number;
}

export const nameOf = ({ zone, row, col, height, width }: Window): string => `${zone} ${row} ${col} ${height} ${width}`;

export const bytesOf = (window: Window, dims: number): number => window.height * window.width * (dims + 4);

export class House {
  limit: number;
  readonly #used = new Map<string, Entry>();
  readonly #idle: Lru<Held>;
  #bytes = 0; // of those in use
  #coming = 0; // of those that are being read

  constructor(limit: number) {
    this.limit = limit;
    this.#idle = new Lru<Held>(limit);
  }

  /** A block for one more user, undefined where it is not here. */
  take(key: string): Held | undefined {
    const entry = this.#used.get(key);
    if (entry) {
      entry.users++;
      return entry.held;
    }
    const idle = this.#idle.get(key);
    if (idle === undefined) return undefined;
    this.#idle.drop(key);
    this.#use(key, idle);
    return idle;
  }

  /** Make room for what is about to be read; `settle` it afterwards. */
  reserve(bytes: number): void {
    if (this.#bytes + this.#coming + bytes > this.limit) {
      const [wanted, limit] = [this.#bytes + this.#coming + bytes, this.limit].map((size) => Math.ceil(size / 2 ** 20));
      throw new PageError(
        "refused",
        `the area needs more memory than the page may use (${wanted} of ${limit} MB in this worker); ` +
          "choose a smaller area, fewer dims, or raise the limit in the settings",
      );
    }
    this.#coming += bytes;
    this.#fit();
  }

  settle(bytes: number): void {
    this.#coming -= bytes;
  }

  /** Keep a block for its reader; the one that came first, where another read it at the same time. */
  put(key: string, held: Held): Held {
    const known = this.take(key);
    if (known) return known;
    this.#use(key, held);
    this.#fit();
    return held;
  }

  give(key: string): void {
    const entry = this.#used.get(key);
    if (entry === undefined || --entry.users > 0) return;
    this.#used.delete(key);
    const bytes = bytesOf(entry.held.window, entry.held.dims);
    this.#bytes -= bytes;
    this.#fit();
    this.#idle.put(key, entry.held, bytes);
  }

  clear(): void {
    this.#used.clear();
    this.#idle.clear();
    this.#bytes = 0;
  }

  #use(key: string, held: Held): void {
    this.#used.set(key, { held, users: 1 });
    this.#bytes += bytesOf(held.window, held.dims);
  }

  #fit(): void {
    this.#idle.limit = Math.max(0, this.limit - this.#bytes - this.#coming);
    this.#idle.trim();
  }
}
