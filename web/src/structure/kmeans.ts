import { Pauses, type Running } from "../base";
import type { Kernels } from "../kernels";
import { quantiseMeans } from "./means";
import { Random } from "./random";
import { count, take, type Rows } from "./rows";

const BATCH = 1024;

/** Groups of alike vectors: the centre of each, and which group each vector is in. */
export interface Clusters {
  readonly centres: Rows;
  readonly member: Int32Array; // (n,)
}

/**
 * k-means by Lloyd's rounds from k-means++ starts (Arthur & Vassilvitskii 2007). Distances are Euclidean and exact on the
 * codes; centres are kept as codes too, so that the kernels compare them.
 */
export async function kmeans(
  rows: Rows,
  k: number,
  kernels: Kernels,
  seed = 0,
  rounds = 12,
  running: Running = {},
): Promise<Clusters> {
  const n = count(rows);
  const wanted = Math.max(1, Math.min(k, n));
  const pauses = new Pauses(running.signal);
  let centres = await starts(rows, wanted, kernels, new Random(seed), pauses);
  let member = new Int32Array(n);
  for (let round = 0; round < rounds; round++) {
    const next = await assign(rows, centres, kernels, pauses);
    const moved = next.some((value, i) => value !== member[i]);
    member = next;
    running.progress?.(round + 1, rounds, "rounds");
    if (!moved && round > 0) break;
    if (round < rounds - 1) centres = quantiseMeans(rows, member, wanted, centres);
  }
  return { centres, member };
}

/** (n,) the nearest centre of each vector, the first of equals. */
export async function assign(
  rows: Rows,
  centres: Rows,
  kernels: Kernels,
  pauses: Pauses,
): Promise<Int32Array<ArrayBuffer>> {
  const n = count(rows);
  const member = new Int32Array(n);
  for (let start = 0; start < n; start += BATCH) {
    const stop = Math.min(start + BATCH, n);
    const part = {
      dims: rows.dims,
      codes: rows.codes.subarray(start * rows.dims, stop * rows.dims),
      scales: rows.scales.subarray(start, stop),
    };
    kernels.nearest([part], centres, 1, member.subarray(start, stop), new Float64Array(stop - start));
    await pauses.maybe();
  }
  return member;
}

async function starts(rows: Rows, k: number, kernels: Kernels, random: Random, pauses: Pauses): Promise<Rows> {
  // a sample is enough to spread the starts, and keeps this step short
  const pool = take(rows, random.choose(Math.max(k, Math.min(count(rows), 40 * k)), count(rows)));
  const n = count(pool);
  const squares = new Int32Array(n);
  kernels.squares(pool.codes, pool.dims, squares);
  const own = Float64Array.from(squares, (square, i) => square * (pool.scales[i] as number) ** 2);
  let gap = new Float64Array(n).fill(Infinity);
  const index = new Int32Array(n);
  const order = new Float64Array(n);
  // of a few draws a step, the one that leaves the least is taken (greedy k-means++, as scikit-learn has it)
  const draws = 2 + Math.floor(Math.log(k));
  const chosen: number[] = [];
  while (chosen.length < k) {
    let best = { total: Infinity, gap, at: -1 };
    const total = gap.reduce((sum, value) => sum + value, 0);
    for (let draw = 0; draw < (chosen.length === 0 ? 1 : draws); draw++) {
      let left = random.next() * total;
      const found = Number.isFinite(total) ? gap.findIndex((value) => (left -= value) < 0) : -1;
      const at = found < 0 ? random.below(n) : found;
      kernels.nearest([pool], take(pool, [at]), 1, index, order);
      const next = gap.map((value, i) => Math.min(value, Math.max(0, (order[i] as number) + (own[i] as number))));
      const sum = next.reduce((all, value) => all + value, 0);
      if (sum < best.total) best = { total: sum, gap: next, at };
    }
    chosen.push(best.at);
    gap = best.gap;
    await pauses.maybe();
  }
  return take(pool, chosen);
}
