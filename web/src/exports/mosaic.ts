import type { Window } from "../geo";
import { PageError } from "../base";

/** A rectangle of one zone and a value for each of its pixels, row by row from the north. */
export interface Mosaic<Values extends Uint8Array | Float32Array> {
  readonly window: Window;
  readonly values: Values;
}

/** Values of parts of an area. */
export interface Tile<Values extends Uint8Array | Float32Array> {
  readonly window: Window;
  readonly values: Values;
}

const MOST_PIXELS = 2 ** 28; // of one file: 268 million bytes of classes

/** Parts joined, one rectangle a zone; `fill` is what no part covers. */
export function joinClasses(
  tiles: readonly Tile<Uint8Array>[],
  fill: number,
): readonly Mosaic<Uint8Array<ArrayBuffer>>[] {
  return rectangles(tiles).map(({ window, mine }) => {
    const values = new Uint8Array(window.height * window.width).fill(fill);
    for (const tile of mine) copy(tile, window, (row, at) => values.set(row, at));
    return { window, values };
  });
}

/** As `joinClasses`, of numbers; NaN is what no part covers. */
export function joinNumbers(tiles: readonly Tile<Float32Array>[]): readonly Mosaic<Float32Array<ArrayBuffer>>[] {
  return rectangles(tiles).map(({ window, mine }) => {
    const values = new Float32Array(window.height * window.width).fill(NaN);
    for (const tile of mine) copy(tile, window, (row, at) => values.set(row, at));
    return { window, values };
  });
}

function copy<Values extends Uint8Array | Float32Array>(
  { window: from, values }: Tile<Values>,
  window: Window,
  set: (row: Values, at: number) => void,
): void {
  for (let y = 0; y < from.height; y++) {
    const row = values.subarray(y * from.width, (y + 1) * from.width) as Values;
    set(row, (from.row - window.row + y) * window.width + from.col - window.col);
  }
}

function rectangles<Values extends Uint8Array | Float32Array>(
  tiles: readonly Tile<Values>[],
): readonly { window: Window; mine: readonly Tile<Values>[] }[] {
  const zones = [...new Set(tiles.map((tile) => tile.window.zone))].sort((a, b) => a - b);
  return zones.map((zone) => {
    const mine = tiles.filter((tile) => tile.window.zone === zone);
    const row = Math.min(...mine.map(({ window }) => window.row));
    const col = Math.min(...mine.map(({ window }) => window.col));
    const height = Math.max(...mine.map(({ window }) => window.row + window.height)) - row;
    const width = Math.max(...mine.map(({ window }) => window.col + window.width)) - col;
    if (height * width > MOST_PIXELS) {
      throw new PageError(
        "refused",
        `a map of ${width} x ${height} pixels; this page writes at most ${MOST_PIXELS} a file; choose a smaller area`,
      );
    }
    return { window: { zone, row, col, height, width }, mine };
  });
}
