import { count, type Rows } from "./rows";

const SWEEPS = 60;
const TINY = 1e-22; // share of the variance that may stay off the diagonal

/** Principal axes, as `principal_axes` of Python's `figures/principal.py` defines them. */
export interface Axes {
  readonly dims: number;
  readonly mean: Float64Array; // (dims,)
  readonly axes: Float64Array; // (count, dims), of length 1, the largest part of each above 0
  readonly variances: Float64Array; // (dims,), the largest first
}

/** The mean and the first principal axes of vectors: covariance in float64, then Jacobi's rotations. */
export function principalAxes(rows: Rows, axes = 3): Axes {
  const { dims } = rows;
  const { mean, covariance } = moments(rows);
  const { values, vectors } = symmetricEigen(covariance, dims);
  const order = [...values.keys()].sort((a, b) => (values[b] as number) - (values[a] as number));
  const kept = Math.min(axes, dims);
  const found = new Float64Array(kept * dims);
  for (let k = 0; k < kept; k++) {
    const column = order[k] as number;
    let largest = 0;
    for (let d = 0; d < dims; d++) {
      const part = vectors[d * dims + column] as number;
      found[k * dims + d] = part;
      if (Math.abs(part) > Math.abs(largest)) largest = part;
    }
    if (largest < 0) for (let d = 0; d < dims; d++) found[k * dims + d] = -(found[k * dims + d] as number);
  }
  return { dims, mean, axes: found, variances: Float64Array.from(order, (i) => Math.max(0, values[i] as number)) };
}

/** (n, count) coordinates of vectors along the axes. */
export function project(rows: Rows, axes: Axes): Float32Array<ArrayBuffer> {
  const { dims } = axes;
  const n = count(rows);
  const kept = axes.axes.length / dims;
  const shift = new Float64Array(kept);
  for (let k = 0; k < kept; k++) shift[k] = dot(axes.axes, k * dims, axes.mean, 0, dims);
  const out = new Float32Array(n * kept);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < kept; k++) {
      out[i * kept + k] =
        dot(rows.codes, i * dims, axes.axes, k * dims, dims) * (rows.scales[i] as number) - (shift[k] as number);
    }
  }
  return out;
}

/** The value below which a share of numbers lies, linear between two, as numpy.percentile has it. NaN where all are NaN. */
export function quantile(numbers: ArrayLike<number>, share: number): number {
  const kept = Float64Array.from(numbers).filter((value) => !Number.isNaN(value));
  kept.sort();
  if (kept.length === 0) return NaN;
  const place = share * (kept.length - 1);
  const below = Math.floor(place);
  const low = kept[below] as number;
  const high = kept[Math.min(below + 1, kept.length - 1)] as number;
  return low + (high - low) * (place - below);
}

/** (n, 3) coordinates to red, green and blue: each is stretched between its 2nd and 98th percentile. */
export function stretch(coordinates: Float32Array): { low: number[]; high: number[] } {
  const low: number[] = [];
  const high: number[] = [];
  for (let k = 0; k < 3; k++) {
    const column = coordinates.filter((_, i) => i % 3 === k);
    low.push(quantile(column, 0.02));
    high.push(quantile(column, 0.98));
  }
  return { low, high };
}

function dot(one: ArrayLike<number>, i: number, other: ArrayLike<number>, j: number, length: number): number {
  let sum = 0;
  for (let d = 0; d < length; d++) sum += (one[i + d] as number) * (other[j + d] as number);
  return sum;
}

function moments(rows: Rows): { mean: Float64Array; covariance: Float64Array } {
  const { dims, codes, scales } = rows;
  const n = count(rows);
  const mean = new Float64Array(dims);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dims; d++)
      mean[d] = (mean[d] as number) + (codes[i * dims + d] as number) * (scales[i] as number);
  }
  for (let d = 0; d < dims; d++) mean[d] = (mean[d] as number) / Math.max(1, n);
  const covariance = new Float64Array(dims * dims);
  const centred = new Float64Array(dims);
  for (let i = 0; i < n; i++) {
    for (let d = 0; d < dims; d++)
      centred[d] = (codes[i * dims + d] as number) * (scales[i] as number) - (mean[d] as number);
    for (let a = 0; a < dims; a++) {
      const value = centred[a] as number;
      for (let b = a; b < dims; b++)
        covariance[a * dims + b] = (covariance[a * dims + b] as number) + value * (centred[b] as number);
    }
  }
  for (let a = 0; a < dims; a++) {
    for (let b = a; b < dims; b++) {
      const value = (covariance[a * dims + b] as number) / Math.max(1, n - 1);
      covariance[a * dims + b] = value;
      covariance[b * dims + a] = value;
    }
  }
  return { mean, covariance };
}

/** Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by cyclic Jacobi rotations (Golub & Van Loan, 8.5). */
export function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array } {
  const a = Float64Array.from(matrix);
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  const all = a.reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += (a[p * n + q] as number) ** 2;
    if (off <= TINY * all) break;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * n + i] as number), vectors: v };
}

function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q] as number;
  if (apq === 0) return;
  const app = a[p * n + p] as number;
  const aqq = a[q * n + q] as number;
  const theta = (aqq - app) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const kp = a[k * n + p] as number;
    const kq = a[k * n + q] as number;
    a[k * n + p] = c * kp - s * kq;
    a[k * n + q] = s * kp + c * kq;
    const vp = v[k * n + p] as number;
    const vq = v[k * n + q] as number;
    v[k * n + p] = c * vp - s * vq;
    v[k * n + q] = s * vp + c * vq;
  }
  for (let k = 0; k < n; k++) {
    const pk = a[p * n + k] as number;
    const qk = a[q * n + k] as number;
    a[p * n + k] = c * pk - s * qk;
    a[q * n + k] = s * pk + c * qk;
  }
}
