// Zarr v3 metadata of arrays that others wrote, narrowed to what this reader knows.
import { PageError, type Json, type JsonObject, type Reading } from "../base";
import { MOST_CHUNK_BYTES, chunkBytes, indexBytes, type ArraySpec, type Dtype, type ShardFormat } from "./layout";

const MOST_SIDE = 16_384;
export type Compressor = ShardFormat["compressor"];
const COMPRESSORS: Readonly<Record<string, Compressor>> = { blosc: "blosc", zstd: "zstd", gzip: "gzip" };

/** Order of an array's axes, and which of them a chunk keeps together. */
export type Axes = "time band y x" | "time y x" | "y x band" | "y x";

export interface ForeignArray {
  readonly spec: ArraySpec;
  readonly form: ShardFormat;
  readonly height: number;
  readonly width: number;
}

const unknown = (where: string, what: string): never => {
  throw new PageError("input", `${where}: this page cannot read ${what}; open the store in Python instead`);
};

/** Spec and format of a sharded array; refuses what this reader does not know, and sizes that cannot be believed. */
export function parseArray(node: JsonObject, name: string, dtype: Dtype, axes: Axes, read: Reading): ForeignArray {
  const what = (part: string) => `${name}.${part}`;
  if (node["zarr_format"] !== 3 || node["node_type"] !== "array") return read.fail(name, node["node_type"], "an array");
  if (node["data_type"] !== dtype) return read.fail(what("data_type"), node["data_type"], dtype);
  const order = axes.split(" ");
  const names = node["dimension_names"];
  if (names !== undefined && names !== null) {
    const given = read.list(names, what("dimension_names"), 8).map(axisOf);
    const isKnown = given.length === order.length && given.every((axis, k) => axis === null || axis === order[k]);
    if (!isKnown) return unknown(read.where, `${name} with the axes ${JSON.stringify(given)}`);
  }
  const shape = read.wholes(node["shape"], what("shape"), 1, 1e7);
  const grid = read.object(node["chunk_grid"], what("chunk_grid"));
  if (grid["name"] !== "regular" || !isDefaultKey(node, read) || hasTransformers(node)) {
    return unknown(read.where, `${name} with this grid of chunks`);
  }
  const outer = read.wholes(config(grid, read)["chunk_shape"], what("chunk_shape"), 1, 1e6);
  const [codec, ...more] = read
    .list(node["codecs"], what("codecs"), 8)
    .map((each) => read.object(each, what("codecs")));
  if (codec === undefined || more.length > 0 || codec["name"] !== "sharding_indexed") {
    return unknown(read.where, `${name} without shards`);
  }
  const sharding = config(codec, read);
  const inner = read.wholes(sharding["chunk_shape"], what("inner chunk_shape"), 1, 1e6);
  if (shape.length !== order.length || outer.length !== order.length || inner.length !== order.length) {
    return read.fail(what("shape"), [...shape], `${order.length} axes`);
  }
  const size = (values: readonly number[], axis: string) => values[order.indexOf(axis)] ?? 1;
  const bands = order.includes("band") ? size(shape, "band") : 1;
  const [shard, chunk] = [size(outer, "y"), size(inner, "y")];
  const isSquare = size(outer, "x") === shard && size(inner, "x") === chunk;
  const isWhole = [outer, inner].every((values) => size(values, "band") === bands && size(values, "time") === 1);
  if (!isSquare || !isWhole) return unknown(read.where, `${name} with shards of ${outer.join(" x ")}`);
  if (shard > MOST_SIDE || shard % chunk) return read.fail(what("chunk_shape"), [...outer], "sides that divide");
  const { location, indexCrc } = indexOf(sharding, name, read);
  const form: ShardFormat = {
    shard,
    chunk,
    bands,
    dtype,
    indexCrc,
    indexAtEnd: location === "end",
    ...chunkCodecs(read.list(sharding["codecs"], what("codecs"), 8), axes, name, read),
  };
  if (Math.max(chunkBytes(form), indexBytes(form)) > MOST_CHUNK_BYTES) {
    return read.fail(what("chunk_shape"), [...inner], `chunks of at most ${MOST_CHUNK_BYTES} bytes`);
  }
  const axis = order.includes("band") ? (axes === "y x band" ? "last" : "first") : "none";
  return { spec: { name, bands, axis, dtype }, form, height: size(shape, "y"), width: size(shape, "x") };
}

