import type { Running } from "../base";

const FLOOR = 0.1; // what a pixel weighs of which the map is sure
const MOST = 2000; // candidates: their distances to each other take 16 MB

export interface Candidates {
  readonly dims: number;
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,) of data
  readonly unsure: Float64Array; // (n,) 0 to 1, `uncertainty` of their probabilities; all 1 without a head
  readonly places: Float64Array; // (n, 2) metres
}

export interface Labelled {
  readonly codes: Int8Array;
  readonly scales: Float32Array;
  readonly places: Float64Array; // (m, 2) metres
}

export interface Suggestion {
  readonly index: number; // of the candidates
  readonly unsure: number;
  readonly gain: number; // share of what is uncertain that a label here explains
}

/** One less the difference of the two highest probabilities of each vector: (n, K) -> (n,). */
export function uncertainty(probabilities: Float32Array, classes: number): Float64Array {
  return Float64Array.from({ length: probabilities.length / classes }, (_, p) => {
    let [first, second] = [0, 0];
    for (let k = 0; k < classes; k++) {
      const one = probabilities[p * classes + k] as number;
      if (one > first) [first, second] = [one, first];
      else if (one > second) second = one;
    }
    return 1 - (first - second);
  });
}

/**
 * Where the next labels help most, the most useful first: where the map is unsure, where vectors are unlike those that
 * are labelled or suggested already, and where many others resemble them (greedy facility location, as tessera.suggest).
 * Unlike Python it takes an even sample of pixels, and does not leave out those that are unlike their neighbours.
 */
export async function suggest(
  candidates: Candidates,
  labelled: Labelled,
  count: number,
  spacing = 100,
  running?: Running,
): Promise<readonly Suggestion[]> {
  const { dims, places, unsure } = candidates;
  const n = Math.min(MOST, candidates.scales.length);
  const free = Uint8Array.from({ length: n }, (_, p) => (isApart(places, p, labelled.places, spacing) ? 1 : 0));
  const values = valuesOf(candidates, n);
  const others = valuesOf({ ...labelled, dims }, labelled.scales.length);
  standardise(values, others, dims);
  const distance = new Float32Array(n * n);
  const nearest = new Float64Array(n).fill(Infinity);
  for (let p = 0; p < n; p++) {
    if (p % 50 === 0) await turn(running, p, n);
    for (let q = p + 1; q < n; q++) distance[p * n + q] = distance[q * n + p] = apart(values, p, values, q, dims);
    for (let q = 0; q < labelled.scales.length; q++)
      nearest[p] = Math.min(nearest[p] as number, apart(values, p, others, q, dims));
  }
  if (!labelled.scales.length) nearest.fill(distance.reduce((sum, one) => sum + one, 0) / Math.max(1, n * n));
  const weight = Float64Array.from({ length: n }, (_, p) => FLOOR + (1 - FLOOR) * (unsure[p] as number));
  const whole = weight.reduce((sum, one, p) => sum + one * (nearest[p] as number), 0);
  const out: Suggestion[] = [];
  while (out.length < count) {
    await turn(running, n, n);
    let [best, most] = [-1, 0];
    for (let p = 0; p < n; p++) {
      if (!free[p]) continue;
      let gain = 0;
      for (let q = 0, at = p * n; q < n; q++, at++) {
        const less = (nearest[q] as number) - (distance[at] as number);
        if (less > 0) gain += (weight[q] as number) * less;
      }
      if (gain > most) [best, most] = [p, gain];
    }
    if (best < 0) break;
    out.push({ index: best, unsure: unsure[best] as number, gain: most / whole });
    const at = places.subarray(2 * best, 2 * best + 2);
    for (let q = 0; q < n; q++) {
      nearest[q] = Math.min(nearest[q] as number, distance[best * n + q] as number);
      if (!isApart(places, q, at, spacing)) free[q] = 0;
    }
    free[best] = 0;
  }
  return out;
}

async function turn(running: Running | undefined, done: number, total: number): Promise<void> {
  running?.signal?.throwIfAborted();
  running?.progress?.(done, total, "pixels");
  await new Promise((resolve) => setTimeout(resolve));
  running?.signal?.throwIfAborted();
}

function isApart(places: Float64Array, p: number, others: Float64Array, spacing: number): boolean {
  for (let at = 0; at < others.length; at += 2) {
    const x = (places[2 * p] as number) - (others[at] as number);
    const y = (places[2 * p + 1] as number) - (others[at + 1] as number);
    if (x * x + y * y < spacing * spacing) return false;
  }
  return true;
}

function valuesOf(rows: { codes: Int8Array; scales: Float32Array; dims: number }, n: number): Float32Array {
  return Float32Array.from(
    { length: n * rows.dims },
    (_, at) => (rows.codes[at] as number) * (rows.scales[Math.floor(at / rows.dims)] as number),
  );
}

/** By the mean and deviation of the candidates, both in place. */
function standardise(values: Float32Array, others: Float32Array, dims: number): void {
  const n = values.length / dims;
  for (let d = 0; d < dims; d++) {
    let [mean, spread] = [0, 0];
    for (let at = d; at < values.length; at += dims) mean += (values[at] as number) / n;
    for (let at = d; at < values.length; at += dims) spread += ((values[at] as number) - mean) ** 2 / n;
    const scale = spread > 0 ? Math.sqrt(spread) : 1;
    for (const rows of [values, others]) {
      for (let at = d; at < rows.length; at += dims) rows[at] = ((rows[at] as number) - mean) / scale;
    }
  }
}

function apart(a: Float32Array, p: number, b: Float32Array, q: number, dims: number): number {
  let sum = 0;
  for (let d = 0, i = p * dims, k = q * dims; d < dims; d++, i++, k++) {
    const gap = (a[i] as number) - (b[k] as number);
    sum += gap * gap;
  }
  return Math.sqrt(sum);
}
