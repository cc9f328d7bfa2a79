// tessera.json: one small document opens a store; src/tessera/shards/documents.py.
import { Reading, parseJson, type JsonObject } from "../base";
import { parseLayout, type Layout } from "./layout";
import type { Model } from "./types";

export const DOCUMENT = "tessera.json";
export const DOCUMENT_LIMIT = 4096;
const MOST_YEARS = 64;

export interface Header {
  readonly model: Model;
  readonly layout: Layout;
  readonly years: readonly number[]; // in order of arrival: the time axis
  readonly zones: readonly number[];
}

export function parseHeader(bytes: Uint8Array, where: string): Header {
  const read = new Reading(where);
  const value = read.object(parseJson(bytes, DOCUMENT_LIMIT, where), "the document");
  if (value["format"] !== "tessera-store") return read.fail("format", value["format"], '"tessera-store"');
  if (value["version"] !== 1) return read.fail("version", value["version"], "1; a newer page may read it");
  const model = parseModel(read.object(value["model"], "model"), read);
  const layout = parseLayout(read.object(value["layout"], "layout"), read);
  if (model.dims !== layout.dims) return read.fail("layout.dims", layout.dims, `the ${model.dims} of its model`);
  const years = read.list(value["years"], "years", MOST_YEARS).map((year) => parseYear(year, read));
  if (new Set(years).size < years.length) return read.fail("years", [...years], "each year once");
  const zones =
    value["zones"] === "all"
      ? Array.from({ length: 60 }, (_, k) => k + 1)
      : read.list(value["zones"], "zones", 60).map((zone) => read.whole(zone, "zones", 1, 60));
  if (new Set(zones).size < zones.length) return read.fail("zones", [...zones], "each zone once");
  return { model, layout, years, zones };
}

export const parseYear = (value: Parameters<Reading["whole"]>[0], read: Reading): number =>
  read.whole(value, "years", 1972, 2200);

export function parseModel(value: JsonObject, read: Reading): Model {
  const sha256 = read.text(value["sha256"], "model.sha256", 64);
  if (!/^[0-9a-f]{64}$/.test(sha256)) return read.fail("model.sha256", sha256, "64 hexadecimal digits");
  const dims = read.whole(value["dims"], "model.dims", 1, 4096);
  const prefixDims = read.wholes(value["prefix_dims"], "model.prefix_dims", 1, dims);
  const isAscending = prefixDims.every((size, k) => size > (prefixDims[k - 1] ?? 0));
  if (!isAscending || prefixDims.at(-1) !== dims) {
    return read.fail("model.prefix_dims", [...prefixDims], `ascending numbers that end with ${dims}`);
  }
  return { name: read.text(value["name"], "model.name", 200), sha256, dims, prefixDims };
}
