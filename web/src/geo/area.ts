// An area cut into zones, its windows, and the pixels inside: the rules of src/tessera/geo/area.py.
import { PageError } from "../base";
import { COLS, ROWS, metresAt } from "./lattice";
import { cutToStrip, ringsOf } from "./rings";
import { Shape } from "./shape";
import type { Area, LonLat, Window } from "./types";
import { LAT_MAX, LAT_MIN, fromLonLat, zoneOf } from "./utm";

const TOLERANCE = 1e-6; // pixels: rounding of a projection must not add a row
/** Square kilometres around an area beyond which nothing is planned. */
const MOST_AREA = 250_000;

/** The part of an area in one zone. */
export class ZonePart {
  readonly zone: number;
  readonly shapes: readonly Shape[];
  readonly window: Window;

  constructor(zone: number, shapes: readonly Shape[]) {
    this.zone = zone;
    this.shapes = shapes;
    const edge = (pick: (shape: Shape) => number, best: (...values: number[]) => number) =>
      shapes.reduce((found, shape) => best(found, pick(shape)), best());
    const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
    const west = Math.floor(edge((shape) => shape.west, Math.min) + TOLERANCE);
    const north = Math.floor(edge((shape) => shape.north, Math.min) + TOLERANCE);
    const east = Math.max(Math.ceil(edge((shape) => shape.east, Math.max) - TOLERANCE), west + 1);
    const south = Math.max(Math.ceil(edge((shape) => shape.south, Math.max) - TOLERANCE), north + 1);
    const [row, col] = [clamp(north, ROWS - 1), clamp(west, COLS - 1)];
    const [height, width] = [Math.max(1, clamp(south, ROWS) - row), Math.max(1, clamp(east, COLS) - col)];
    this.window = { zone, row, col, height, width };
  }

  /** Pixels of a window whose centre is inside, 1 each; undefined where all are. */
  mask(window: Window): Uint8Array<ArrayBuffer> | undefined {
    const mask = new Uint8Array(window.height * window.width);
    let isWhole = true;
    for (let row = 0; row < window.height; row++) {
      const line = mask.subarray(row * window.width, (row + 1) * window.width);
      for (const shape of this.shapes) {
        shape.spans(window.row + row, (first, end) => line.fill(1, clip(first), clip(end)));
      }
      if (isWhole && line.includes(0)) isWhole = false;
    }
    return isWhole ? undefined : mask;

    function clip(col: number): number {
      return Math.min(window.width, Math.max(0, col - window.col));
    }
  }
}

/** The area cut into zones, from west to east; zones that it only touches are left out. */
export function partsOf(area: Area): readonly ZonePart[] {
  const polygons = ringsOf(area);
  const parts: ZonePart[] = [];
  for (let zone = 1; zone <= 60; zone++) {
    const shapes = polygons
      .map((rings) => cutToStrip(rings, 6 * zone - 186, 6 * zone - 180))
      .filter((rings) => rings.length > 0)
      .map((rings) => new Shape(rings, zone))
      .filter((shape) => shape.east > shape.west && shape.south > shape.north);
    if (shapes.length > 0) parts.push(new ZonePart(zone, shapes));
  }
  if (parts.length === 0) {
    throw new PageError("input", `the area lies beyond UTM; expected latitudes from ${LAT_MIN} to ${LAT_MAX}`);
  }
  return parts;
}

/** The whole area in the CRS of one zone, also where it reaches into others. */
export function inZone(area: Area, zone: number): ZonePart {
  const middle = 6 * zone - 183;
  const shapes = ringsOf(area)
    .map((rings) => cutToStrip(rings, middle - 180, middle + 180))
    .filter((rings) => rings.length > 0);
  return new ZonePart(
    zone,
    shapes.map((rings) => new Shape(rings, zone)),
  );
}

/** Middle of an area's bounds, degrees. */
export function centreOf(area: Area): LonLat {
  const [west, south, east, north] = bounds(...ringsOf(area).map(([ring]) => ring ?? []));
  const lon = (west + east) / 2;
  return [lon - 360 * Math.round(lon / 360), Math.min(LAT_MAX, Math.max(LAT_MIN, (south + north) / 2))];
}

/** A grid of squares on a zone's array that what is read keeps to: `unit` is read as a whole. */
export interface Raster {
  readonly unit: number;
  readonly row: number; // row, col: of the grid's corner
  readonly col: number;
  readonly limits?: Window; // nothing lies outside
}

