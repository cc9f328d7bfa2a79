import type { Vectors } from "./distance";

/** Shift of stable places above which a warning is due, as `LIMIT` of Python's `changes/drift.py`. */
export const DRIFT_LIMIT = 0.5;
const FEW = 30; // pixels of a class from which its shift is measured

export interface Drift {
  /** Distance between the means of stable places in the two years over the spread within their class. */
  readonly shift: number;
  readonly pixels: number;
  readonly perClass: ReadonlyMap<number, number>;
}

/** Compare the mean vectors of stable places, class by class (-1 = not stable); undefined if no class has 30 of them. */
export function measureDrift(one: Vectors, other: Vectors, classes: Int32Array, count: number): Drift | undefined {
  const perClass = new Map<number, number>();
  let [sum, pixels] = [0, 0];
  for (let index = 0; index < count; index++) {
    const rows = [...classes.keys()].filter((row) => classes[row] === index);
    if (rows.length < FEW) continue;
    const [first, second] = [moments(one, rows), moments(other, rows)];
    if (!(first.spread > 0)) continue;
    // the mean of n vectors is uncertain by its own spread over n, in each year
    const noise = (first.spread + second.spread) / rows.length;
    const moved = first.mean.reduce((all, value, d) => all + ((second.mean[d] ?? 0) - value) ** 2, 0);
    const shift = Math.sqrt(Math.max(0, moved - noise) / first.spread);
    perClass.set(index, shift);
    sum += shift ** 2 * rows.length;
    pixels += rows.length;
  }
  return pixels > 0 ? { shift: Math.sqrt(sum / pixels), pixels, perClass } : undefined;
}

function moments({ codes, scales, dims }: Vectors, rows: readonly number[]): { mean: Float64Array; spread: number } {
  const mean = new Float64Array(dims);
  const value = (row: number, d: number) => Math.fround((codes[row * dims + d] ?? 0) * (scales[row] ?? NaN));
  for (const row of rows) for (let d = 0; d < dims; d++) mean[d] = (mean[d] ?? 0) + value(row, d) / rows.length;
  let spread = 0;
  for (const row of rows) for (let d = 0; d < dims; d++) spread += (value(row, d) - (mean[d] ?? 0)) ** 2 / rows.length;
  return { mean, spread };
}
