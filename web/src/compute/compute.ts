import { PageError, type Running } from "../base";
import type { Area, Window } from "../geo";
import { openStore, type Store } from "../store";
import { filesOf } from "./address";
import type { LoadedWindow } from "./calls";
import { bytesOf } from "./house";
import { LoadedArea } from "./loaded";
import { Pool, spawnWorker, workersWanted, type Spawn } from "./pool";
import type { Compute, Loaded, StoreAddress } from "./types";

const MEMORY = 1e9; // bytes

export interface ComputeSettings {
  readonly workers?: number;
  readonly memory?: number; // bytes of blocks, of all workers together
  readonly kernels?: "wasm" | "js";
  readonly spawn?: Spawn;
}

/** Start the page's workers. */
export async function startCompute(settings: ComputeSettings = {}): Promise<Compute> {
  const pool = new Pool(settings.workers ?? workersWanted(), settings.spawn ?? spawnWorker);
  const limit = (settings.memory ?? MEMORY) / pool.callers.length;
  const names = await pool.each({}, (caller, options) =>
    caller.call("start", { limit, kernels: settings.kernels }, options),
  );
  return new PoolCompute(pool, names.includes("js") ? "js" : "wasm", limit);
}

class PoolCompute implements Compute {
  readonly kernels: "wasm" | "js";
  readonly #pool: Pool;
  readonly #limit: number;
  #open: { readonly address: StoreAddress; readonly store: Store; ready: Promise<unknown> | undefined } | undefined;
  #next = 1;

  constructor(pool: Pool, kernels: "wasm" | "js", limit: number) {
    this.#pool = pool;
    this.kernels = kernels;
    this.#limit = limit;
  }

  async open(address: StoreAddress, running: Running = {}): Promise<Store> {
    const store = await openStore(await filesOf(address), running);
    this.#open = { address, store, ready: undefined };
    return store;
  }

  async load(area: Area, year: number, dims: number, running: Running = {}): Promise<Loaded> {
    const open = this.#open;
    if (open === undefined) throw new PageError("input", "no store is open; expected one");
    const { store, address } = open;
    if (!store.years.includes(year)) {
      throw new PageError("input", `the store has no year ${year}; it has ${store.years.join(", ") || "none yet"}`);
    }
    const windows = store.plan(area);
    const total = windows.reduce((sum, { height, width }) => sum + height * width, 0);
    const split = this.#pool.split(windows, (window) => window);
    this.#check(split, dims);
    running.progress?.(0, total, "pixels");
    // workers open the store when they first need it; one that failed is tried again
    open.ready ??= this.#pool
      .each({}, (caller, options) => caller.call("open", { address }, options))
      .catch((error: unknown) => {
        open.ready = undefined;
        throw error;
      });
    await open.ready;
    const id = this.#next++;
    const found = new Map<string, LoadedWindow>();
    const keyOf = ({ zone, row, col }: LoadedWindow["window"]) => `${zone} ${row} ${col}`;
    let done = 0;
    const part = (window: LoadedWindow) => {
      found.set(keyOf(window.window), window);
      done += window.window.height * window.window.width;
      running.progress?.(done, total, "pixels");
    };
    try {
      await this.#pool.each(running, (caller, options, number) =>
        caller.call("load", { loaded: id, area, windows: split[number] ?? [], year, dims }, { ...options, part }),
      );
    } catch (error) {
      for (const caller of this.#pool.callers) void caller.call("release", { loaded: id }).catch(() => undefined);
      throw error;
    }
    const held = windows.flatMap((window) => found.get(keyOf(window)) ?? []);
    return new LoadedArea({ id, area, year, dims, windows: held }, this.#pool, store);
  }

  close(): void {
    this.#pool.close();
  }

  /** Before anything is fetched: whether each worker can hold its part. */
  #check(split: readonly (readonly Window[])[], dims: number): void {
    const sizes = split.map((windows) => windows.reduce((sum, window) => sum + bytesOf(window, dims), 0));
    if (Math.max(...sizes) <= this.#limit) return;
    const count = split.length;
    const [wanted, most] = [Math.max(...sizes) * count, this.#limit * count].map((size) => Math.ceil(size / 1e6));
    const side = Math.floor(Math.sqrt((this.#limit * count) / (dims + 4)) / 100);
    throw new PageError(
      "refused",
      `the area takes ${wanted} MB of memory; the page may use ${most} MB. Choose a smaller one, up to about ` +
        `${side} x ${side} km, or fewer dims, or raise the limit in the settings`,
    );
  }
}
