// Overviews of a store of ours: means of larger pixels and their false colours (docs/preview.md, src/tessera/preview).
import { PageError, Reading, parseJson, type Running } from "../base";
import type { Files } from "../files";
import { COLS, EAST, NORTH, ROWS, SOUTH, WEST, partsOf, type Area, type Window } from "../geo";
import { parseModel, parseYear, type Header } from "./header";
import { SCALES, codesSpec, type ArraySpec, type ShardFormat } from "./layout";
import type { Shards } from "./shard";
import { Source, type Extent } from "./source";
import type { Means, Picture } from "./types";

const DOCUMENT = "overviews/overviews.json";
const DOCUMENT_BYTES = 64 * 1024;
const LEVELS = { 160: 512, 1280: 256 } as const; // metres of a pixel, and the side of a shard
const CHUNK = 32;
const RGB_CHUNK = 128;
/** Overview pixels of a picture or of means beyond which the area is too large for them. */
const MOST_PIXELS = 8e6;

export type Level = keyof typeof LEVELS;
const VALID: ArraySpec = { name: "valid", bands: 1, axis: "none", dtype: "uint16" };
const RGB: ArraySpec = { name: "rgb", bands: 4, axis: "last", dtype: "uint8" };

export class Overviews {
  readonly #files: Files;
  readonly #header: Header;
  readonly #source: Source;
  #known: Promise<{ years: readonly number[]; zones: readonly number[] } | undefined> | undefined;

  constructor(files: Files, shards: Shards, header: Header) {
    this.#files = files;
    this.#header = header;
    this.#source = new Source(shards, { isClean: true, isWhole: false });
  }

  /** False colours of an area, a picture a shard that it touches; undefined where there are none, or too many pixels. */
  async preview(area: Area, year: number, width: number, running: Running): Promise<readonly Picture[] | undefined> {
    const places = await this.#places(area, year, 160, running);
    if (places === undefined) return undefined;
    const total = places.reduce((sum, { box }) => sum + box.width, 0);
    const skip = 2 ** Math.max(0, Math.min(5, Math.floor(Math.log2(total / Math.max(1, width)))));
    const pictures: Picture[] = [];
    for (const { extent, time, box } of places) {
      for (const part of tiles(box, LEVELS[160])) {
        const whole = snap(part, skip, extent.window);
        const rgba = new Uint8ClampedArray((whole.height / skip) * (whole.width / skip) * 4);
        const values = await this.#source.readArray(whole, extent, time, RGB.name, running);
        if (values !== undefined && decimate(values, whole.width, skip, rgba)) {
          pictures.push({ window: scaled(whole, 16), step: 16 * skip, rgba });
        }
      }
    }
    return pictures;
  }

  /** Mean vectors of an area's larger pixels, a rectangle a zone. */
  async means(area: Area, year: number, level: Level, running: Running): Promise<readonly Means[] | undefined> {
    const places = await this.#places(area, year, level, running);
    if (places === undefined) return undefined;
    const step = level / 10;
    const { dims } = this.#header.layout;
    const out: Means[] = [];
    for (const { extent, time, box } of places) {
      const block = await this.#source.read(box, [[extent, time]], "embeddings", dims, running);
      const found = await this.#source.readArray(box, extent, time, VALID.name, running);
      const valid = found instanceof Uint16Array ? found : new Uint16Array(box.height * box.width);
      out.push({ window: scaled(box, step), step, dims, codes: block.codes, scales: block.scales, valid });
    }
    return out;
  }

