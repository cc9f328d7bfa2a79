import type { Neighbours } from "./neighbours";

/** Edges of the graph that a layout pulls together: from, to, and how strong, 0 to 1. */
export interface Edges {
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly strength: Float32Array;
}

const ROUNDS = 64;
const CLOSE = 1e-5;
const LEAST_SHARE = 1e-3; // of the mean distance: the least width, as in the paper's reference code

/** The fuzzy union of each vector's neighbourhood (McInnes, Healy & Melville 2018, section 3.1). */
export function fuzzyEdges(found: Neighbours): Edges {
  const { k, index } = found;
  const n = index.length / Math.max(1, k);
  const strength = strengths(found, n);
  // each edge is seen from both ends: a + b - a b
  const back = new Map<number, number>();
  for (let i = 0; i < n; i++)
    for (let j = 0; j < k; j++) back.set(i * n + (index[i * k + j] as number), strength[i * k + j] as number);
  const from: number[] = [];
  const to: number[] = [];
  const weight: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < k; j++) {
      const other = index[i * k + j] as number;
      const mine = strength[i * k + j] as number;
      const theirs = back.get(other * n + i) ?? 0;
      if (theirs > 0 && other < i) continue; // the pair was met from its other end
      const both = mine + theirs - mine * theirs;
      if (both <= 0) continue;
      from.push(i, other);
      to.push(other, i);
      weight.push(both, both);
    }
  }
  return { from: Int32Array.from(from), to: Int32Array.from(to), strength: Float32Array.from(weight) };
}

function strengths({ k, distance }: Neighbours, n: number): Float32Array {
  const out = new Float32Array(n * k);
  const target = Math.log2(k + 1); // the vector itself counts
  const overall = distance.reduce((sum, value) => sum + value, 0) / Math.max(1, distance.length);
  for (let i = 0; i < n; i++) {
    const row = distance.subarray(i * k, (i + 1) * k);
    const nearest = row.find((value) => value > 0) ?? 0;
    const mean = row.reduce((sum, value) => sum + value, 0) / Math.max(1, k);
    const width = Math.max(widthOf(row, nearest, target), LEAST_SHARE * (nearest > 0 ? mean : overall));
    for (let j = 0; j < k; j++) {
      const beyond = (row[j] as number) - nearest;
      out[i * k + j] = beyond <= 0 || width === 0 ? 1 : Math.exp(-beyond / width);
    }
  }
  return out;
}

/** The width at which the strengths of a vector's neighbours sum to log2 k, by bisection. */
function widthOf(row: Float32Array, nearest: number, target: number): number {
  let low = 0;
  let high = Infinity;
  let width = 1;
  for (let round = 0; round < ROUNDS; round++) {
    let sum = 0;
    for (const value of row) sum += value > nearest ? Math.exp(-(value - nearest) / width) : 1;
    if (Math.abs(sum - target) < CLOSE) break;
    if (sum > target) {
      high = width;
      width = (low + high) / 2;
    } else {
      low = width;
      width = high === Infinity ? width * 2 : (low + high) / 2;
    }
  }
  return width;
}
