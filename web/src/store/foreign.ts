// Stores that others wrote: the published `geoemb:` layout, and the older `tessera:` stores of one year.
import { PageError, Reading, parseJson, sha256, shown, type Json, type JsonObject, type Running } from "../base";
import type { Files } from "../files";
import { NORTH, PIXEL_SIZE, ROWS, WEST, boxOf, type Window } from "../geo";
import { EmbeddingStore } from "./embeddings";
import { parseYear } from "./header";
import { MOST_DIMS, SCALES } from "./layout";
import { unpack } from "./packing";
import { Shards } from "./shard";
import { Source, type Extent } from "./source";
import type { Model } from "./types";
import { parseArray, parseNumbers, type ForeignArray } from "./zarr";

const ROOT = "zarr.json";
const ROOT_BYTES = 8 * 2 ** 20;
const NODE_BYTES = 256 * 1024;
const FALSE_NORTHING = 10_000_000;
const MOST_PIXELS = 1e7;
const ZONES = Array.from({ length: 60 }, (_, k) => k + 1);
const groupOf = (zone: number): string => `utm${String(zone).padStart(2, "0")}`;

/** Undefined where there is no zarr.json. */
export async function openForeign(files: Files, name: string, running: Running): Promise<EmbeddingStore | undefined> {
  const piece = await getIfThere(files, ROOT, ROOT_BYTES, running);
  if (piece === undefined) return undefined;
  const where = `${files.name}/${ROOT}`;
  const read = new Reading(where);
  const root = read.object(parseJson(piece.bytes, ROOT_BYTES, where), "the document");
  if (root["zarr_format"] !== 3 || root["node_type"] !== "group") {
    throw new PageError("input", `${where} is no Zarr v3 group; expected a store of embeddings`);
  }
  const attributes = read.object(root["attributes"] ?? {}, "attributes");
  const nodes = await nodesOf(files, root, attributes, read, running);
  if (nodes.size === 0) {
    throw new PageError("input", `${files.name} has no groups utm01 to utm60; expected a store of embeddings`);
  }
  const isYear = attributes["tessera:year"] !== undefined;
  const dims = isYear
    ? undefined
    : read.whole(attributes["geoemb:dimensions"] ?? 128, "geoemb:dimensions", 1, MOST_DIMS);
  const zones = new Map<number, Extent[]>();
  for (const [zone, node] of nodes) zones.set(zone, [extentOf(zone, node, dims, isYear, read)]);
  const times = isYear ? undefined : timesOf(files, nodes, read);
  const [first] = zones.values();
  // arrays that span the whole lattice say nothing of where data lie
  const boxes = [...zones.values()].flat().flatMap(({ window }) => (window.height < ROWS ? [boxOf(window)] : []));
  const years = times ? await times(first?.[0]?.group ?? "") : [parseYear(attributes["tessera:year"], read)];
  const sizes = [...(first?.[0]?.specs.values() ?? [])].filter(({ spec }) => spec.dtype === "int8");
  return new EmbeddingStore({
    name,
    identity: files.identity,
    etag: piece.etag,
    model: await modelOf(attributes, sizes.map(({ spec }) => spec.bands), files.identity), // prettier-ignore
    years: [...years].sort((a, b) => a - b),
    zones,
    source: new Source(new Shards(files), { isClean: false, isWhole: false }),
    timeOf: async (extent, year) => {
      if (!times) return undefined;
      const at = (await times(extent.group)).indexOf(year);
      return at < 0 ? null : at;
    },
    extent: () => Promise.resolve(boxes),
  });
}

/** A zone's group and its arrays by name. */
interface ZoneNode {
  readonly attributes: JsonObject;
  readonly arrays: ReadonlyMap<string, JsonObject>;
}

async function nodesOf(
  files: Files,
  root: JsonObject,
  attributes: JsonObject,
  read: Reading,
  running: Running,
): Promise<Map<number, ZoneNode>> {
  const found = new Map<number, ZoneNode>();
  const consolidated = root["consolidated_metadata"];
  if (consolidated !== undefined && consolidated !== null) {
    const inside = read.object(read.object(consolidated, "consolidated_metadata")["metadata"], "metadata");
    for (const zone of ZONES) {
      const group = inside[groupOf(zone)];
      if (group === undefined) continue;
      const prefix = `${groupOf(zone)}/`;
      const keys = Object.keys(inside).filter(
        (key) => key.startsWith(prefix) && !key.slice(prefix.length).includes("/"),
      );
      const arrays = keys.map((key) => [key.slice(prefix.length), read.object(inside[key], shown(key))] as const);
      found.set(zone, { attributes: attributesOf(group, read), arrays: new Map(arrays) });
    }
    return found;
  }
  if (attributes["tessera:year"] === undefined) {
    throw new PageError("input", `${read.where} lists no arrays; expected consolidated metadata`);
  }
  // nothing lists the zones of an older store
  await Promise.all(
    ZONES.map(async (zone) => {
      const node = async (path: string) => {
        const key = `${groupOf(zone)}/${path}zarr.json`;
        const piece = await getIfThere(files, key, NODE_BYTES, running);
        return piece && parseJson(piece.bytes, NODE_BYTES, `${files.name}/${key}`);
      };
      const group = await node("");
      if (group === undefined) return;
      const [codes, scales] = await Promise.all([node("embeddings/"), node("scales/")]);
      const arrays = new Map([
        ["embeddings", read.object(codes, `${groupOf(zone)}/embeddings`)],
        ["scales", read.object(scales, `${groupOf(zone)}/scales`)],
      ]);
      found.set(zone, { attributes: attributesOf(group, read), arrays });
    }),
  );
  return found;
}

