import { PageError, parseJson, type Json, type JsonObject } from "../base";
import type { LonLat } from "../geo";
import type { Shape } from "../labels";
import { Counter, polygon } from "./corners";
import { checkPlace, fromEpsg, type ToLonLat } from "./crs";
import { MOST_BYTES, MOST_COLUMNS, type Row, type Table, type Value } from "./types";

/** Places of a GeoJSON file (RFC 7946; also with the old `crs` member). */
export function readGeoJson(name: string, bytes: Uint8Array): Table {
  const root = parseJson(bytes, MOST_BYTES, name);
  if (!isObject(root)) throw new PageError("input", `${name} holds no GeoJSON; expected a FeatureCollection`);
  const features = featuresOf(root, name);
  const project = crsOf(root, name);
  const counter = new Counter(name);
  const columns = new Set<string>();
  const rows: Row[] = [];
  const left = new Map<string, number>();
  for (const feature of features) {
    if (!isObject(feature)) throw new PageError("input", `${name} has a feature that is no object`);
    counter.row();
    const shapes = shapesOf(feature["geometry"], project, name, counter, left);
    if (shapes.length === 0) continue;
    rows.push({ shapes, values: valuesOf(feature["properties"], columns) });
  }
  return {
    name,
    columns: [...columns],
    rows,
    notes: [...left].map(([what, count]) => `${count} ${what} left out`),
  };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: Json | undefined): readonly Json[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

function featuresOf(root: JsonObject, name: string): readonly Json[] {
  const found = root["type"] === "FeatureCollection" ? list(root["features"]) : undefined;
  if (found) return found;
  if (root["type"] === "Feature") return [root];
  if (typeof root["type"] === "string" && ("coordinates" in root || "geometries" in root)) {
    return [{ type: "Feature", geometry: root, properties: {} }];
  }
  throw new PageError("input", `${name} holds no GeoJSON; expected a FeatureCollection with features`);
}

function crsOf(root: JsonObject, name: string): ToLonLat {
  const crs = root["crs"];
  if (crs === undefined || crs === null) return (x, y) => [x, y];
  const inner = isObject(crs) && isObject(crs["properties"]) ? crs["properties"]["name"] : undefined;
  if (typeof inner !== "string")
    throw new PageError("input", `${name} has a crs that cannot be read; save it in EPSG:4326`);
  if (/CRS84$/i.test(inner)) return (x, y) => [x, y];
  const code = /EPSG:{1,2}(?:[\d.]*:)?(\d{4,6})$/i.exec(inner)?.[1];
  if (code === undefined) throw new PageError("input", `${name} is in ${inner.slice(0, 60)}; save it in EPSG:4326`);
  return fromEpsg(Number(code), name);
}

function shapesOf(
  geometry: Json | undefined,
  project: ToLonLat,
  name: string,
  counter: Counter,
  left: Map<string, number>,
): readonly Shape[] {
  const skip = (what: string): readonly Shape[] => {
    left.set(what, (left.get(what) ?? 0) + 1);
    return [];
  };
  if (!isObject(geometry)) return skip("features without a geometry");
  const at = (value: Json | undefined): LonLat => {
    const [x, y] = list(value) ?? [];
    if (typeof x !== "number" || typeof y !== "number")
      throw new PageError("input", `${name} has a place that is no pair of numbers`);
    counter.corner();
    return checkPlace(...project(x, y), name);
  };
  const area = (value: Json | undefined): readonly Shape[] => {
    const rings = polygon((list(value) ?? []).map((ring) => (list(ring) ?? []).map(at)));
    return rings ? [{ kind: "polygon", rings }] : skip("polygons without an area");
  };
  const coordinates = geometry["coordinates"];
  switch (geometry["type"]) {
    case "Point":
      return (list(coordinates) ?? []).length === 0 ? skip("empty points") : [{ kind: "point", at: at(coordinates) }];
    case "MultiPoint":
      return (list(coordinates) ?? []).map((each) => ({ kind: "point", at: at(each) }));
    case "Polygon":
      return area(coordinates);
    case "MultiPolygon":
      return (list(coordinates) ?? []).flatMap(area);
    case "GeometryCollection":
      return (list(geometry["geometries"]) ?? []).flatMap((each) => shapesOf(each, project, name, counter, left));
    case "LineString":
    case "MultiLineString":
      return skip("lines");
    default:
      throw new PageError(
        "input",
        `${name} has a geometry of type ${String(geometry["type"]).slice(0, 40)}; expected points and polygons`,
      );
  }
}

function valuesOf(properties: Json | undefined, columns: Set<string>): Readonly<Record<string, Value>> {
  if (!isObject(properties)) return {};
  const values: [string, Value][] = [];
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || (typeof value === "object" && value !== null)) continue;
    if (!columns.has(name) && columns.size >= MOST_COLUMNS) continue;
    columns.add(name);
    values.push([name, value]);
  }
  return Object.fromEntries(values);
}
