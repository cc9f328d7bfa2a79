// Sharded arrays of codes and scales: scales before codes, each place of one version; src/tessera/shards/reader.py.
import { PageError, checkCancelled, inParallel, isCancelled, sleep, type Running } from "../base";
import { intersect, type Pixel, type Window } from "../geo";
import { copyBox, type Target } from "./copy";
import { SCALES, isExact, shardKey, sideOf, type ArraySpec, type ShardFormat } from "./layout";
import { Shards, type Shard } from "./shard";
import type { Block } from "./types";

const ATTEMPTS = 6;
const PLACES = 4; // under way at once

/** What a group's arrays cover, in pixels of the zone's lattice; its corner may lie off it. */
export interface Extent {
  readonly window: Window;
  readonly group: string;
  readonly specs: ReadonlyMap<string, { readonly spec: ArraySpec; readonly form: ShardFormat }>;
}

export interface SourceRules {
  readonly isClean: boolean; // scales were checked when they were written; others beyond 0 to 1 are no data
  readonly isWhole: boolean; // every chunk with a valid pixel must be there, as commits write them
}

interface Place {
  readonly extent: Extent;
  readonly time: number | undefined;
  readonly row: number; // in shards
  readonly col: number;
  readonly window: Window;
}

export const isValid = (scale: number): boolean => scale > 0 && scale < Infinity;

export class Source {
  readonly shards: Shards;
  readonly rules: SourceRules;

  constructor(shards: Shards, rules: SourceRules) {
    this.shards = shards;
    this.rules = rules;
  }

  /** Codes (the first `dims` of array `codes`) and scales over a window. */
  async read(
    window: Window,
    extents: readonly (readonly [Extent, time: number | undefined])[],
    codes: string,
    dims: number,
    running: Running,
  ): Promise<Block> {
    const size = window.height * window.width;
    const block: Block = {
      window,
      dims,
      codes: new Int8Array(size * dims),
      scales: new Float32Array(size).fill(Infinity),
    };
    const places = extents.flatMap(([extent, time]) => placesOf(extent, time, window));
    await inParallel(places, PLACES, (place) =>
      this.#steady(place, [SCALES.name, codes], running, () => this.#readPlace(place, codes, block, running)),
    );
    return block;
  }

