import type { Kernels } from "../kernels";

/** Vectors of one year as a store keeps them. */
export interface Vectors {
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,)
  readonly dims: number;
}

/**
 * (n,) cosine distance of the vectors of two years, 0 to 2: 1 - dot / sqrt(square x square) in float64, rounded to
 * float32 once, as `cosine_distance` of Python's `changes/distance.py`. NaN where one is no data or outside.
 */
export function distances(
  one: Vectors,
  other: Vectors,
  kernels: Kernels,
  inside?: Uint8Array,
): Float32Array<ArrayBuffer> {
  const n = one.scales.length;
  const { dims } = one;
  const [first, second] = [new Int32Array(n), new Int32Array(n)];
  kernels.squares(one.codes, dims, first);
  kernels.squares(other.codes, dims, second);
  const out = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const [a, b] = [one.scales[i] ?? NaN, other.scales[i] ?? NaN];
    if (!(a > 0 && a < Infinity && b > 0 && b < Infinity) || inside?.[i] === 0) {
      out[i] = NaN;
      continue;
    }
    let dot = 0;
    for (let d = i * dims; d < (i + 1) * dims; d++) dot += (one.codes[d] as number) * (other.codes[d] as number);
    const product = (first[i] as number) * (second[i] as number);
    const cosine = product > 0 ? dot / Math.sqrt(product) : first[i] === 0 && second[i] === 0 ? 1 : 0;
    out[i] = Math.min(2, Math.max(0, 1 - cosine));
  }
  return out;
}
