// False colours: three numbers of a pixel along axes, stretched between two of their percentiles.
import { isValid, type Block } from "../store";
import { principalAxes, project, quantile, type Rows } from "../structure";
import type { Colouring } from "./calls";

/** As the stored previews have it (docs/preview.md). */
const GAMMA = 0.7;
const [LOW, HIGH] = [0.02, 0.98];

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
  return {
    axes,
    shift: [0, 1, 2].map((k) => found.mean.reduce((sum, mean, d) => sum + mean * (axes[k * dims + d] ?? 0), 0)),
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
  { axes, shift, low, high }: Colouring,
): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray(scales.length * 4);
  const curve = Uint8Array.from({ length: 1025 }, (_, k) => Math.round(255 * (k / 1024) ** GAMMA));
  for (let k = 0; k < 3; k++) {
    const axis = axes.subarray(k * dims, (k + 1) * dims);
    const used = [...axis.keys()].filter((d) => axis[d] !== 0);
    const only = used.length === 1 ? used[0] : undefined;
    const factor = only === undefined ? 1 : (axis[only] ?? 1);
    const [from, span] = [low[k] ?? 0, (high[k] ?? 1) - (low[k] ?? 0)];
    for (let pixel = 0; pixel < scales.length; pixel++) {
      const scale = scales[pixel] ?? NaN;
      if (inside?.[pixel] === 0 || !isValid(scale)) continue;
      const start = pixel * dims;
      let sum = 0;
      if (only !== undefined) sum = factor * (codes[start + only] ?? 0);
      else for (let d = 0; d < dims; d++) sum += (axis[d] ?? 0) * (codes[start + d] ?? 0);
      const share = span > 0 ? (sum * scale - (shift[k] ?? 0) - from) / span : 0;
      rgba[pixel * 4 + k] = curve[Math.round(1024 * Math.min(1, Math.max(0, share)))] ?? 0;
      rgba[pixel * 4 + 3] = 255;
    }
  }
  return rgba;
}
