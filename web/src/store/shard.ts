// One version of one shard: its index, verified chunks, and pixels by exact ranges; src/tessera/shards/shard.py.
import { Lru, PageError, inParallel, type Running } from "../base";
import type { Files, Range } from "../files";
import { decodeChunk, decodeIndex, type ShardIndex } from "./codec";
import { indexBytes, pixelBytes, sideOf, type ShardFormat } from "./layout";
import { joinRanges, type Run } from "./runs";

const INDEX_BYTES = 64 * 2 ** 20;
/** An index is used so long without asking: reads of bytes notice a change, only an absent chunk can be missed. */
const INDEX_MS = 300_000;
const ABSENT_MS = 60_000;
const AT_ONCE = 8;
/** Bytes that may lie unused between two pixels or chunks of one request: about what a request takes. */
const POINT_GAP = 512;
const CHUNK_GAP = 32 * 1024;
const CHUNK_WASTE = 0.25;

export interface Shard {
  readonly key: string;
  readonly form: ShardFormat;
  readonly index: ShardIndex;
  readonly etag: string | undefined;
}

interface Kept {
  readonly shard: Promise<Shard | undefined>;
  readonly until: number;
}

export class Shards {
  readonly files: Files;
  readonly #kept = new Lru<Kept>(INDEX_BYTES);

  constructor(files: Files) {
    this.files = files;
  }

  where(key: string): string {
    return `${this.files.name}/${key}`;
  }

  /** Open shards of one place: all from memory, or all anew, so that none is older than another. */
  openAll(
    wanted: readonly (readonly [key: string, form: ShardFormat])[],
    running: Running,
  ): Promise<(Shard | undefined)[]> {
    const kept = wanted.map(([key]) => this.#kept.get(key));
    const isFresh = kept.every((entry) => entry !== undefined && entry.until > Date.now());
    const anew = () => Promise.all(wanted.map(([key, form]) => this.#open(key, form)));
    // a read that another began may fail for what was the matter then
    const shards = isFresh ? Promise.all(kept.map((entry) => entry?.shard)).catch(anew) : anew();
    // a reader that is cancelled must not fail those that wait for the same index
    return waitFor(shards, running.signal);
  }

  drop(keys: Iterable<string>): void {
    for (const key of keys) this.#kept.drop(key);
  }

  #open(key: string, form: ShardFormat): Promise<Shard | undefined> {
    const size = indexBytes(form);
    const shard = this.#read(key, form);
    this.#kept.put(key, { shard, until: Date.now() + INDEX_MS }, size);
    const isMine = () => this.#kept.get(key)?.shard === shard;
    shard.then(
      (found) => {
        const isEmpty = found === undefined || !found.index.offsets.some((offset) => offset >= 0);
        // it may be a place that is just being written
        if (isEmpty && isMine()) this.#kept.put(key, { shard, until: Date.now() + ABSENT_MS }, 100);
      },
      () => {
        if (isMine()) this.#kept.drop(key);
      },
    );
    return shard;
  }

  async #read(key: string, form: ShardFormat): Promise<Shard | undefined> {
    const size = indexBytes(form);
    const range: Range = form.indexAtEnd ? { suffix: size } : { offset: 0, length: size };
    try {
      const piece = await this.files.range(key, range, { fresh: true });
      return { key, form, index: decodeIndex(piece.bytes, piece.size, form, this.where(key)), etag: piece.etag };
    } catch (error) {
      if (error instanceof PageError && error.kind === "missing") return undefined;
      throw error;
    }
  }

  /** Call `take` with number and verified bytes of each numbered chunk that exists. */
  async readChunks(
    shard: Shard,
    numbers: readonly number[],
    take: (number: number, bytes: Uint8Array) => void,
    running: Running,
  ): Promise<void> {
    const { offsets, lengths } = shard.index;
    const there = numbers.filter((number) => (offsets[number] ?? -1) >= 0);
    const starts = there.map((number) => offsets[number] ?? 0);
    const stops = there.map((number, k) => (starts[k] ?? 0) + (lengths[number] ?? 0));
    const runs = joinRanges(starts, stops, { gap: CHUNK_GAP, waste: CHUNK_WASTE });
    await inParallel(runs, AT_ONCE, async (run) => {
      const bytes = await this.#bytes(shard, run, running);
      for (const k of run.members) {
        const part = bytes.subarray((starts[k] ?? 0) - run.start, (stops[k] ?? 0) - run.start);
        take(there[k] ?? 0, await decodeChunk(part, shard.form, this.where(shard.key)));
      }
    });
  }

  /** The first `length` bytes of pixels by exact ranges, undefined where their chunk is absent. */
  async readPixels(
    shard: Shard,
    pixels: readonly (readonly [row: number, col: number])[],
    length: number,
    running: Running,
  ): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
    const { form, index } = shard;
    const { chunk } = form;
    const places = pixels.map(([row, col], k) => {
      const offset = index.offsets[Math.floor(row / chunk) * sideOf(form) + Math.floor(col / chunk)] ?? -1;
      return { k, offset, start: offset + ((row % chunk) * chunk + (col % chunk)) * pixelBytes(form) };
    });
    const there = places.filter(({ offset }) => offset >= 0);
    const starts = there.map(({ start }) => start);
    const runs = joinRanges(starts, starts.map((start) => start + length), { gap: POINT_GAP }); // prettier-ignore
    const out: (Uint8Array<ArrayBuffer> | undefined)[] = pixels.map(() => undefined);
    await inParallel(runs, AT_ONCE, async (run) => {
      const bytes = await this.#bytes(shard, run, running);
      for (const member of run.members) {
        const place = there[member];
        if (place) out[place.k] = bytes.slice(place.start - run.start, place.start - run.start + length);
      }
    });
    return out;
  }

  async #bytes(shard: Shard, run: Run, running: Running): Promise<Uint8Array<ArrayBuffer>> {
    const piece = await this.files.range(shard.key, { offset: run.start, length: run.stop - run.start }, running);
    if (shard.etag !== undefined && piece.etag !== shard.etag) {
      throw new PageError("changed", `${this.where(shard.key)} was replaced while it was read; try again`);
    }
    return piece.bytes;
  }
}

function waitFor<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("cancelled", "AbortError"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
