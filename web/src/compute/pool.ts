// The page's workers: each owns the blocks that fall to it by their place.
import { isCancelled, type Running } from "../base";
import type { Window } from "../geo";
import { ROW_WIDTH } from "./blocks";
import type { WorkerCalls } from "./calls";
import { Caller, type Options, type Port } from "./rpc";

const MOST_WORKERS = 4;
const GRID = 256; // pixels: rows of blocks

export interface Hand extends Port {
  terminate(): void;
  addEventListener(kind: "message" | "error" | "messageerror", got: (event: MessageEvent) => void): void;
}

export type Spawn = () => Hand;

export const spawnWorker: Spawn = () =>
  new Worker(new URL("./blocks.worker.ts", import.meta.url), { type: "module", name: "blocks" });

export function workersWanted(): number {
  return Math.max(1, Math.min(MOST_WORKERS, globalThis.navigator?.hardwareConcurrency ?? 1));
}

export class Pool {
  readonly #hands: Hand[];
  readonly callers: readonly Caller<WorkerCalls>[];

  constructor(count: number, spawn: Spawn) {
    this.#hands = Array.from({ length: count }, spawn);
    this.callers = this.#hands.map((hand) => {
      const caller = new Caller<WorkerCalls>(hand);
      const broke = () => caller.break("a worker of the page stopped, perhaps for lack of memory; reload the page");
      hand.addEventListener("error", broke);
      hand.addEventListener("messageerror", broke);
      return caller;
    });
  }

  /** The number of the worker that owns a window. */
  ownerOf({ zone, row, col }: Window): number {
    return (Math.floor(row / GRID) + Math.floor(col / ROW_WIDTH) + zone) % this.callers.length;
  }

  /** Items by the worker that owns their window. */
  split<Item>(items: readonly Item[], windowOf: (item: Item) => Window): Item[][] {
    const mine: Item[][] = this.callers.map(() => []);
    for (const item of items) mine[this.ownerOf(windowOf(item))]?.push(item);
    return mine;
  }

  /** A call to each worker; when one fails the others are cancelled, and the first error is thrown once all ended. */
  async each<Result>(
    running: Running,
    call: (caller: Caller<WorkerCalls>, options: Options<never>, number: number) => Promise<Result> | undefined,
  ): Promise<(Result | undefined)[]> {
    const stop = new AbortController();
    const cancel = () => stop.abort();
    if (running.signal?.aborted) cancel();
    running.signal?.addEventListener("abort", cancel, { once: true });
    const ends = await Promise.allSettled(
      this.callers.map(async (caller, number) => {
        try {
          return await call(caller, { signal: stop.signal }, number);
        } catch (error) {
          stop.abort();
          throw error;
        }
      }),
    );
    running.signal?.removeEventListener("abort", cancel);
    const errors = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
    if (errors.length > 0) throw errors.find((error) => !isCancelled(error)) ?? errors[0];
    return ends.map((end) => (end.status === "fulfilled" ? end.value : undefined));
  }

  close(): void {
    for (const hand of this.#hands) hand.terminate();
    for (const caller of this.callers) caller.break("the store was closed");
  }
}