/**
 * Windows of at most `side` pixels on a grid that cover an area, nearest to its centre first. Each is the smallest
 * rectangle of units that holds its pixels, and none lacks pixels.
 */
export function cover(area: Area, side: number, rasterOf: (zone: number) => readonly Raster[]): readonly Window[] {
  const size = spanOf(area);
  if (size > MOST_AREA) {
    const [given, most] = [size, MOST_AREA].map((value) => Math.round(value).toLocaleString("en"));
    throw new PageError(
      "refused",
      `the area spans ${given} square kilometres; expected at most ${most}, choose a smaller one`,
    );
  }
  const parts = partsOf(area);
  const found = parts.flatMap((part) => rasterOf(part.zone).flatMap((raster) => squares(part, side, raster)));
  const centre = centreOf(area);
  const order = new Map(found.map((window) => [window, distance(window, centre)]));
  return found.sort((one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0));
}

/** Square kilometres of the rectangles around the area's polygons. */
function spanOf(area: Area): number {
  const sine = (degrees: number) => Math.sin((degrees * Math.PI) / 180);
  return ringsOf(area).reduce((sum, [ring]) => {
    const [west, south, east, north] = bounds(ring ?? []);
    return sum + Math.max(0, ((east - west) * Math.PI) / 180) * Math.max(0, sine(north) - sine(south)) * 6371 ** 2;
  }, 0);
}

function bounds(...rings: (readonly LonLat[])[]): [west: number, south: number, east: number, north: number] {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon, lat] of rings.flat()) {
    [west, east] = [Math.min(west, lon), Math.max(east, lon)];
    [south, north] = [Math.min(south, lat), Math.max(north, lat)];
  }
  return [west, south, east, north];
}

function distance(window: Window, centre: LonLat): number {
  const near = Math.abs(zoneOf(centre[0]) - window.zone) % 58 <= 1 ? window.zone : undefined;
  if (near === undefined) return 1e9;
  const [x, y] = fromLonLat(centre[0], centre[1], near);
  const [left, top] = metresAt(window.row + window.height / 2, window.col + window.width / 2);
  return Math.hypot(left - x, top - y);
}

function squares(part: ZonePart, side: number, raster: Raster): Window[] {
  const { unit, limits } = raster;
  const block = Math.max(unit, Math.floor(side / unit) * unit);
  const { zone, row, col, height, width } = part.window;
  const top = Math.max(row, limits?.row ?? 0);
  const left = Math.max(col, limits?.col ?? 0);
  const bottom = Math.min(row + height, limits ? limits.row + limits.height : ROWS);
  const right = Math.min(col + width, limits ? limits.col + limits.width : COLS);
  const out: Window[] = [];
  const firstBlock = Math.floor((top - raster.row) / block);
  for (let down = firstBlock; raster.row + down * block < bottom; down++) {
    const met = new Map<number, [top: number, left: number, bottom: number, right: number]>();
    const start = Math.max(top, raster.row + down * block);
    const end = Math.min(bottom, raster.row + (down + 1) * block);
    for (let line = start; line < end; line++) {
      for (const shape of part.shapes) {
        shape.spans(line, (first, after) => mark(met, line, Math.max(first, left), Math.min(after, right)));
      }
    }
    for (const box of met.values()) {
      const snap = (value: number, origin: number, round: (x: number) => number) =>
        origin + round((value - origin) / unit) * unit;
      const [r0, c0] = [snap(box[0], raster.row, Math.floor), snap(box[1], raster.col, Math.floor)];
      const [r1, c1] = [snap(box[2], raster.row, Math.ceil), snap(box[3], raster.col, Math.ceil)];
      const [r, c] = [Math.max(r0, limits?.row ?? 0), Math.max(c0, limits?.col ?? 0)];
      const [lastRow, lastCol] = [
        Math.min(r1, limits ? limits.row + limits.height : ROWS),
        Math.min(c1, limits ? limits.col + limits.width : COLS),
      ];
      out.push({ zone, row: r, col: c, height: lastRow - r, width: lastCol - c });
    }
  }
  return out;

  function mark(met: Map<number, [number, number, number, number]>, line: number, first: number, after: number): void {
    if (after <= first) return;
    for (let at = first; at < after;) {
      const number = Math.floor((at - raster.col) / block);
      const stop = Math.min(after, raster.col + (number + 1) * block);
      const box = met.get(number);
      if (box) {
        box[1] = Math.min(box[1], at);
        box[2] = line + 1;
        box[3] = Math.max(box[3], stop);
      } else met.set(number, [line, at, line + 1, stop]);
      at = stop;
    }
  }
}
