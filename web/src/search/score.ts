// How like a query each pixel is: cosines of codes, in which the scale cancels, so that zones and years compare.
import { PageError } from "../base";
import type { Kernels } from "../kernels";

/** Vectors as a store keeps them. */
export interface Examples {
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,); what is no data counts for nothing
}

export interface Scoring {
  readonly dims: number;
  readonly positive: Rows;
  readonly negative: Rows; // none where it plays no part
}

/** Rows to compare with: int16 multiples of unit vectors. */
export interface Rows {
  readonly rows: Int16Array; // (count, dims)
  readonly factors: Float64Array; // (count,): a dot product times this is that with the unit vector
  readonly count: number;
}

const MOST = 32767;
const NONE: Rows = { rows: new Int16Array(0), factors: new Float64Array(0), count: 0 };

/** A query made ready: its single vectors exact, a mean of unit vectors to 16 bits. */
export function prepare(
  query: { readonly positive: Examples; readonly negative: Examples; readonly how: "cosine" | "best" | "contrast" },
  dims: number,
): Scoring {
  const [positive, negative] = [rowsOf(query.positive, dims), rowsOf(query.negative, dims)];
  if (positive.count === 0) {
    throw new PageError("input", "the query has no positive example with data; expected at least one");
  }
  const isMean = query.how === "cosine" && positive.count > 1;
  return {
    dims,
    positive: isMean ? meanOf(positive, dims) : positive,
    negative: query.how === "contrast" ? negative : NONE,
  };
}

/** (n,) float32 scores of vectors: the best positive, less the best negative where there are some; NaN is no data. */
export function score(
  scoring: Scoring,
  kernels: Kernels,
  codes: Int8Array,
  scales: Float32Array,
  inside?: Uint8Array,
): Float32Array<ArrayBuffer> {
  const { dims, positive, negative } = scoring;
  const n = scales.length;
  const squares = new Int32Array(n);
  kernels.squares(codes, dims, squares);
  const plus = best(positive, kernels, codes, dims, n);
  const minus = negative.count > 0 ? best(negative, kernels, codes, dims, n) : undefined;
  const out = new Float32Array(n);
  for (let k = 0; k < n; k++) {
    const [scale = NaN, square = 0, high = 0] = [scales[k], squares[k], plus[k]];
    const isData = scale > 0 && scale < Infinity && square > 0 && inside?.[k] !== 0;
    if (!isData) out[k] = NaN;
    else out[k] = (minus ? 2 * high - (minus[k] ?? 0) : high) / Math.sqrt(square);
  }
  return out;
}

/** (n,) the greatest product of each vector with one of the unit vectors. */
function best(rows: Rows, kernels: Kernels, codes: Int8Array, dims: number, n: number): Float64Array {
  const dots = new Int32Array(n * rows.count);
  kernels.dots(codes, dims, rows.rows, rows.count, dots);
  const out = new Float64Array(n).fill(-Infinity);
  for (let k = 0, at = 0; k < n; k++) {
    for (let row = 0; row < rows.count; row++, at++) {
      out[k] = Math.max(out[k] ?? 0, (dots[at] ?? 0) * (rows.factors[row] ?? 0));
    }
  }
  return out;
}

function rowsOf(examples: Examples, dims: number): Rows {
  const numbers = [...examples.scales.keys()].filter((k) => {
    const scale = examples.scales[k] ?? NaN;
    const isData = scale > 0 && scale < Infinity;
    return isData && examples.codes.subarray(k * dims, (k + 1) * dims).some((code) => code !== 0);
  });
  const rows = new Int16Array(numbers.length * dims);
  const factors = new Float64Array(numbers.length);
  numbers.forEach((k, row) => {
    const codes = examples.codes.subarray(k * dims, (k + 1) * dims);
    rows.set(codes, row * dims);
    factors[row] = 1 / Math.sqrt(codes.reduce((sum, code) => sum + code * code, 0));
  });
  return { rows, factors, count: numbers.length };
}

function meanOf({ rows, factors, count }: Rows, dims: number): Rows {
  const mean = new Float64Array(dims);
  for (let row = 0; row < count; row++) {
    for (let d = 0; d < dims; d++) mean[d] = (mean[d] ?? 0) + (rows[row * dims + d] ?? 0) * (factors[row] ?? 0);
  }
  const peak = mean.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (peak === 0)
    throw new PageError("input", "the positive examples cancel each other; expected examples of one kind");
  const row = Int16Array.from(mean, (value) => Math.round((value / peak) * MOST));
  const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
  return { rows: row, factors: Float64Array.of(1 / length), count: 1 };
}
