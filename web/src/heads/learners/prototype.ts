import type { Learner } from "../types";
import { folded, standardised, trainingOf, type Training } from "./samples";

const PRIOR = 4; // how many labels the spread of all labels counts for in the spread within classes
const TEMPERATURES = Array.from({ length: 51 }, (_, index) => 10 ** (-1 + index / 10));

/** The nearest class mean, each feature divided by its spread within the classes; written as a linear score. */
export const prototype: Learner = {
  head: "prototype",
  defaults: {},
  async fit(samples, classes, _settings, _seed, running) {
    running?.signal?.throwIfAborted();
    const training = trainingOf(samples, classes);
    const { x, y, n, dims, counts, std, mean } = training;
    const centres = new Float64Array(classes * dims);
    for (let p = 0; p < n; p++) {
      for (let d = 0, to = (y[p] as number) * dims; d < dims; d++, to++) {
        centres[to] = (centres[to] as number) + (x[p * dims + d] as number);
      }
    }
    for (let at = 0; at < centres.length; at++) {
      centres[at] = (centres[at] as number) / (counts[Math.floor(at / dims)] as number);
    }
    const inner = new Float64Array(dims);
    for (let p = 0; p < n; p++) {
      for (let d = 0; d < dims; d++) {
        const gap = (x[p * dims + d] as number) - (centres[(y[p] as number) * dims + d] as number);
        inner[d] = (inner[d] as number) + gap * gap;
      }
    }
    const spread = inner.map((sum, d) => Math.sqrt((sum + PRIOR * (std[d] as number) ** 2) / (n - classes + PRIOR)));
    const nearest = centres.map((one, at) => (one - (mean[at % dims] as number)) / (spread[at % dims] as number));
    const squares = new Float64Array(classes);
    nearest.forEach(
      (one, at) => (squares[Math.floor(at / dims)] = (squares[Math.floor(at / dims)] as number) + one * one),
    );
    const temperature = likeliest(training, standardised(training, spread), nearest, squares);
    const weights = nearest.map((one, at) => one / temperature / (spread[at % dims] as number));
    return folded(
      weights,
      squares.map((one) => -one / 2 / temperature),
      mean,
    );
  },
};

/** The temperature under which labels are likeliest, each left out of the mean of its own class. */
function likeliest(
  { y, n, dims, classes, counts }: Training,
  x: Float64Array,
  centres: Float64Array,
  squares: Float64Array,
): number {
  if (counts.every((count) => count === 1)) return dims;
  const distance = new Float64Array(n * classes);
  for (let p = 0; p < n; p++) {
    let own = 0;
    for (let d = 0; d < dims; d++) own += (x[p * dims + d] as number) ** 2;
    for (let k = 0; k < classes; k++) {
      let dot = 0;
      for (let d = 0; d < dims; d++) dot += (x[p * dims + d] as number) * (centres[k * dims + d] as number);
      distance[p * classes + k] = (own - 2 * dot + (squares[k] as number)) / 2;
    }
    // without the label its class mean lies further off by n / (n - 1)
    const [k, count] = [y[p] as number, counts[y[p] as number] as number];
    if (count > 1) distance[p * classes + k] = (distance[p * classes + k] as number) * (count / (count - 1)) ** 2;
  }
  let [best, least] = [1, Infinity];
  for (const temperature of TEMPERATURES) {
    let loss = 0;
    for (let p = 0; p < n; p++) {
      const count = counts[y[p] as number] as number;
      if (count < 2) continue;
      let [near, sum] = [Infinity, 0];
      for (let k = 0; k < classes; k++) near = Math.min(near, distance[p * classes + k] as number);
      for (let k = 0; k < classes; k++) sum += Math.exp((near - (distance[p * classes + k] as number)) / temperature);
      const own = ((distance[p * classes + (y[p] as number)] as number) - near) / temperature;
      loss += (Math.log(sum) + own) / count;
    }
    if (loss < least) [best, least] = [temperature, loss];
  }
  return best;
}