  /** One array over a window, pixel-major, 0 where nothing is; undefined where no shard of it is there. */
  async readArray(
    window: Window,
    extent: Extent,
    time: number | undefined,
    name: string,
    running: Running,
  ): Promise<Uint8Array | Uint16Array | undefined> {
    const { spec, form } = arrayOf(extent, name);
    const size = window.height * window.width * spec.bands;
    const data = spec.dtype === "uint16" ? new Uint16Array(size) : new Uint8Array(size);
    const target: Target = { window, data, bands: spec.bands };
    let isThere = false;
    await inParallel(placesOf(extent, time, window), PLACES, (place) =>
      this.#steady(place, [name], running, async () => {
        const part = intersect(place.window, window);
        const [shard] = await this.shards.openAll([[keyOf(place, spec), form]], running);
        if (part === undefined || shard === undefined) return;
        isThere = true;
        copyBox(target, part, 0);
        await this.#copy(place, shard, part, target, () => true, running);
      }),
    );
    return isThere ? data : undefined;
  }

  async #readPlace(place: Place, codes: string, block: Block, running: Running): Promise<void> {
    const part = intersect(place.window, block.window);
    const [scaleArray, codeArray] = [arrayOf(place.extent, SCALES.name), arrayOf(place.extent, codes)];
    if (part === undefined) return;
    const keys = [scaleArray, codeArray].map(({ spec, form }) => [keyOf(place, spec), form] as const);
    const [scales, values] = await this.shards.openAll(keys, running);
    const blank: Target = { window: block.window, data: block.scales, bands: 1 };
    copyBox(blank, part, Infinity);
    if (scales === undefined) return;
    await this.#copy(place, scales, part, blank, () => true, running);
    const { width } = block.window;
    const [top, left] = [part.row - block.window.row, part.col - block.window.col];
    // chunks of codes that hold a valid pixel
    const { chunk } = codeArray.form;
    const [down, right] = [part.row - place.window.row, part.col - place.window.col];
    const wanted = new Set<number>();
    for (let row = 0; row < part.height; row++) {
      const base = Math.floor((down + row) / chunk) * sideOf(codeArray.form);
      for (let col = 0; col < part.width; col++) {
        const at = (top + row) * width + left + col;
        const scale = block.scales[at] ?? NaN;
        if (!this.rules.isClean && !(scale > 0 && scale < 1) && scale !== Infinity) block.scales[at] = NaN;
        else if (isValid(scale)) wanted.add(base + Math.floor((right + col) / chunk));
      }
    }
    const target: Target = { window: block.window, data: block.codes, bands: block.dims };
    copyBox(target, part, 0);
    if (wanted.size === 0) return;
    const isThere = (number: number) => (values?.index.offsets[number] ?? -1) >= 0;
    const lacking = [...wanted].filter((number) => !isThere(number)).length;
    if (lacking > 0 && this.rules.isWhole) throw lacks(this.shards.where(keyOf(place, codeArray.spec)), lacking);
    if (values) await this.#copy(place, values, part, target, (number) => wanted.has(number), running);
  }

  async #copy(
    place: Place,
    shard: Shard,
    part: Window,
    target: Target,
    isWanted: (number: number) => boolean,
    running: Running,
  ): Promise<void> {
    const { form } = shard;
    const { chunk } = form;
    const [top, left] = [part.row - place.window.row, part.col - place.window.col];
    const numbers: number[] = [];
    for (let row = Math.floor(top / chunk); row * chunk < top + part.height; row++) {
      for (let col = Math.floor(left / chunk); col * chunk < left + part.width; col++) {
        const number = row * sideOf(form) + col;
        if (isWanted(number)) numbers.push(number);
      }
    }
    await this.shards.readChunks(
      shard,
      numbers,
      (number, bytes) => {
        const row = place.window.row + Math.floor(number / sideOf(form)) * chunk;
        const col = place.window.col + (number % sideOf(form)) * chunk;
        const box = intersect(part, { zone: part.zone, row, col, height: chunk, width: chunk });
        if (box) copyBox(target, box, { bytes, form, row, col });
      },
      running,
    );
  }

  /** Codes and scale of single pixels of one extent; +inf where nothing is. */
  async points(
    pixels: readonly Pixel[],
    extents: readonly (readonly [Extent, time: number | undefined])[],
    codes: string,
    dims: number,
    running: Running,
  ): Promise<Block[]> {
    const out = pixels.map(({ zone, row, col }): Block => ({
      window: { zone, row, col, height: 1, width: 1 },
      dims,
      codes: new Int8Array(dims),
      scales: new Float32Array([Infinity]),
    }));
    const groups = new Map<string, { place: Place; members: Block[] }>();
    for (const block of out) {
      for (const [extent, time] of extents) {
        const [place] = placesOf(extent, time, block.window);
        if (place === undefined) continue;
        const name = `${extent.group} ${place.row} ${place.col}`;
        const group = groups.get(name);
        if (group) group.members.push(block);
        else groups.set(name, { place, members: [block] });
      }
    }
    await inParallel(groups.values(), PLACES, ({ place, members }) =>
      this.#steady(place, [SCALES.name, codes], running, () => this.#readPixels(place, codes, members, running)),
    );
    return out;
  }

  async #readPixels(place: Place, codes: string, blocks: readonly Block[], running: Running): Promise<void> {
    const [scaleArray, codeArray] = [arrayOf(place.extent, SCALES.name), arrayOf(place.extent, codes)];
    if (!isExact(scaleArray.form) || !isExact(codeArray.form)) {
      await this.#readChunksOf(place, codes, blocks, codeArray.form.chunk, running);
      return;
    }
    const keys = [scaleArray, codeArray].map(({ spec, form }) => [keyOf(place, spec), form] as const);
    const [scales, values] = await this.shards.openAll(keys, running);
    const inside = ({ window }: Block) => [window.row - place.window.row, window.col - place.window.col] as const;
    const found = scales ? await this.shards.readPixels(scales, blocks.map(inside), 4, running) : [];
    const valid = blocks.filter((block, k) => {
      const bytes = found[k];
      const scale = bytes ? new DataView(bytes.buffer).getFloat32(0, true) : Infinity;
      const isBad = !this.rules.isClean && !(scale > 0 && scale < 1) && scale !== Infinity;
      block.scales[0] = isBad ? NaN : scale;
      return isValid(block.scales[0]);
    });
    if (valid.length === 0) return;
    const dims = valid[0]?.dims ?? 0;
    const got = values ? await this.shards.readPixels(values, valid.map(inside), dims, running) : [];
    const lacking = valid.filter((block, k) => {
      const bytes = got[k];
      if (bytes) block.codes.set(new Int8Array(bytes.buffer));
      return bytes === undefined;
    });
    if (lacking.length > 0 && this.rules.isWhole) {
      throw lacks(this.shards.where(keyOf(place, codeArray.spec)), lacking.length);
    }
  }

  /** Pixels of packed chunks: each chunk is read once, however many of them it holds. */
  async #readChunksOf(place: Place, codes: string, blocks: readonly Block[], chunk: number, running: Running) {
    const groups = new Map<string, { window: Window; members: Block[] }>();
    for (const block of blocks) {
      const { zone, row, col } = block.window;
      const snap = (value: number, origin: number) => origin + Math.floor((value - origin) / chunk) * chunk;
      const [top, left] = [snap(row, place.window.row), snap(col, place.window.col)];
      const group = groups.get(`${top} ${left}`) ?? {
        window: { zone, row: top, col: left, height: chunk, width: chunk },
        members: [],
      };
      group.members.push(block);
      groups.set(`${top} ${left}`, group);
    }
    await inParallel(groups.values(), PLACES, async ({ window, members }) => {
      const dims = members[0]?.dims ?? 0;
      const size = chunk ** 2;
      const all = { window, dims, codes: new Int8Array(size * dims), scales: new Float32Array(size).fill(Infinity) };
      await this.#readPlace(place, codes, all, running);
      for (const { window: pixel, codes: to, scales } of members) {
        const at = (pixel.row - window.row) * chunk + pixel.col - window.col;
        scales[0] = all.scales[at] ?? Infinity;
        to.set(all.codes.subarray(at * dims, (at + 1) * dims));
      }
    });
  }

  /** Read until one version of a place is met: again if it was replaced, removed or lacked pixels. */
  async #steady(place: Place, arrays: readonly string[], running: Running, read: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      checkCancelled(running.signal);
      try {
        await read();
        return;
      } catch (error) {
        if (isCancelled(error) || !(error instanceof PageError)) throw error;
        const isPassing = error.kind === "changed" || error.kind === "missing" || error instanceof LacksError;
        if (!isPassing) throw error;
        this.shards.drop(arrays.map((name) => keyOf(place, arrayOf(place.extent, name).spec)));
        if (attempt === ATTEMPTS) throw error;
        await sleep(20 * 2 ** (attempt - 1), running.signal);
      }
    }
  }
}