const attributesOf = (group: Json, read: Reading): JsonObject =>
  read.object(read.object(group, "a group")["attributes"] ?? {}, "attributes of a group");

function extentOf(zone: number, node: ZoneNode, dims: number | undefined, isYear: boolean, read: Reading): Extent {
  const group = groupOf(zone);
  const array = (name: string) => read.object(node.arrays.get(name), `${group}/${name}`);
  const scales = parseArray(array(SCALES.name), SCALES.name, "float32", isYear ? "y x" : "time y x", read);
  const names = [...node.arrays.keys()].filter((name) => name === "embeddings" || /^embeddings_d\d{1,3}$/.test(name));
  const codes = names.map((name) => parseArray(array(name), name, "int8", isYear ? "y x band" : "time band y x", read));
  const full = codes.find(({ spec }) => spec.name === "embeddings");
  if (full === undefined) return read.fail(group, names, "an array embeddings");
  if (full.spec.bands > MOST_DIMS || (dims !== undefined && full.spec.bands !== dims)) {
    return read.fail(`${group}/embeddings`, full.spec.bands, `vectors of ${dims ?? `at most ${MOST_DIMS}`}`);
  }
  const isAlike = ({ height, width, form }: ForeignArray) =>
    height === scales.height && width === scales.width && form.shard === scales.form.shard;
  // a prefix that is laid out in another way is read from the whole vectors
  const kept = codes.filter((each) => isAlike(each) && (each === full || each.spec.bands < full.spec.bands));
  if (!kept.includes(full)) return read.fail(group, [full.height, full.width], "codes and scales of the same pixels");
  return {
    window: placeOf(zone, node.attributes, scales.height, scales.width, read),
    group,
    specs: new Map([scales, ...kept].map(({ spec, form }) => [spec.name, { spec, form }])),
  };
}

/** North-up pixels of 10 m on the zone's lattice, from their affine transform. */
function placeOf(zone: number, attributes: JsonObject, height: number, width: number, read: Reading): Window {
  const code = read.text(attributes["proj:code"] ?? `EPSG:${32600 + zone}`, "proj:code").toUpperCase();
  const isSouth = code === `EPSG:${32700 + zone}`;
  if (!isSouth && code !== `EPSG:${32600 + zone}`) return read.fail("proj:code", code, `EPSG:${32600 + zone}`);
  const transform = read.numbers(attributes["spatial:transform"], "spatial:transform");
  const [a, b, c = NaN, d, e, f = NaN] = transform;
  const [west, north] = [c / PIXEL_SIZE, (f - (isSouth ? FALSE_NORTHING : 0)) / PIXEL_SIZE];
  const isSound = a === PIXEL_SIZE && b === 0 && d === 0 && e === -PIXEL_SIZE;
  if (!isSound || ![west, north].every((value) => Number.isInteger(value) && Math.abs(value) <= MOST_PIXELS)) {
    return read.fail("spatial:transform", [...transform], "pixels of 10 m at multiples of 10 m");
  }
  return { zone, row: NORTH - north, col: west - WEST, height, width };
}

/** The years of a group's time axis, read when they are first needed. */
function timesOf(files: Files, nodes: ReadonlyMap<number, ZoneNode>, read: Reading) {
  const known = new Map<string, Promise<readonly number[]>>();
  const node = (group: string) => nodes.get(Number(group.slice(3)))?.arrays.get("time");
  return (group: string): Promise<readonly number[]> => {
    const found = known.get(group) ?? readYears(files, group, read.object(node(group), `${group}/time`), read);
    known.set(group, found);
    found.catch(() => known.delete(group));
    return found;
  };
}

async function readYears(files: Files, group: string, node: JsonObject, read: Reading): Promise<readonly number[]> {
  const { length, chunk, item, compressor } = parseNumbers(node, `${group}/time`, read);
  const years: number[] = [];
  for (let number = 0; number * chunk < length; number++) {
    const key = `${group}/time/c/${number}`;
    const { bytes } = await files.get(key, 64 * 1024);
    const where = `${files.name}/${key}`;
    const raw = compressor === "none" ? bytes : await unpack(bytes, chunk * item, compressor, where);
    if (raw.length !== chunk * item) return read.fail(key, raw.length, `${chunk * item} bytes`);
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let k = 0; k < chunk && years.length < length; k++) {
      const at = k * item;
      years.push(item === 2 ? view.getUint16(at, true) : view.getInt32(at, true));
    }
  }
  return years.map((year) => parseYear(year, read));
}

/** The model as the root names it. A root that names a version but no run is told apart by where it lies. */
async function modelOf(attributes: JsonObject, sizes: readonly number[], where: string): Promise<Model> {
  const dims = Math.max(...sizes);
  const prefixDims = [...new Set(sizes)].sort((a, b) => a - b);
  const uri = String(attributes["geoemb:model"] ?? "").slice(0, 300);
  const ours = /^urn:tessera:model:([\w.+~-]+):([0-9a-f]{64})$/.exec(uri);
  if (ours?.[1] && ours[2]) return { name: ours[1], sha256: ours[2], dims, prefixDims };
  const digest = await sha256(new TextEncoder().encode(`${uri}\n${where}`));
  return { name: `unnamed run of ${uri.split("/").at(-1) || "an unknown model"}`, sha256: digest, dims, prefixDims };
}

async function getIfThere(files: Files, key: string, most: number, running: Running) {
  try {
    return await files.get(key, most, running);
  } catch (error) {
    if (error instanceof PageError && error.kind === "missing") return undefined;
    throw error;
  }
}