  async #places(area: Area, year: number, level: Level, running: Running) {
    const about = await this.#document(running);
    if (about === undefined || !about.years.includes(year)) return undefined;
    const step = level / 10;
    const places = partsOf(area).flatMap(({ zone, window }) => {
      if (!about.zones.includes(zone)) return [];
      const [row, col] = [Math.floor(window.row / step), Math.floor(window.col / step)];
      const height = Math.ceil((window.row + window.height) / step) - row;
      const width = Math.ceil((window.col + window.width) / step) - col;
      const extent = extentOf(zone, level, this.#header.layout.dims);
      return [{ extent, time: this.#header.years.indexOf(year), box: { zone, row, col, height, width } }];
    });
    const size = places.reduce((sum, { box }) => sum + box.height * box.width, 0);
    return size > MOST_PIXELS ? undefined : places;
  }

  #document(running: Running) {
    this.#known ??= this.#open(running);
    this.#known.catch(() => (this.#known = undefined));
    return this.#known;
  }

  async #open(running: Running) {
    let bytes: Uint8Array;
    try {
      ({ bytes } = await this.#files.get(DOCUMENT, DOCUMENT_BYTES, running));
    } catch (error) {
      if (error instanceof PageError && error.kind === "missing") return undefined;
      throw error;
    }
    const where = `${this.#files.name}/${DOCUMENT}`;
    const read = new Reading(where);
    const value = read.object(parseJson(bytes, DOCUMENT_BYTES, where), "the document");
    if (value["format"] !== "tessera-overviews" || value["version"] !== 1) {
      return read.fail("format", [value["format"] ?? null, value["version"] ?? null], "tessera-overviews 1");
    }
    const model = parseModel(read.object(value["model"], "model"), read);
    // overviews of another model are of no use here, and no reason to refuse the store
    if (model.sha256 !== this.#header.model.sha256 || model.dims !== this.#header.model.dims) return undefined;
    const geometry = read.object(value["geometry"], "geometry");
    const lattice = read.wholes(geometry["lattice"], "geometry.lattice", SOUTH, NORTH).join(" ");
    if (lattice !== [WEST, SOUTH, EAST, NORTH].join(" ")) return read.fail("geometry.lattice", lattice, "the lattice");
    const levels = read.object(geometry["levels"], "geometry.levels");
    for (const [metres, shard] of Object.entries(LEVELS)) {
      const level = read.object(levels[`d${metres}`], `geometry.levels.d${metres}`);
      read.whole(level["shard"], `d${metres}.shard`, shard, shard);
      read.whole(level["chunk"], `d${metres}.chunk`, CHUNK, CHUNK);
    }
    return {
      years: read.list(value["years"], "years", 64).map((year) => parseYear(year, read)),
      zones: read.wholes(value["zones"], "zones", 1, 60),
    };
  }
}

function extentOf(zone: number, level: Level, dims: number): Extent {
  const step = level / 10;
  const specs = [SCALES, codesSpec(dims, dims), VALID, ...(level === 160 ? [RGB] : [])];
  return {
    window: { zone, row: 0, col: 0, height: ROWS / step, width: COLS / step },
    group: `overviews/utm${String(zone).padStart(2, "0")}/d${level}`,
    specs: new Map(specs.map((spec) => [spec.name, { spec, form: formOf(spec, level) }])),
  };
}

const formOf = (spec: ArraySpec, level: Level): ShardFormat => ({
  shard: LEVELS[level],
  chunk: spec === RGB ? RGB_CHUNK : CHUNK,
  bands: spec.bands,
  dtype: spec.dtype,
  pixelMajor: true,
  compressor: "none",
  chunkCrc: true,
  indexCrc: true,
  indexAtEnd: false,
});

/** A box cut along a grid. */
function* tiles(box: Window, side: number): Iterable<Window> {
  const [bottom, right] = [box.row + box.height, box.col + box.width];
  for (let row = box.row; row < bottom; row = (Math.floor(row / side) + 1) * side) {
    for (let col = box.col; col < right; col = (Math.floor(col / side) + 1) * side) {
      const height = Math.min(bottom, (Math.floor(row / side) + 1) * side) - row;
      const width = Math.min(right, (Math.floor(col / side) + 1) * side) - col;
      yield { zone: box.zone, row, col, height, width };
    }
  }
}

/** The smallest box of whole steps around a box, within the array; what remains of a step at its end is left out. */
function snap(box: Window, step: number, limits: Window): Window {
  const [row, col] = [Math.floor(box.row / step) * step, Math.floor(box.col / step) * step];
  const end = (value: number, most: number) => Math.min(Math.ceil(value / step), Math.floor(most / step)) * step;
  const height = Math.max(step, end(box.row + box.height, limits.height) - row);
  const width = Math.max(step, end(box.col + box.width, limits.width) - col);
  return { zone: box.zone, row, col, height, width };
}

const scaled = ({ zone, row, col, height, width }: Window, by: number): Window => ({
  zone,
  row: row * by,
  col: col * by,
  height: height * by,
  width: width * by,
});

/** Every `skip`-th pixel of every `skip`-th row; whether any of them can be seen. */
function decimate(from: ArrayLike<number>, width: number, skip: number, to: Uint8ClampedArray): boolean {
  let isSeen = false;
  const columns = width / skip;
  for (let at = 0; at < to.length; at += 4) {
    const pixel = at / 4;
    const start = (Math.floor(pixel / columns) * skip * width + (pixel % columns) * skip) * 4;
    for (let band = 0; band < 4; band++) to[at + band] = from[start + band] ?? 0;
    if (to[at + 3] !== 0) isSeen = true;
  }
  return isSeen;
}
