// Files by URL that are kept in the browser: parts of one version are read again without the network, and with the
// network off what was read before is there.
import { PageError, isCancelled, type Running } from "../base";
import type { Asking, Files, Piece, Range } from "./types";

/** Bytes by name, kept beyond a reload. What fails is as if it were not there. */
export interface Keep {
  get(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  put(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

const MOST_PENDING = 6; // writes under way; more are not kept, so that reading never waits for a disk
const HEAD = 1024;

export class CachedFiles implements Files {
  readonly name: string;
  readonly identity: string;
  readonly #files: Files;
  readonly #keep: Keep;
  readonly #versions = new Map<string, string>();
  #pending = 0;

  constructor(files: Files, keep: Keep) {
    this.#files = files;
    this.#keep = keep;
    this.name = files.name;
    this.identity = files.identity;
  }

  get(key: string, most: number, running: Running = {}): Promise<Piece> {
    return this.#fresh(`${key} whole`, key, () => this.#files.get(key, most, running));
  }

  async range(key: string, range: Range, asking: Asking = {}): Promise<Piece> {
    const part = "suffix" in range ? `last ${range.suffix}` : `${range.offset} ${range.length}`;
    const version = this.#versions.get(key);
    if (version === undefined || asking.fresh === true) {
      return this.#fresh(`${key} ${part}`, key, () => this.#files.range(key, range, asking));
    }
    const name = this.#name(`${key} ${part} ${version}`);
    const kept = await this.#keep.get(name);
    if (kept !== undefined) return { bytes: kept, etag: version };
    const piece = await this.#call(key, () => this.#files.range(key, range, asking));
    if (piece.etag === version) this.#put(name, piece.bytes);
    return piece;
  }

  /** From the network, and what was kept only where it cannot be reached. */
  async #fresh(part: string, key: string, ask: () => Promise<Piece>): Promise<Piece> {
    const name = this.#name(part);
    try {
      const piece = await this.#call(key, ask);
      this.#note(key, piece.etag);
      if (isStrong(piece.etag)) this.#put(name, pack(piece));
      return piece;
    } catch (error) {
      if (isCancelled(error) || !(error instanceof PageError)) throw error;
      if (error.kind === "missing") this.#put(name, pack(undefined));
      if (error.kind !== "load") throw error;
      const kept = await this.#keep.get(name);
      const piece = kept && unpack(kept);
      if (piece === undefined) throw error;
      if (piece === "missing")
        throw new PageError("missing", `${this.name}/${key} was not there when it was last read`);
      this.#note(key, piece.etag);
      return piece;
    }
  }

  async #call(key: string, ask: () => Promise<Piece>): Promise<Piece> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof PageError && error.kind === "changed") this.#versions.delete(key);
      throw error;
    }
  }

  #note(key: string, etag: string | undefined): void {
    if (etag !== undefined && isStrong(etag)) this.#versions.set(key, etag);
    else this.#versions.delete(key);
  }

  #name(part: string): string {
    return `${this.identity} ${part}`;
  }

  #put(name: string, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#pending >= MOST_PENDING) return;
    this.#pending++;
    void this.#keep
      .put(name, bytes)
      .catch(() => undefined)
      .finally(() => this.#pending--);
  }
}

const isStrong = (etag: string | undefined): boolean => etag !== undefined && etag.startsWith('"');

/** A piece with its version and size in a head of fixed length; a head that is empty says that nothing was there. */
function pack(piece: Piece | undefined): Uint8Array<ArrayBuffer> {
  const about = piece ? JSON.stringify({ etag: piece.etag, size: piece.size }) : "";
  const head = new TextEncoder().encode(about);
  if (head.length > HEAD) return new Uint8Array(0);
  const out = new Uint8Array(HEAD + (piece?.bytes.length ?? 0));
  out.set(head);
  if (piece) out.set(piece.bytes, HEAD);
  return out;
}

function unpack(kept: Uint8Array<ArrayBuffer>): Piece | "missing" | undefined {
  if (kept.length < HEAD) return undefined;
  const text = new TextDecoder().decode(kept.subarray(0, HEAD)).replace(/\0+$/, "");
  if (text === "") return "missing";
  try {
    const about: unknown = JSON.parse(text);
    if (typeof about !== "object" || about === null) return undefined;
    const bytes = kept.slice(HEAD);
    const [etag, size]: unknown[] = [Reflect.get(about, "etag"), Reflect.get(about, "size")];
    return {
      bytes,
      ...(typeof etag === "string" ? { etag } : {}),
      ...(typeof size === "number" ? { size } : {}),
    };
  } catch {
    return undefined;
  }
}
