import type { Running } from "../base";
import type { Kernels, Out, Part } from "../kernels";
import { calibrationOf } from "./calibration";
import { modelOf, type Model } from "./model";
import type { Head } from "./types";
import { refuse } from "./values";

const SLICE = 4096; // pixels between two looks at the signal
const TURN = 40; // milliseconds after which others get a turn
const NO_DATA = 255;

/** Predictions of a head; its tables are made once. */
export interface Predictor {
  readonly head: Head;
  readonly widths: readonly number[]; // dims of each input; vectors of more dims are read by their first ones
  /** Index of the class and confidence, 0 to 254; both 255 where there is no data or `inside` is 0. */
  classify(parts: readonly Part[], inside?: Uint8Array, running?: Running): Promise<Classified>;
  /** (n, K) probabilities, calibrated where the head can; NaN no data. */
  probabilities(parts: readonly Part[], running?: Running): Promise<Float32Array<ArrayBuffer>>;
  /** (n,) numbers of a head of numbers; NaN no data. */
  numbers(parts: readonly Part[], running?: Running): Promise<Float32Array<ArrayBuffer>>;
}

export interface Classified {
  readonly classes: Uint8Array<ArrayBuffer>;
  readonly confidence: Uint8Array<ArrayBuffer>;
}

export function predictor(head: Head, kernels: Kernels): Predictor {
  const model = modelOf(head);
  const widths = head.inputs.map((input) => input.dims);
  const count = head.classes.length;
  const shares = model.run === "knn" || model.run === "forest"; // their scores are probabilities already
  const calibrate = calibrationOf(head.rest["trust"], count);

  /** Slices of vectors, their classes and scores. */
  async function slices(parts: readonly Part[], running: Running | undefined, got: (from: number, out: Full) => void) {
    if (parts.length !== widths.length || parts.some((part, index) => part.dims < (widths[index] ?? 0))) {
      const theirs = parts.map((part) => part.dims).join(" + ");
      refuse(`vectors of ${theirs} dims; the head reads ${widths.join(" + ")}`);
    }
    const total = parts[0]?.scales.length ?? 0;
    let turn = performance.now();
    for (let from = 0; from < total; from += SLICE) {
      running?.signal?.throwIfAborted();
      const n = Math.min(SLICE, total - from);
      const out = { classes: new Uint8Array(n), scores: new Float64Array(n * Math.max(1, count)) };
      apply(
        kernels,
        model,
        parts.map((part, index) => slice(part, from, n, widths[index] ?? 0)),
        out,
      );
      got(from, out);
      running?.progress?.(from + n, total, "pixels");
      if (performance.now() - turn > TURN) {
        await new Promise((resolve) => setTimeout(resolve));
        turn = performance.now();
      }
    }
  }

  /** Probabilities of a row of scores, in place. */
  function probable(scores: Float64Array): void {
    if (Number.isNaN(scores[0])) return;
    if (!shares) softmax(scores);
    calibrate?.(scores);
  }

  /** The probability of the class that was found. */
  function sure(scores: Float64Array, at: number, found: number): number {
    if (calibrate) {
      const row = scores.subarray(at, at + count);
      probable(row);
      return row[found] ?? 0;
    }
    const most = scores[at + found] as number;
    if (shares) return most;
    let sum = 0;
    for (let k = at; k < at + count; k++) sum += Math.exp((scores[k] as number) - most);
    return 1 / sum;
  }

  const ofClasses = () => (count ? undefined : refuse("the head predicts numbers; expected a head of classes"));

  return {
    head,
    widths,
    async classify(parts, inside, running) {
      ofClasses();
      const total = parts[0]?.scales.length ?? 0;
      const classes = new Uint8Array(total).fill(NO_DATA);
      const confidence = new Uint8Array(total).fill(NO_DATA);
      await slices(parts, running, (from, out) => {
        for (let p = 0; p < out.classes.length; p++) {
          const found = out.classes[p] as number;
          if (found === NO_DATA || inside?.[from + p] === 0) continue;
          classes[from + p] = found;
          confidence[from + p] = Math.round(254 * Math.max(0, Math.min(1, sure(out.scores, p * count, found))));
        }
      });
      return { classes, confidence };
    },
    async probabilities(parts, running) {
      ofClasses();
      const made = new Float32Array((parts[0]?.scales.length ?? 0) * count);
      await slices(parts, running, (from, out) => {
        for (let p = 0; p < out.classes.length; p++) probable(out.scores.subarray(p * count, (p + 1) * count));
        made.set(out.scores, from * count);
      });
      return made;
    },
    async numbers(parts, running) {
      if (count) refuse("the head predicts classes; expected a head of numbers");
      const made = new Float32Array(parts[0]?.scales.length ?? 0);
      await slices(parts, running, (from, out) => made.set(out.scores, from));
      return made;
    },
  };
}

type Full = Required<Out>;

function apply(kernels: Kernels, model: Model, parts: readonly Part[], out: Out): void {
  if (model.run === "linear") kernels.linear(parts, model.arrays, out);
  else if (model.run === "knn") kernels.knn(parts, model.arrays, out);
  else if (model.run === "forest") kernels.forest(parts, model.arrays, out);
  else if (model.run === "boosting") kernels.boosting(parts, model.arrays, out);
  else kernels.mlp(parts, model.arrays, out);
}

/** Some vectors, by their first `width` codes. */
function slice({ codes, scales, dims }: Part, from: number, n: number, width: number): Part {
  const own = { scales: scales.subarray(from, from + n), dims: width };
  if (dims === width) return { ...own, codes: codes.subarray(from * dims, (from + n) * dims) };
  const first = new Int8Array(n * width);
  for (let p = 0; p < n; p++) {
    const start = (from + p) * dims;
    first.set(codes.subarray(start, start + width), p * width);
  }
  return { ...own, codes: first };
}

function softmax(row: Float64Array): void {
  let [most, sum] = [-Infinity, 0];
  for (const one of row) most = Math.max(most, one);
  for (let k = 0; k < row.length; k++) sum += row[k] = Math.exp((row[k] as number) - most);
  for (let k = 0; k < row.length; k++) row[k] = (row[k] as number) / sum;
}
