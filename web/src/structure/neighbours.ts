import { Pauses, type Running } from "../base";
import type { Kernels } from "../kernels";
import { assign, kmeans } from "./kmeans";
import { Random } from "./random";
import { count, take, type Rows } from "./rows";

/** The k nearest vectors of each vector, itself left out, from the nearest. */
export interface Neighbours {
  readonly k: number;
  readonly index: Int32Array; // (n, k)
  readonly distance: Float32Array; // (n, k) Euclidean
}

const EXACT = 6000; // vectors up to which each is compared with all
const BATCH = 256;

/**
 * Nearest neighbours: each vector with all, or, of many, with the vectors of the cells around its own. There are about
 * sqrt(n) cells of k-means, and those whose centres are nearest to the cell's centre are compared.
 */
export async function neighbours(
  rows: Rows,
  k: number,
  kernels: Kernels,
  seed = 0,
  running: Running = {},
): Promise<Neighbours> {
  const n = count(rows);
  const kept = Math.min(k, n - 1);
  const found: Neighbours = { k: kept, index: new Int32Array(n * kept), distance: new Float32Array(n * kept) };
  const squares = new Int32Array(n);
  kernels.squares(rows.codes, rows.dims, squares);
  const own = Float64Array.from(squares, (square, i) => square * (rows.scales[i] as number) ** 2);
  const pauses = new Pauses(running.signal);
  if (n <= EXACT) {
    const all = Int32Array.from({ length: n }, (_, i) => i);
    await compare(rows, all, all, own, kernels, found, pauses, (done) => running.progress?.(done, n, "vectors"));
    return found;
  }
  const groups = Math.round(Math.sqrt(n));
  const sample = take(rows, new Random(seed).choose(Math.min(n, 60 * groups), n));
  const { centres } = await kmeans(sample, groups, kernels, seed, 4, running.signal ? { signal: running.signal } : {});
  const member = await assign(rows, centres, kernels, pauses);
  const members: number[][] = Array.from({ length: groups }, () => []);
  member.forEach((group, i) => members[group]?.push(i));
  let done = 0;
  const near = new Int32Array(groups * Math.min(groups, PROBES));
  kernels.nearest([centres], centres, Math.min(groups, PROBES), near, new Float64Array(near.length));
  for (let group = 0; group < groups; group++) {
    const mine = Int32Array.from(members[group] ?? []);
    if (mine.length === 0) continue;
    const around = near.subarray(group * Math.min(groups, PROBES), (group + 1) * Math.min(groups, PROBES));
    const candidates: number[] = [...mine];
    for (const other of around) {
      if (other !== group && (candidates.length < LEAST || candidates.length < n / 8))
        candidates.push(...(members[other] ?? []));
    }
    if (candidates.length <= kept)
      for (let i = 0; candidates.length <= kept + 1 && i < n; i++) if (member[i] !== group) candidates.push(i);
    await compare(rows, mine, Int32Array.from(candidates), own, kernels, found, pauses, () => undefined);
    done += mine.length;
    running.progress?.(done, n, "vectors");
  }
  return found;
}

const PROBES = 16; // cells that are compared with one
const LEAST = 2000;

async function compare(
  rows: Rows,
  mine: Int32Array,
  candidates: Int32Array,
  own: Float64Array,
  kernels: Kernels,
  into: Neighbours,
  pauses: Pauses,
  progress: (done: number) => void,
): Promise<void> {
  const { k } = into;
  const others = take(rows, candidates);
  const asked = Math.min(k + 1, candidates.length);
  for (let start = 0; start < mine.length; start += BATCH) {
    const batch = mine.subarray(start, start + BATCH);
    const found = new Int32Array(batch.length * asked);
    const order = new Float64Array(batch.length * asked);
    kernels.nearest([take(rows, batch)], others, asked, found, order);
    for (let i = 0; i < batch.length; i++) {
      const self = batch[i] as number;
      let place = 0;
      for (let j = 0; j < asked && place < k; j++) {
        const other = candidates[found[i * asked + j] as number] as number;
        if (other === self) continue;
        into.index[self * k + place] = other;
        into.distance[self * k + place] = Math.sqrt(
          Math.max(0, (order[i * asked + j] as number) + (own[self] as number)),
        );
        place++;
      }
    }
    progress(start + batch.length);
    await pauses.maybe();
  }
}