function axisOf(value: Json): string | null {
  if (typeof value !== "string") return null;
  if (/^band(_d\d+)?$/.test(value)) return "band";
  return { northing: "y", easting: "x" }[value] ?? value;
}

const config = (value: JsonObject, read: Reading): JsonObject =>
  read.object(value["configuration"] ?? {}, "configuration");

function isDefaultKey(node: JsonObject, read: Reading): boolean {
  const encoding = read.object(node["chunk_key_encoding"] ?? { name: "default" }, "chunk_key_encoding");
  return encoding["name"] === "default" && (config(encoding, read)["separator"] ?? "/") === "/";
}

function hasTransformers(node: JsonObject): boolean {
  const given = node["storage_transformers"];
  return Array.isArray(given) && given.length > 0;
}

function indexOf(sharding: JsonObject, name: string, read: Reading): { location: string; indexCrc: boolean } {
  const codecs = read.list(sharding["index_codecs"], `${name}.index_codecs`, 4);
  const names = codecs.map((codec) => read.object(codec, `${name}.index_codecs`)["name"]).join(" ");
  const location = read.text(sharding["index_location"] ?? "end", `${name}.index_location`);
  if ((names !== "bytes" && names !== "bytes crc32c") || (location !== "start" && location !== "end")) {
    return unknown(read.where, `${name} with an index by ${names}`);
  }
  return { location, indexCrc: names.endsWith("crc32c") };
}

function chunkCodecs(
  codecs: readonly Json[],
  axes: Axes,
  name: string,
  read: Reading,
): Pick<ShardFormat, "pixelMajor" | "compressor" | "chunkCrc"> {
  const all = codecs.map((codec) => read.object(codec, `${name}.codecs`));
  let pixelMajor = axes === "y x band";
  if (all[0]?.["name"] === "transpose") {
    const order = read.wholes(config(all[0], read)["order"], `${name}.order`, 0, 8).join(" ");
    if (axes !== "time band y x" || order !== "0 2 3 1") return unknown(read.where, `${name} in the order ${order}`);
    pixelMajor = true;
    all.shift();
  }
  const names = all.map((codec) => String(codec["name"]));
  const isLittle = (all[0] && (config(all[0], read)["endian"] ?? "little")) === "little";
  const chunkCrc = names.at(-1) === "crc32c";
  const packing = names.slice(1, chunkCrc ? -1 : undefined);
  const compressor = packing[0] === undefined ? "none" : COMPRESSORS[packing[0]];
  if (names[0] !== "bytes" || !isLittle || packing.length > 1 || compressor === undefined) {
    return unknown(read.where, `${name} with chunks by ${names.join(", ").slice(0, 80)}`);
  }
  return { pixelMajor, compressor, chunkCrc };
}

/** What a plain array of numbers, such as a time axis, is packed by. */
export function parseNumbers(node: JsonObject, name: string, read: Reading) {
  const [length = 0, ...others] = read.wholes(node["shape"], `${name}.shape`, 1, 4096);
  const grid = config(read.object(node["chunk_grid"], `${name}.chunk_grid`), read);
  const [chunk = 0] = read.wholes(grid["chunk_shape"], `${name}.chunk_shape`, 1, 4096);
  const type = read.text(node["data_type"], `${name}.data_type`);
  const codecs = read.list(node["codecs"], `${name}.codecs`, 4).map((codec) => read.object(codec, `${name}.codecs`));
  const names = codecs.map((codec) => String(codec["name"]));
  const compressor = names[1] === undefined ? "none" : COMPRESSORS[names[1]];
  const item = { int16: 2, uint16: 2, int32: 4, uint32: 4, int64: 8 }[type];
  if (others.length > 0 || names[0] !== "bytes" || names.length > 2 || compressor === undefined || item === undefined) {
    return unknown(read.where, `${name} of ${type} by ${names.join(", ").slice(0, 80)}`);
  }
  return { length, chunk, item, compressor };
}
