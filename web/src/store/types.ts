import type { Running } from "../base";
import type { Area, Box, LonLat, Pixel, Window } from "../geo";

/** Codes and scales of a rectangle: value = code x scale. A scale that is finite and above 0 is data. */
export interface Block {
  readonly window: Window;
  readonly dims: number;
  readonly codes: Int8Array<ArrayBuffer>; // (height, width, dims), pixel-major
  readonly scales: Float32Array<ArrayBuffer>; // (height, width)
}

/** A block and the pixels of it that the area holds: 1 inside, absent where all are. */
export interface Piece extends Block {
  readonly inside?: Uint8Array<ArrayBuffer>;
}

export interface Model {
  readonly name: string;
  readonly sha256: string;
  readonly dims: number;
  readonly prefixDims: readonly number[];
}

/** A store of any layout that the page reads: ours, the published `geoemb:`, the older `tessera:` year stores. */
export interface Store {
  readonly name: string;
  readonly identity: string; // URL, or the name of what was dropped
  readonly model: Model;
  readonly years: readonly number[]; // ascending
  readonly zones: readonly number[]; // zones that may hold data
  readonly etag: string | undefined; // of the document that it was opened from
  /** Where data lies, as boxes for the map, coarse: from the manifest, the overviews or the shards that were met. */
  extent(running?: Running): Promise<readonly Box[]>;
  /** Rectangles of at most `side` pixels, on the store's chunks, that cover the area, nearest to its centre first. */
  plan(area: Area, side?: number): readonly Window[];
  read(window: Window, year: number, dims?: number, running?: Running): Promise<Block>;
  /** Exact ranges: 4 + dims bytes a pixel once the index is known. */
  points(
    points: readonly LonLat[],
    year: number,
    dims?: number,
    running?: Running,
  ): Promise<readonly (Block & { pixel: Pixel })[]>;
  /** Stored false colour of an area, as RGBA windows of overview pixels; undefined if the store has none. */
  preview?(area: Area, year: number, width: number, running?: Running): Promise<readonly Picture[] | undefined>;
  /** Mean vectors of larger pixels, a rectangle a zone, for a search over a country; undefined if the store has none. */
  means?(area: Area, year: number, level: 160 | 1280, running?: Running): Promise<readonly Means[] | undefined>;
}

/** Means of the valid vectors of `step` x `step` pixels of 10 m; a mean of unlike vectors is shorter than they are. */
export interface Means {
  readonly window: Window; // in pixels of 10 m
  readonly step: number;
  readonly dims: number;
  readonly codes: Int8Array<ArrayBuffer>; // (height / step, width / step, dims)
  readonly scales: Float32Array<ArrayBuffer>;
  readonly valid: Uint16Array; // valid pixels of 10 m behind each mean
}

/** RGBA pixels on a rectangle of a zone, `step` pixels of 10 m each. */
export interface Picture {
  readonly window: Window; // in pixels of 10 m
  readonly step: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>; // (height / step, width / step, 4)
}
