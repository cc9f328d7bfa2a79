import type { Learner } from "../types";
import { minimise } from "./lbfgs";
import { folded, standardised, trainingOf, turns, type Training } from "./samples";

const VARIANCE = 10; // prior variance of a logit

/** Multinomial logistic regression on standardised features; all classes weigh the same. */
export const linear: Learner = {
  head: "linear",
  defaults: { variance: VARIANCE },
  async fit(samples, classes, settings, _seed, running) {
    const training = trainingOf(samples, classes);
    const { dims, std, mean } = training;
    const x = standardised(training, std);
    // of two classes Python fits one logit, whose halves with opposite signs have half its penalty each
    const penalty = (dims / Number(settings["variance"] ?? VARIANCE)) * (classes === 2 ? 2 : 1);
    const turn = turns(running, 1000, "steps");
    const found = await minimise(
      new Float64Array(classes * (dims + 1)),
      (at, slope) => loss(training, x, penalty, at, slope),
      turn,
    );
    const [weights, bias] = [new Float64Array(classes * dims), new Float64Array(classes)];
    for (let k = 0; k < classes; k++) {
      for (let d = 0; d < dims; d++) weights[k * dims + d] = (found[k * (dims + 1) + d] as number) / (std[d] as number);
      bias[k] = found[k * (dims + 1) + dims] as number;
    }
    return folded(weights, bias, mean);
  },
};

/** Weighted log loss and penalty of weights (K, D + 1), the last of a row its bias; `slope` becomes the gradient. */
function loss(
  { y, n, dims, classes, weight }: Training,
  x: Float64Array,
  penalty: number,
  at: Float64Array,
  slope: Float64Array,
): number {
  const wide = dims + 1;
  const scores = new Float64Array(classes);
  let total = 0;
  slope.fill(0);
  for (let p = 0; p < n; p++) {
    const row = p * dims;
    let [most, sum] = [-Infinity, 0];
    for (let k = 0; k < classes; k++) {
      const from = k * wide;
      let score = at[from + dims] as number;
      for (let d = 0; d < dims; d++) score += (at[from + d] as number) * (x[row + d] as number);
      scores[k] = score;
      if (score > most) most = score;
    }
    const own = scores[y[p] as number] as number;
    for (let k = 0; k < classes; k++) sum += scores[k] = Math.exp((scores[k] as number) - most);
    const each = weight[p] as number;
    total += each * (Math.log(sum) + most - own);
    for (let k = 0; k < classes; k++) {
      const pull = each * ((scores[k] as number) / sum - (k === y[p] ? 1 : 0));
      const from = k * wide;
      for (let d = 0; d < dims; d++) slope[from + d] = (slope[from + d] as number) + pull * (x[row + d] as number);
      slope[from + dims] = (slope[from + dims] as number) + pull;
    }
  }
  for (let k = 0; k < classes; k++) {
    for (let d = 0; d < dims; d++) {
      const own = at[k * wide + d] as number;
      total += (penalty / 2) * own * own;
      slope[k * wide + d] = (slope[k * wide + d] as number) + penalty * own;
    }
  }
  return total;
}
