// A zip of a store: its list of contents is read first, then parts of entries. Packed entries are unpacked within bounds.
import { Lru, PageError, crc32, shown } from "../base";
import { BlobFiles, storeRoot, type Content } from "./blobs";
import { readEntries, type ZipEntry } from "./entries";

const LOCAL = 0x04034b50;
/** Deflate packs at most 1,032 to 1: an entry that claims more is no honest one. */
const MOST_RATIO = 1032;
const MOST_UNPACKED = 256 * 2 ** 20;
const KEPT = 256 * 2 ** 20;

export class ZipFiles extends BlobFiles {
  readonly #file: Blob;
  readonly #entries: ReadonlyMap<string, ZipEntry>;
  readonly #root: string;
  readonly #version: string;
  readonly #unpacked = new Lru<Promise<Blob>>(KEPT);

  private constructor(file: File, entries: ReadonlyMap<string, ZipEntry>) {
    super(file.name, `zip:${file.name}:${file.size}:${file.lastModified}`);
    this.#file = file;
    this.#entries = entries;
    this.#root = storeRoot(entries.keys()) ?? "";
    this.#version = `${file.size}-${file.lastModified}`;
  }

  static async open(file: File): Promise<ZipFiles> {
    return new ZipFiles(file, await readEntries(file, shown(file.name)));
  }

  protected async find(key: string): Promise<Content | undefined> {
    const entry = this.#entries.get(this.#root + key);
    if (entry === undefined) return undefined;
    return { blob: await this.#blob(key, entry), version: this.#version };
  }

  async #blob(key: string, entry: ZipEntry): Promise<Blob> {
    if (entry.method === "stored") return this.#raw(key, entry);
    const known = this.#unpacked.get(key);
    if (known) return known;
    const made = this.#raw(key, entry).then((blob) => this.#unpack(key, entry, blob));
    this.#unpacked.put(key, made, entry.size + 100);
    made.catch(() => this.#unpacked.drop(key));
    return made;
  }

  /** The bytes of an entry as they lie in the file, behind a header whose length only it tells. */
  async #raw(key: string, entry: ZipEntry): Promise<Blob> {
    const head = await bytesOf(this.#file, entry.offset, entry.offset + 30);
    const view = new DataView(head.buffer);
    if (head.length < 30 || view.getUint32(0, true) !== LOCAL) {
      throw new PageError("corrupt", `${this.name}: the zip file is damaged at ${shown(key)}`);
    }
    const start = entry.offset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
    const end = start + entry.packed;
    if (end > this.#file.size) throw new PageError("corrupt", `${this.name}: the zip file ends within ${shown(key)}`);
    return this.#file.slice(start, end);
  }

  async #unpack(key: string, entry: ZipEntry, packed: Blob): Promise<Blob> {
    const where = `${this.name}/${shown(key)}`;
    if (entry.size > MOST_UNPACKED || entry.size > entry.packed * MOST_RATIO + 64) {
      throw new PageError(
        "refused",
        `${where} unpacks to ${entry.size} bytes; expected at most ${MOST_UNPACKED}. Make the zip without compression`,
      );
    }
    const out = new Uint8Array(entry.size);
    let size = 0;
    try {
      const reader = packed.stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (size + next.value.length > entry.size) {
          await reader.cancel();
          throw new PageError("corrupt", `${where} unpacks to more than the ${entry.size} bytes that it claims`);
        }
        out.set(next.value, size);
        size += next.value.length;
      }
    } catch (error) {
      if (error instanceof PageError) throw error;
      throw new PageError("corrupt", `${where} cannot be unpacked; the zip file is damaged`, { cause: error });
    }
    if (size !== entry.size || crc32(out) !== entry.crc) {
      throw new PageError("corrupt", `${where}: its checksum does not fit; the zip file is damaged`);
    }
    return new Blob([out]);
  }
}

async function bytesOf(file: Blob, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.slice(start, end).arrayBuffer());
  } catch (error) {
    throw new PageError("changed", "the zip file was changed or removed; open it again", { cause: error });
  }
}
