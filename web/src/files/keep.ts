// Cache storage as a place for parts of files: workers and the page share it, the oldest go when it is full.
import type { Keep } from "./cached";

const NAME = "tessera-parts-1";
const MOST = 2e9; // bytes
const SHARE = 0.25; // of what the browser grants this origin
const SWEEP = 64e6; // bytes written between two looks at what there is
const ROOT = "https://parts.invalid/";

/** Undefined where the browser has no cache storage, as on plain http of another machine. */
export async function openKeep(limit?: number): Promise<Keep | undefined> {
  if (!("caches" in globalThis)) return undefined;
  try {
    const estimate = await globalThis.navigator?.storage?.estimate?.();
    const granted = SHARE * (estimate?.quota ?? MOST / SHARE);
    return new StoredParts(await caches.open(NAME), limit ?? Math.min(MOST, granted));
  } catch {
    return undefined;
  }
}

/** Forget everything that was kept. */
export async function forgetKept(): Promise<void> {
  if ("caches" in globalThis) await caches.delete(NAME);
}

class StoredParts implements Keep {
  readonly #cache: Cache;
  readonly #limit: number;
  #written = SWEEP; // so that the first write looks
  #isFull = false;

  constructor(cache: Cache, limit: number) {
    this.#cache = cache;
    this.#limit = limit;
  }

  async get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    try {
      const found = await this.#cache.match(ROOT + encodeURIComponent(name), { ignoreSearch: true });
      return found && new Uint8Array(await found.arrayBuffer());
    } catch {
      return undefined;
    }
  }

  async put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#isFull || bytes.length > this.#limit / 4) return;
    this.#written += bytes.length;
    if (this.#written >= Math.min(SWEEP, this.#limit / 4)) {
      this.#written = 0;
      await this.#sweep();
    }
    const url = ROOT + encodeURIComponent(name);
    try {
      // of one name there is one entry, whatever its size was
      await this.#cache.delete(url, { ignoreSearch: true });
      await this.#cache.put(`${url}?${bytes.length}`, new Response(bytes));
    } catch {
      this.#isFull = true; // the browser gives no more
    }
  }

  /** Names come in the order in which they were written; their sizes stand in them. */
  async #sweep(): Promise<void> {
    const names = await this.#cache.keys();
    const sizes = names.map(({ url }) => Number(new URL(url).search.slice(1)) || 0);
    let total = sizes.reduce((sum, size) => sum + size, 0);
    for (let k = 0; k < names.length && total > 0.75 * this.#limit; k++) {
      const name = names[k];
      if (name) await this.#cache.delete(name);
      total -= sizes[k] ?? 0;
    }
  }
}
