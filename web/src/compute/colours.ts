// False colours: three numbers of a pixel along axes, stretched between two of their percentiles.
import type { Kernels } from "../kernels";
import { isValid, type Block } from "../store";
import { principalAxes, project, quantile, type Rows } from "../structure";
import type { Colouring } from "./calls";

/** As the stored previews have it (docs/preview.md). */
const GAMMA = 0.7;
const [LOW, HIGH] = [0.02, 0.98];
const MOST = 32767;
const CURVE = Uint8Array.from({ length: 1025 }, (_, k) => Math.round(255 * (k / 1024) ** GAMMA));

/** Colours of the principal axes of sampled vectors, or of three dims of them. */
export function colouringOf(rows: Rows, how: "principal" | readonly [number, number, number]): Colouring {
  const { dims } = rows;
  const found =
    how === "principal"
      ? principalAxes(rows)
      : { dims, mean: new Float64Array(dims), axes: dimAxes(how, dims), variances: new Float64Array(dims) };
  const axes = new Float64Array(3 * dims);
  axes.set(found.axes); // fewer than three dims have fewer axes: their colour stays dark
  const values = project(rows, { ...found, axes });
  const columns = [0, 1, 2].map((k) => values.filter((_, n) => n % 3 === k));
  // 16 bits an axis: an error of a thousandth of the stretch is not seen
  const parts = [0, 1, 2].map((k) => axes.subarray(k * dims, (k + 1) * dims));
  const peaks = parts.map((part) => part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1);
  return {
    axes: Int16Array.from(axes, (value, n) => Math.round((value / (peaks[Math.floor(n / dims)] ?? 1)) * MOST)),
    factor: peaks.map((peak) => peak / MOST),
    shift: parts.map((part) => found.mean.reduce((sum, mean, d) => sum + mean * (part[d] ?? 0), 0)),
    low: columns.map((column) => quantile(column, LOW)),
    high: columns.map((column) => quantile(column, HIGH)),
  };
}

function dimAxes(how: readonly [number, number, number], dims: number): Float64Array {
  const axes = new Float64Array(3 * dims);
  how.forEach((dim, k) => (axes[k * dims + dim] = 1));
  return axes;
}

/** RGBA of a block; transparent where there is no data or outside. */
export function paint(
  { codes, scales, dims }: Block,
  inside: Uint8Array | undefined,
  { axes, factor, shift, low, high }: Colouring,
  kernels: Kernels,
): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray(scales.length * 4);
  const dots = new Int32Array(scales.length * 3);
  kernels.dots(codes, dims, axes, 3, dots);
  for (let pixel = 0; pixel < scales.length; pixel++) {
    const scale = scales[pixel] ?? NaN;
    if (inside?.[pixel] === 0 || !isValid(scale)) continue;
    for (let k = 0; k < 3; k++) {
      const value = (dots[3 * pixel + k] ?? 0) * (factor[k] ?? 0) * scale - (shift[k] ?? 0);
      const span = (high[k] ?? 0) - (low[k] ?? 0);
      const share = span > 0 ? Math.min(1, Math.max(0, (value - (low[k] ?? 0)) / span)) : 0;
      rgba[4 * pixel + k] = CURVE[Math.round(1024 * share)] ?? 0;
    }
    rgba[4 * pixel + 3] = 255;
  }
  return rgba;
}
