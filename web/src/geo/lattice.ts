// The lattice of a zone, as src/tessera/geo/lattice.py and shards/layout.py have it: pixels of 10 m, row 0 in the north.
import { PageError } from "../base";
import type { Box, LonLat, Pixel, Window } from "./types";
import { centralMeridian, fromLonLat, toLonLat, zoneOf } from "./utm";

export const PIXEL_SIZE = 10;
export const CELL_SIZE = 1024;
/** Edges of the lattice, pixels from the zone's origin. */
export const WEST = 15 * CELL_SIZE;
export const EAST = 83 * CELL_SIZE;
export const SOUTH = -868 * CELL_SIZE;
export const NORTH = 912 * CELL_SIZE;
export const ROWS = NORTH - SOUTH;
export const COLS = EAST - WEST;

/** The pixel that holds a point, in the zone of its longitude; a point beyond the lattice takes the nearest pixel. */
export function pixelAt(point: LonLat, zone = zoneOf(point[0])): Pixel {
  const [x, y] = fromLonLat(point[0], point[1], zone);
  const px = Math.min(EAST - 1, Math.max(WEST, Math.floor(x / PIXEL_SIZE)));
  const py = Math.min(NORTH - 1, Math.max(SOUTH, Math.floor(y / PIXEL_SIZE)));
  return { zone, row: NORTH - 1 - py, col: px - WEST };
}

/** Easting and northing of a place in a zone's array: (row, col) is the north-west corner of a pixel, + 0.5 its centre. */
export function metresAt(row: number, col: number): [x: number, y: number] {
  return [(WEST + col) * PIXEL_SIZE, (NORTH - row) * PIXEL_SIZE];
}

/** The centre of a pixel, degrees. */
export function lonLatOf(pixel: Pixel): LonLat {
  return toLonLat(...metresAt(pixel.row + 0.5, pixel.col + 0.5), pixel.zone);
}

/** Left, bottom, right, top of a window, metres. */
export function boundsOf(window: Window): [left: number, bottom: number, right: number, top: number] {
  const [left, top] = metresAt(window.row, window.col);
  const [right, bottom] = metresAt(window.row + window.height, window.col + window.width);
  return [left, bottom, right, top];
}

/** Corners of a window in degrees: north-west, north-east, south-east, south-west, as MapLibre wants them. */
export function cornersOf(window: Window): [LonLat, LonLat, LonLat, LonLat] {
  const [left, bottom, right, top] = boundsOf(window);
  const at = (x: number, y: number): LonLat => toLonLat(x, y, window.zone);
  return [at(left, top), at(right, top), at(right, bottom), at(left, bottom)];
}

/** West, south, east, north of a window's outline, degrees; east may pass 180, so that west < east. */
export function boxOf(window: Window): Box {
  const [left, bottom, right, top] = boundsOf(window);
  const middle = centralMeridian(window.zone);
  const box: [number, number, number, number] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k <= 32; k++) {
    const [x, y] = [left + ((right - left) * k) / 32, bottom + ((top - bottom) * k) / 32];
    for (const [px, py] of [
      [x, bottom],
      [x, top],
      [left, y],
      [right, y],
    ] as const) {
      const [lon, lat] = toLonLat(px, py, window.zone);
      const turned = lon - 360 * Math.round((lon - middle) / 360);
      box[0] = Math.min(box[0], turned);
      box[1] = Math.min(box[1], lat);
      box[2] = Math.max(box[2], turned);
      box[3] = Math.max(box[3], lat);
    }
  }
  return box;
}

/** The pixels in both windows, undefined if there are none. */
export function intersect(one: Window, other: Window): Window | undefined {
  if (one.zone !== other.zone) return undefined;
  const row = Math.max(one.row, other.row);
  const col = Math.max(one.col, other.col);
  const height = Math.min(one.row + one.height, other.row + other.height) - row;
  const width = Math.min(one.col + one.width, other.col + other.width) - col;
  return height > 0 && width > 0 ? { zone: one.zone, row, col, height, width } : undefined;
}

export function contains(window: Window, pixel: Pixel): boolean {
  const [down, right] = [pixel.row - window.row, pixel.col - window.col];
  return window.zone === pixel.zone && down >= 0 && down < window.height && right >= 0 && right < window.width;
}

/** Refuses a window that is no rectangle of whole pixels of a zone's array. */
export function checkWindow(window: Window): void {
  const { zone, row, col, height, width } = window;
  const isWhole = [zone, row, col, height, width].every(Number.isInteger);
  if (!isWhole || zone < 1 || zone > 60 || height < 1 || width < 1) {
    throw new PageError("input", `a window of ${width} x ${height} pixels in zone ${zone}; expected at least 1 x 1`);
  }
  if (row < 0 || col < 0 || row + height > ROWS || col + width > COLS) {
    throw new PageError("input", `a window that leaves the pixels of zone ${zone}; expected one inside`);
  }
}
