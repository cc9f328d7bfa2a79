import type { KnnArrays } from "./types";

/**
 * (n, K) shares of the votes of the nearest, or (n, 1) their mean; sums go from the nearest on.
 * Where votes weigh by distance, `own` holds the squares of the vectors; labels at no distance then vote alone.
 */
export function vote(
  found: Int32Array,
  order: Float64Array,
  n: number,
  head: KnnArrays,
  own: Float64Array | undefined,
): Float64Array {
  const { neighbours: k, classes, target } = head;
  const columns = Math.max(1, classes);
  const out = new Float64Array(n * columns);
  const weight = new Float64Array(k).fill(1);
  for (let p = 0; p < n; p++) {
    if (own) weigh(order, p * k, own[p] as number, weight);
    let whole = 0;
    for (let i = 0; i < k; i++) {
      const each = weight[i] as number;
      const label = target[found[p * k + i] as number] as number;
      whole += each;
      const at = p * columns + (classes ? label : 0);
      out[at] = (out[at] as number) + (classes ? each : label * each);
    }
    for (let c = 0; c < columns; c++) out[p * columns + c] = (out[p * columns + c] as number) / whole;
  }
  return out;
}

function weigh(order: Float64Array, at: number, own: number, weight: Float64Array): void {
  let same = false;
  for (let i = 0; i < weight.length; i++) {
    const square = (order[at + i] as number) + own;
    weight[i] = square;
    same ||= square <= 0;
  }
  for (let i = 0; i < weight.length; i++) {
    const square = weight[i] as number;
    weight[i] = same ? (square <= 0 ? 1 : 0) : 1 / Math.sqrt(square);
  }
}
