import { Pcg64 } from "../../base";
import type { HeadArray, Learner, Samples } from "../types";
import { Fast } from "./random";
import { float32, standardised, trainingOf, turns, type Training } from "./samples";

const HIDDEN = [128, 64];
const [RATE, DECAY, BATCH, DROPOUT] = [2e-3, 0.01, 64, 0.2];
const FEW_EPOCHS = 60;
const [LEAST_STEPS, LEAST_EPOCHS] = [400, [8, 40]] as const; // many labels need fewer epochs
const ENOUGH = 200; // labels from which some groups are held out to choose the epoch
const [BETA1, BETA2, SMALL] = [0.9, 0.999, 1e-8];

/**
 * A small network of 128 and 64 units with ReLU, by AdamW on standardised values; all classes weigh the same. With 200
 * labels or more a fifth of the groups is held out to see how many epochs serve; all labels are then learnt from for as many.
 */
export const mlp: Learner = {
  head: "mlp",
  defaults: { epochs: 0 },
  async fit(samples, classes, settings, seed, running) {
    const training = trainingOf(samples, classes);
    const x = Float32Array.from(standardised(training, training.std));
    const wanted = Math.min(5000, Math.floor(Number(settings["epochs"] ?? 0)));
    const turn = turns(running, 4 * leastEpochs(training.n), "epochs");
    const every = Int32Array.from(training.y.keys());
    const held = wanted > 0 ? undefined : heldOut(samples, training, new Fast(new Pcg64(seed, 6)));
    const found = held ? await bestEpoch(training, x, every, held, seed, turn) : FEW_EPOCHS;
    const network = await train(training, x, every, wanted > 0 ? wanted : found, seed, turn);
    return arrays(network.layers, training);
  },
};

type Turn = (done: number) => Promise<void>;

/** Learn from some labels for so many epochs; `after` says after each whether to go on. */
async function train(
  training: Training,
  x: Float32Array,
  rows: Int32Array,
  epochs: number,
  seed: number,
  turn: Turn,
  after?: (network: Network, epoch: number) => boolean,
): Promise<Network> {
  const random = new Fast(new Pcg64(seed, 5));
  const network = new Network([training.dims, ...HIDDEN, training.classes], random);
  const mixed = rows.slice();
  for (let epoch = 0; epoch < epochs; epoch++) {
    shuffle(mixed, random);
    for (let from = 0; from < mixed.length; from += BATCH) {
      await turn(epoch);
      network.learn(training, x, mixed.subarray(from, from + BATCH));
    }
    if (after && !after(network, epoch)) break;
  }
  return network;
}

/** The number of epochs after which the labels that were held out are likeliest; at least some. */
async function bestEpoch(
  training: Training,
  x: Float32Array,
  every: Int32Array,
  held: Uint8Array,
  seed: number,
  turn: Turn,
): Promise<number> {
  const [learnt, tested] = [every.filter((p) => !held[p]), every.filter((p) => held[p])];
  const some = leastEpochs(training.n);
  let [least, best] = [Infinity, 0];
  await train(training, x, learnt, 2 * some, seed, turn, (network, epoch) => {
    const loss = network.loss(training, x, tested);
    if (loss < least) [least, best] = [loss, epoch + 1];
    return epoch + 1 - best < some / 2;
  });
  return Math.max(some, best);
}

function leastEpochs(labels: number): number {
  const [low, high] = LEAST_EPOCHS;
  return Math.max(low, Math.min(high, Math.round((LEAST_STEPS * BATCH) / labels)));
}

/** A fifth of the groups, but no class's last labels; undefined where labels or groups are few. */
function heldOut(samples: Samples, { y, n, classes }: Training, random: Fast): Uint8Array | undefined {
  const out = new Uint8Array(n);
  const groups = [...new Set(samples.groups)];
  if (n < ENOUGH || groups.length < 5) return undefined;
  shuffle(groups, random);
  const chosen = new Set(groups.slice(0, Math.floor(groups.length / 5)));
  const left = new Uint32Array(classes);
  samples.groups.forEach((group, p) => {
    out[p] = chosen.has(group) ? 1 : 0;
    if (!out[p]) left[y[p] as number] = (left[y[p] as number] as number) + 1;
  });
  const kept = out.map((one, p) => (left[y[p] as number] ? one : 0));
  return kept.includes(1) ? kept : undefined;
}

function shuffle(values: Int32Array | number[], random: Fast): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [values[i], values[j]] = [values[j] as number, values[i] as number];
  }
}

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float32Array; // (in, out), and behind them the biases (out)
}

function arrays(layers: readonly Layer[], { mean, std, dims }: Training): Record<string, HeadArray> {
  const out: Record<string, HeadArray> = {
    mean: float32(mean, [dims]),
    std: float32(std, [dims]),
    scale: { dtype: "float64", shape: [2], data: new Float64Array([0, 1]) },
  };
  layers.forEach(({ inputs, outputs, weights }, index) => {
    out[`weights_${index}`] = float32(weights.subarray(0, inputs * outputs), [inputs, outputs]);
    out[`bias_${index}`] = float32(weights.subarray(inputs * outputs), [outputs]);
  });
  return out;
}

interface Moments {
  readonly first: Float32Array;
  readonly second: Float32Array;
  readonly slope: Float32Array;
}

