import { PageError } from "../base";
import type { LonLat } from "../geo";
import type { Shape } from "../labels";
import { Counter, polygon } from "./corners";
import { checkPlace, fromWkt, type ToLonLat } from "./crs";
import { readDbf } from "./dbf";
import type { Row, Table } from "./types";

/** The members of a shapefile, by extension in lower case. */
export type Members = ReadonlyMap<string, Uint8Array>;

const POINT = [1, 11, 21];
const POLYGON = [5, 15, 25];
const MANY = [8, 18, 28];
const LINE = [3, 13, 23];

/** Places of a shapefile: points and polygons, whose heights and measures are left out (ESRI's description of 1998). */
export function readShapefile(name: string, members: Members): Table {
  const shp = members.get("shp");
  const dbf = members.get("dbf");
  if (!shp || !dbf)
    throw new PageError(
      "input",
      `${name} lacks a ${shp ? ".dbf" : ".shp"}; expected .shp, .dbf and .prj of one shapefile`,
    );
  const text = (extension: string) => new TextDecoder().decode(members.get(extension) ?? new Uint8Array());
  const prj = text("prj").trim();
  const project: ToLonLat = prj === "" ? (x, y) => [x, y] : fromWkt(prj, name);
  const { columns, rows: values } = readDbf(dbf, encodingOf(text("cpg")), name);
  const counter = new Counter(name);
  const rows: Row[] = [];
  const left = { lines: 0, empty: 0 };
  const records = recordsOf(shp, name);
  if (records.length !== values.length) {
    throw new PageError("corrupt", `${name} has ${records.length} shapes and ${values.length} rows; save it again`);
  }
  records.forEach((record, i) => {
    counter.row();
    const shapes = shapesOf(record, project, name, counter, left);
    if (shapes.length > 0) rows.push({ shapes, values: values[i] ?? {} });
  });
  const notes = [
    ...(prj === "" ? ["no .prj: its coordinates are taken for degrees"] : []),
    ...(left.lines > 0 ? [`${left.lines} lines left out`] : []),
    ...(left.empty > 0 ? [`${left.empty} shapes without a place or area left out`] : []),
  ];
  return { name, columns, rows, notes };
}

function encodingOf(cpg: string): string {
  const wanted = cpg.trim().toLowerCase();
  if (wanted === "") return "utf-8";
  const known = /^(iso)?[ -]?8859[ -]?1$|^88591$/.test(wanted)
    ? "latin1"
    : wanted.replace(/^(ansi )?125(\d)$/, "windows-125$2");
  try {
    return new TextDecoder(known).encoding;
  } catch {
    return "utf-8";
  }
}

function recordsOf(bytes: Uint8Array, where: string): DataView[] {
  const damaged = () => new PageError("corrupt", `${where}: its .shp is damaged; save the shapefile again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 100 || view.getInt32(0) !== 9994) throw damaged();
  const records: DataView[] = [];
  for (let at = 100; at < bytes.length;) {
    if (at + 12 > bytes.length) throw damaged();
    const length = 2 * view.getInt32(at + 4);
    if (length < 4 || at + 8 + length > bytes.length) throw damaged();
    records.push(new DataView(bytes.buffer, bytes.byteOffset + at + 8, length));
    at += 8 + length;
  }
  return records;
}

function shapesOf(
  record: DataView,
  project: ToLonLat,
  where: string,
  counter: Counter,
  left: { lines: number; empty: number },
): readonly Shape[] {
  const damaged = () => new PageError("corrupt", `${where}: its .shp is damaged; save the shapefile again`);
  const at = (offset: number): LonLat => {
    if (offset + 16 > record.byteLength) throw damaged();
    counter.corner();
    return checkPlace(...project(record.getFloat64(offset, true), record.getFloat64(offset + 8, true)), where);
  };
  const whole = (offset: number): number => {
    if (offset + 4 > record.byteLength) throw damaged();
    const value = record.getInt32(offset, true);
    if (value < 0 || value > record.byteLength) throw damaged();
    return value;
  };
  const type = record.getInt32(0, true);
  if (POINT.includes(type)) return [{ kind: "point", at: at(4) }];
  if (MANY.includes(type)) return Array.from({ length: whole(36) }, (_, i) => ({ kind: "point", at: at(40 + 16 * i) }));
  if (LINE.includes(type)) {
    left.lines++;
    return [];
  }
  if (!POLYGON.includes(type)) {
    if (type !== 0) throw new PageError("input", `${where} has shapes of type ${type}; expected points and polygons`);
    left.empty++;
    return [];
  }
  const [parts, points] = [whole(36), whole(40)];
  const rings = Array.from({ length: parts }, (_, part) => {
    const first = whole(44 + 4 * part);
    const end = part + 1 < parts ? whole(48 + 4 * part) : points;
    if (end < first || end > points) throw damaged();
    return Array.from({ length: end - first }, (_, i) => at(44 + 4 * parts + 16 * (first + i)));
  });
  const found = grouped(rings)
    .map(polygon)
    .filter((each) => each !== undefined);
  if (found.length === 0) left.empty++;
  return found.map((each) => ({ kind: "polygon", rings: each }));
}

/** Outer rings go with the clock, holes against it; a hole belongs to the outer ring that holds its first corner. */
function grouped(rings: readonly (readonly LonLat[])[]): readonly (readonly LonLat[])[][] {
  const outer = rings.filter((ring) => area(ring) < 0).map((ring) => [ring]);
  if (outer.length === 0) return rings.map((ring) => [ring]);
  for (const hole of rings.filter((ring) => area(ring) > 0)) {
    const home = outer.find(([ring]) => ring !== undefined && hole[0] !== undefined && holds(ring, hole[0]));
    (home ?? outer.at(-1))?.push(hole);
  }
  return outer;
}

function area(ring: readonly LonLat[]): number {
  return ring.reduce((sum, [x, y], i) => {
    const [nx, ny] = ring[(i + 1) % ring.length] ?? [x, y];
    return sum + (x * ny - nx * y) / 2;
  }, 0);
}

function holds(ring: readonly LonLat[], [x, y]: LonLat): boolean {
  let inside = false;
  ring.forEach(([ax, ay], i) => {
    const [bx, by] = ring[(i + 1) % ring.length] ?? [ax, ay];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  });
  return inside;
}
