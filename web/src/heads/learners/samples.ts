import type { Running } from "../../base";
import type { HeadArray, Samples } from "../types";
import { refuse } from "../values";

/** What learners compute with: values of the labels, and how much each label weighs. */
export interface Training {
  readonly x: Float64Array; // (n, dims) values, float32 in float64
  readonly y: Int32Array;
  readonly n: number;
  readonly dims: number;
  readonly classes: number;
  readonly counts: Float64Array; // (K,) labels of each class
  readonly weight: Float64Array; // (n,) such that all classes weigh the same and the mean is 1
  readonly mean: Float64Array;
  readonly std: Float64Array; // 1 where a feature does not vary
}

export function trainingOf(samples: Samples, classes: number): Training {
  const { codes, scales, dims, target } = samples;
  const n = scales.length;
  if (n === 0 || codes.length !== n * dims || target.length !== n) {
    refuse(`${codes.length} codes, ${n} scales and ${target.length} labels; expected as many`);
  }
  if (!scales.every((scale) => scale > 0 && scale < Infinity)) refuse("a label without data; expected vectors of data");
  const x = new Float64Array(n * dims);
  for (let p = 0; p < n; p++) {
    const scale = scales[p] as number;
    for (let d = 0, at = p * dims; d < dims; d++, at++) x[at] = Math.fround((codes[at] as number) * scale);
  }
  const counts = new Float64Array(classes);
  for (const one of target) {
    if (one < 0 || one >= classes) refuse(`a label of class ${one}; expected 0 to ${classes - 1}`);
    counts[one] = (counts[one] as number) + 1;
  }
  if (classes < 2 || counts.some((count) => count === 0)) {
    refuse("a class without labels, or a single class; expected two classes or more, each with a label");
  }
  const weight = Float64Array.from(target, (one) => n / (classes * (counts[one] as number)));
  return { x, y: target, n, dims, classes, counts, weight, ...standard(x, n, dims) };
}

/** Mean and standard deviation of each feature. */
export function standard(x: Float64Array, n: number, dims: number) {
  const [mean, std] = [new Float64Array(dims), new Float64Array(dims)];
  for (let at = 0; at < n * dims; at++) mean[at % dims] = (mean[at % dims] as number) + (x[at] as number);
  for (let d = 0; d < dims; d++) mean[d] = (mean[d] as number) / n;
  for (let at = 0; at < n * dims; at++)
    std[at % dims] = (std[at % dims] as number) + ((x[at] as number) - (mean[at % dims] as number)) ** 2;
  for (let d = 0; d < dims; d++) {
    const own = Math.sqrt((std[d] as number) / n);
    std[d] = own > 1e-12 * Math.max(1, Math.abs(mean[d] as number)) ? own : 1;
  }
  return { mean, std };
}

/** (n, dims) less the mean, over the deviation. */
export function standardised({ x, n, dims, mean }: Training, std: Float64Array): Float64Array {
  const out = new Float64Array(n * dims);
  for (let p = 0; p < n; p++) {
    for (let d = 0, at = p * dims; d < dims; d++, at++) {
      out[at] = ((x[at] as number) - (mean[d] as number)) / (std[d] as number);
    }
  }
  return out;
}

const MOST = 32767;

/** Half to even, as numpy rounds. */
function rint(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Weights as whole numbers: per class the largest becomes 32767. `weights` (K, D) are those of values, `bias` (K,) the
 * scores where the values are `mean`.
 */
export function folded(
  weights: Float64Array,
  bias: Float64Array,
  mean: Float64Array,
): Readonly<Record<string, HeadArray>> {
  const [classes, dims] = [bias.length, mean.length];
  const whole = new Int16Array(weights.length);
  const [scale, moved] = [new Float64Array(classes), new Float64Array(classes)];
  for (let k = 0; k < classes; k++) {
    const row = weights.subarray(k * dims, (k + 1) * dims);
    const step = row.reduce((most, one) => Math.max(most, Math.abs(one)), 0) / MOST;
    scale[k] = step;
    let shift = 0;
    for (let d = 0; d < dims; d++) {
      const steps = step > 0 ? rint((row[d] as number) / step) : 0;
      whole[k * dims + d] = steps;
      shift += steps * step * (mean[d] as number);
    }
    moved[k] = (bias[k] as number) - shift;
  }
  return {
    widths: int32([dims]),
    weights: { dtype: "int16", shape: [classes, dims], data: whole },
    scale: { dtype: "float64", shape: [classes, 1], data: scale },
    bias: { dtype: "float64", shape: [classes], data: moved },
  };
}

export function int32(values: ArrayLike<number>): HeadArray {
  return { dtype: "int32", shape: [values.length], data: Int32Array.from(values) };
}

export function float32(values: ArrayLike<number>, shape: readonly number[] = [values.length]): HeadArray {
  return { dtype: "float32", shape, data: Float32Array.from(values) };
}

/** Gives others a turn now and then, and ends where the work was cancelled. */
export function turns(running: Running | undefined, total: number, unit: string): (done: number) => Promise<void> {
  let last = performance.now();
  return async (done) => {
    running?.signal?.throwIfAborted();
    if (performance.now() - last < 40) return;
    running?.progress?.(done, total, unit);
    await new Promise((resolve) => setTimeout(resolve));
    last = performance.now();
    running?.signal?.throwIfAborted();
  };
}