class Network {
  readonly layers: readonly Layer[];
  readonly #moments: readonly Moments[];
  readonly #random: Fast;
  #steps = 0;

  constructor(sizes: readonly number[], random: Fast) {
    this.#random = random;
    this.layers = sizes.slice(1).map((outputs, index) => {
      const inputs = sizes[index] ?? 1;
      const weights = new Float32Array(inputs * outputs + outputs);
      const spread = 1 / Math.sqrt(inputs);
      for (let at = 0; at < weights.length; at++) weights[at] = (2 * random.next() - 1) * spread;
      return { inputs, outputs, weights };
    });
    this.#moments = this.layers.map(({ weights: { length } }) => ({
      first: new Float32Array(length),
      second: new Float32Array(length),
      slope: new Float32Array(length),
    }));
  }

  /** One step of AdamW on some labels. */
  learn(training: Training, x: Float32Array, rows: Int32Array): void {
    const { y, weight, classes } = training;
    const whole = rows.reduce((sum, p) => sum + (weight[p] as number), 0);
    for (const { slope } of this.#moments) slope.fill(0);
    for (const p of rows) {
      const values = this.#forward(x.subarray(p * training.dims, (p + 1) * training.dims), DROPOUT);
      const out = values.at(-1) as Float32Array;
      softmax(out);
      const each = (weight[p] as number) / whole;
      for (let k = 0; k < classes; k++) out[k] = each * ((out[k] as number) - (k === y[p] ? 1 : 0));
      this.#backward(values);
    }
    this.#step();
  }

  /** Mean loss of labels, classes weighing the same. */
  loss({ y, weight, dims }: Training, x: Float32Array, rows: Int32Array): number {
    let [sum, whole] = [0, 0];
    for (const p of rows) {
      const out = this.#forward(x.subarray(p * dims, (p + 1) * dims), 0).at(-1) as Float32Array;
      softmax(out);
      const each = weight[p] as number;
      sum -= each * Math.log(Math.max(1e-12, out[y[p] as number] as number));
      whole += each;
    }
    return sum / whole;
  }

  /** The values of each layer, the inputs first. */
  #forward(input: Float32Array, dropout: number): Float32Array[] {
    const values = [input];
    this.layers.forEach(({ inputs, outputs, weights }, index) => {
      const from = values[index] as Float32Array;
      const out = weights.slice(inputs * outputs);
      for (let i = 0; i < inputs; i++) {
        const x = from[i] as number;
        if (x === 0) continue;
        for (let o = 0, w = i * outputs; o < outputs; o++, w++)
          out[o] = (out[o] as number) + x * (weights[w] as number);
      }
      if (index < this.layers.length - 1) {
        for (let o = 0; o < outputs; o++) {
          const gone = (out[o] as number) <= 0 || (dropout > 0 && this.#random.next() < dropout);
          out[o] = gone ? 0 : (out[o] as number) / (1 - dropout);
        }
      }
      values.push(out);
    });
    return values;
  }

  /** Adds the slopes of one label; the last values hold that of the loss. */
  #backward(values: readonly Float32Array[]): void {
    let pull = values.at(-1) as Float32Array;
    for (let index = this.layers.length - 1; index >= 0; index--) {
      const { inputs, outputs, weights } = this.layers[index] as Layer;
      const { slope } = this.#moments[index] as Moments;
      const from = values[index] as Float32Array;
      const next = new Float32Array(inputs);
      const scale = index > 0 ? 1 / (1 - DROPOUT) : 1;
      for (let i = 0; i < inputs; i++) {
        const x = from[i] as number;
        if (x === 0) continue; // of hidden units: cut off, so that nothing passes back either
        let sum = 0;
        for (let o = 0, w = i * outputs; o < outputs; o++, w++) {
          const own = pull[o] as number;
          slope[w] = (slope[w] as number) + x * own;
          sum += (weights[w] as number) * own;
        }
        next[i] = sum * scale;
      }
      for (let o = 0, w = inputs * outputs; o < outputs; o++, w++)
        slope[w] = (slope[w] as number) + (pull[o] as number);
      pull = next;
    }
  }

  #step(): void {
    this.#steps++;
    const [one, two] = [1 - BETA1 ** this.#steps, 1 - BETA2 ** this.#steps];
    this.layers.forEach(({ weights }, index) => {
      const { first, second, slope } = this.#moments[index] as Moments;
      for (let at = 0; at < weights.length; at++) {
        const own = slope[at] as number;
        const m = (first[at] = BETA1 * (first[at] as number) + (1 - BETA1) * own);
        const v = (second[at] = BETA2 * (second[at] as number) + (1 - BETA2) * own * own);
        const shrunk = (weights[at] as number) * (1 - RATE * DECAY);
        weights[at] = shrunk - (RATE * (m / one)) / (Math.sqrt(v / two) + SMALL);
      }
    });
  }
}

function softmax(row: Float32Array): void {
  let [most, sum] = [-Infinity, 0];
  for (const one of row) most = Math.max(most, one);
  for (let k = 0; k < row.length; k++) sum += row[k] = Math.exp((row[k] as number) - most);
  for (let k = 0; k < row.length; k++) row[k] = (row[k] as number) / sum;
}
