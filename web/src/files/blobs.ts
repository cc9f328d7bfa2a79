// Files that lie on the user's disk: parts of blobs, whose version is their size and time.
import { PageError, checkCancelled, type Running } from "../base";
import type { Files, Piece, Range } from "./types";

/** Bytes of one file and its version. */
export interface Content {
  readonly blob: Blob;
  readonly version: string;
}

export abstract class BlobFiles implements Files {
  readonly name: string;
  readonly identity: string;
  readonly #pins = new Map<string, string>();

  constructor(name: string, identity: string) {
    this.name = name;
    this.identity = identity;
  }

  /** The content of a key, undefined where there is no such file. */
  protected abstract find(key: string): Promise<Content | undefined>;

  async get(key: string, most: number, running: Running = {}): Promise<Piece> {
    const { blob, version } = await this.#content(key, running);
    if (blob.size > most) {
      throw new PageError("refused", `${this.name}/${key} has ${blob.size} bytes; expected at most ${most}`);
    }
    return { bytes: await this.#read(key, blob), size: blob.size, etag: version };
  }

  async range(key: string, range: Range, running: Running = {}): Promise<Piece> {
    const { blob, version } = await this.#content(key, running);
    const { size } = blob;
    const start = "suffix" in range ? Math.max(0, size - range.suffix) : range.offset;
    const end = "suffix" in range ? size : start + range.length;
    if (end > size) {
      throw new PageError("corrupt", `${this.name}/${key} ends after ${size} bytes; expected ${end} or more`);
    }
    return { bytes: await this.#read(key, blob.slice(start, end)), size, etag: version };
  }

  async #content(key: string, { signal }: Running): Promise<Content> {
    checkCancelled(signal);
    const found = await this.find(key);
    checkCancelled(signal);
    if (found === undefined) throw new PageError("missing", `${this.name}/${key} is not there`);
    const known = this.#pins.get(key) ?? found.version;
    if (known !== found.version) {
      this.#pins.delete(key);
      throw new PageError("changed", `${this.name}/${key} was replaced while it was read; try again`);
    }
    this.#pins.set(key, known);
    return found;
  }

  async #read(key: string, blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await blob.arrayBuffer());
    } catch (error) {
      // a browser refuses to read a file that was changed since it was chosen
      throw new PageError("changed", `${this.name}/${key} was changed or removed; open the store again`, {
        cause: error,
      });
    }
  }
}

/** A key that stays below its folder: no empty part, none that leads up. */
export function isPlainKey(key: string): boolean {
  return key.length <= 1000 && !/[\\\0]/.test(key) && key.split("/").every((part) => !["", ".", ".."].includes(part));
}

/**
 * The folder, within what was chosen, that holds the store: the only one at the least depth with a document of a store.
 * Undefined where there is none, or more than one.
 */
export function storeRoot(keys: Iterable<string>): string | undefined {
  const DEPTH = 3;
  const roots = new Map<number, Set<string>>();
  for (const key of keys) {
    const parts = key.split("/");
    const name = parts.pop();
    if ((name !== "tessera.json" && name !== "zarr.json") || parts.length > DEPTH) continue;
    const found = roots.get(parts.length) ?? new Set();
    roots.set(parts.length, found.add(parts.map((part) => `${part}/`).join("")));
  }
  const least = Math.min(...roots.keys());
  const found = [...(roots.get(least) ?? [])];
  return found.length === 1 ? found[0] : undefined;
}