/** Codes lack pixels that have scales: damage, unless the place is being replaced. */
class LacksError extends PageError {}

const lacks = (where: string, count: number): LacksError =>
  new LacksError("corrupt", `${where} lacks ${count} parts that have scales; it is damaged`);

function arrayOf(extent: Extent, name: string): { spec: ArraySpec; form: ShardFormat } {
  const found = extent.specs.get(name);
  if (found === undefined) throw new PageError("corrupt", `${extent.group} has no array ${name}`);
  return found;
}

const keyOf = (place: Place, spec: ArraySpec): string =>
  shardKey(place.extent.group, spec, place.time, place.row, place.col);

/** The shards that a window touches. */
function placesOf(extent: Extent, time: number | undefined, window: Window): Place[] {
  const part = intersect(extent.window, window);
  if (part === undefined) return [];
  const { shard } = arrayOf(extent, SCALES.name).form;
  const { zone, row, col } = extent.window;
  const out: Place[] = [];
  for (let r = Math.floor((part.row - row) / shard); row + r * shard < part.row + part.height; r++) {
    for (let c = Math.floor((part.col - col) / shard); col + c * shard < part.col + part.width; c++) {
      const square = { zone, row: row + r * shard, col: col + c * shard, height: shard, width: shard };
      const kept = intersect(square, extent.window);
      if (kept) out.push({ extent, time, row: r, col: c, window: kept });
    }
  }
  return out;
}
