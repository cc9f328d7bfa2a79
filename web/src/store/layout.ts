// Arrays of a zone and how the bytes of their shards are laid out: src/tessera/shards/layout.py.
import type { JsonObject, Reading } from "../base";

export const MOST_DIMS = 512;
/** Bytes of a chunk beyond which nothing is believed: it is unpacked in memory. */
export const MOST_CHUNK_BYTES = 64 * 2 ** 20;
const MOST_CHUNKS = 512; // along a side of a shard
const MOST_SIDE = 4096;

export type Dtype = "int8" | "uint8" | "uint16" | "float32";
const ITEM: Readonly<Record<Dtype, number>> = { int8: 1, uint8: 1, uint16: 2, float32: 4 };

/** One array of a zone's group. */
export interface ArraySpec {
  readonly name: string;
  readonly bands: number; // 1 without a band axis
  readonly axis: "none" | "first" | "last"; // where its band axis stands in the key of a shard
  readonly dtype: Dtype;
}

export interface ShardFormat {
  readonly shard: number; // shard, chunk: sides, pixels
  readonly chunk: number;
  readonly bands: number;
  readonly dtype: Dtype;
  readonly pixelMajor: boolean; // all bands of a pixel together, else all pixels of a band
  readonly compressor: "none" | "blosc" | "zstd" | "gzip";
  readonly chunkCrc: boolean;
  readonly indexCrc: boolean;
  readonly indexAtEnd: boolean;
}

export const sideOf = (form: ShardFormat): number => form.shard / form.chunk;
export const pixelBytes = (form: ShardFormat): number => form.bands * ITEM[form.dtype];
export const chunkBytes = (form: ShardFormat): number => form.chunk ** 2 * pixelBytes(form);
export const indexBytes = (form: ShardFormat): number => 16 * sideOf(form) ** 2 + (form.indexCrc ? 4 : 0);
/** Whether a pixel is one range of bytes. */
export const isExact = (form: ShardFormat): boolean =>
  form.compressor === "none" && (form.pixelMajor || form.bands === 1);

/** Key of a shard; `row` and `col` count shards. */
export function shardKey(group: string, spec: ArraySpec, time: number | undefined, row: number, col: number): string {
  const band = spec.axis === "none" ? [] : [0];
  const place = spec.axis === "last" ? [row, col, ...band] : [...band, row, col];
  return `${group}/${spec.name}/c/${[...(time === undefined ? [] : [time]), ...place].join("/")}`;
}

export const SCALES: ArraySpec = { name: "scales", bands: 1, axis: "none", dtype: "float32" };

export function codesSpec(dims: number, full: number): ArraySpec {
  return { name: dims === full ? "embeddings" : `embeddings_d${dims}`, bands: dims, axis: "first", dtype: "int8" };
}

/** Geometry of a store of ours, the `layout` of tessera.json. */
export interface Layout {
  readonly dims: number;
  readonly prefixes: readonly number[];
  readonly shard: number;
  readonly chunk: number;
  readonly geometry: "pixels" | "published";
}

export function parseLayout(value: JsonObject, read: Reading): Layout {
  const geometry = read.text(value["geometry"] ?? "pixels", "layout.geometry");
  if (geometry !== "pixels" && geometry !== "published") {
    return read.fail("layout.geometry", geometry, '"pixels" or "published"');
  }
  const place = geometry === "published" ? "end" : "start";
  if (value["inner_order"] !== "C") return read.fail("layout.inner_order", value["inner_order"], '"C"');
  if (value["index_location"] !== place) {
    return read.fail("layout.index_location", value["index_location"], `"${place}"`);
  }
  const dims = read.whole(value["dims"], "layout.dims", 1, MOST_DIMS);
  const shard = read.whole(value["shard"], "layout.shard", 1, MOST_SIDE);
  if ((shard & (shard - 1)) !== 0) return read.fail("layout.shard", shard, "a power of two up to 4096");
  const chunk = read.whole(value["chunk"], "layout.chunk", 1, shard);
  if (shard % chunk || shard / chunk > MOST_CHUNKS || chunk ** 2 * dims > MOST_CHUNK_BYTES) {
    return read.fail("layout.chunk", chunk, `a divisor of ${shard} that makes chunks of some megabytes at most`);
  }
  const prefixes = read.wholes(value["prefixes"], "layout.prefixes", 1, dims - 1);
  if (new Set(prefixes).size < prefixes.length) return read.fail("layout.prefixes", [...prefixes], "each once");
  return { dims, prefixes, shard, chunk, geometry };
}

export function formatOf(layout: Layout, spec: ArraySpec): ShardFormat {
  const { shard, chunk } = layout;
  const isOurs = layout.geometry === "pixels";
  return {
    shard,
    chunk,
    bands: spec.bands,
    dtype: spec.dtype,
    pixelMajor: isOurs,
    compressor: isOurs ? "none" : "blosc",
    chunkCrc: isOurs,
    indexCrc: true,
    indexAtEnd: !isOurs,
  };
}
