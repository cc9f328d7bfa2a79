import { PageError } from "../base";

const SHIFT = 12; // low bits of a float32 that a bin leaves out: bins are 0.05 % wide
const BINS = (0x40000000 >> SHIFT) + 2; // distances from 0 to 2
const MAD = 1.4826; // standard deviation of a normal distribution over its median absolute deviation
const ROUNDS = 200;
const APART = 2; // Ashman's D from which two normal distributions are told apart (Ashman et al. 1994)
const FEW = 1000;
export const FALSE_ALARMS = 0.01;

/** Distances counted in narrow bins, as Python's `Histogram` counts them. */
export class Histogram {
  readonly counts = new Float64Array(BINS);
  private readonly number = new Float32Array(1);
  private readonly bits = new Uint32Array(this.number.buffer);

  add(distances: Float32Array, counts?: (i: number) => boolean): void {
    for (let i = 0; i < distances.length; i++) {
      const distance = distances[i] as number;
      if (!Number.isFinite(distance) || counts?.(i) === false) continue;
      this.number[0] = distance;
      const bin = (this.bits[0] as number) >>> SHIFT;
      this.counts[bin] = (this.counts[bin] as number) + 1;
    }
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }

  /** The least upper edge of a bin at or below which a share of the distances lies. */
  quantile(share: number): number {
    const wanted = Math.ceil(share * this.total);
    let reached = 0;
    const place = this.counts.findIndex((count) => (reached += count) >= wanted);
    return edge(place + 1);
  }

  /** Logarithms of the middles of bins above 0 that hold distances, and how many each holds. */
  logs(): { logs: number[]; counts: number[] } {
    const logs: number[] = [];
    const counts: number[] = [];
    for (let place = 1; place < BINS; place++) {
      const count = this.counts[place] as number;
      if (count === 0) continue;
      logs.push(Math.log((edge(place) + edge(place + 1)) / 2));
      counts.push(count);
    }
    return { logs, counts };
  }
}

/** The distance above which a pixel has changed, and how it was found. */
export interface Threshold {
  readonly distance: number;
  readonly source: "same class" | "robust" | "given";
  readonly pixels: number;
  readonly text: string;
}

/** By the pixels of one class in both years, else by the bulk of all: as `find_threshold` of Python. */
export function findThreshold(all: Histogram, same?: Histogram, falseAlarms = FALSE_ALARMS): Threshold {
  const total = all.total;
  if (total === 0)
    throw new PageError("input", "no pixel has data in both years; choose an area that the store covers in each year");
  if (same && same.total > 0) return told(same.quantile(1 - falseAlarms), "same class", same.total, falseAlarms);
  if ((all.counts[0] as number) * 2 >= total) return told(edge(1), "robust", total, falseAlarms);
  const { logs, counts } = all.logs();
  const [mean, deviation] = stablePart(logs, counts);
  const distance = Math.exp(mean + normalQuantile(1 - falseAlarms) * deviation);
  return told(Math.fround(Math.min(2, Math.max(distance, edge(2)))), "robust", total, falseAlarms);
}

function told(distance: number, source: "same class" | "robust", pixels: number, falseAlarms: number): Threshold {
  const share = Number((1 - falseAlarms).toPrecision(4));
  const how =
    source === "same class"
      ? `${share} quantile of ${pixels.toLocaleString("en")} pixels with the same class in both years`
      : `${share} quantile of the lower log-normal part of ${pixels.toLocaleString("en")} distances`;
  const few = pixels < FEW ? `; it rests on few pixels, expected ${FEW.toLocaleString("en")} or more` : "";
  return {
    distance,
    source,
    pixels,
    text: `changed above a cosine distance of ${Number(distance.toPrecision(4))} (${how}${few})`,
  };
}

/** Mean and standard deviation of the lower of two normal distributions that the logarithms are a mixture of. */
function stablePart(logs: readonly number[], counts: readonly number[]): [number, number] {
  const median = weightedMedian(logs, counts);
  const whole: [number, number] = [
    median,
    MAD *
      weightedMedian(
        logs.map((value) => Math.abs(value - median)),
        counts,
      ),
  ];
  const total = counts.reduce((sum, count) => sum + count, 0);
  const share = counts.map((count) => count / total);
  const at = (part: number) => {
    let reached = 0;
    return logs[
      Math.max(
        0,
        share.findIndex((value) => (reached += value) >= part),
      )
    ] as number;
  };
  let means: [number, number] = [at(0.25), at(0.9)];
  let deviations: [number, number] = [Math.max(whole[1], 0.05), Math.max(whole[1], 0.05)];
  let weights: [number, number] = [0.7, 0.3];
  for (let round = 0; round < ROUNDS; round++) {
    const sums = [
      [0, 0, 0],
      [0, 0, 0],
    ] as [number, number, number][];
    const belongs = logs.map((value, i) => {
      const density = [0, 1].map(
        (k) =>
          ((weights[k] as number) *
            Math.exp(-0.5 * ((value - (means[k] as number)) / (deviations[k] as number)) ** 2)) /
            (deviations[k] as number) +
          1e-300,
      );
      const both = (density[0] as number) + (density[1] as number);
      return density.map((each) => (each / both) * (share[i] as number));
    });
    belongs.forEach((parts, i) => {
      parts.forEach((part, k) => {
        const sum = sums[k] as [number, number, number];
        sum[0] += part;
        sum[1] += part * (logs[i] as number);
      });
    });
    weights = [(sums[0] as number[])[0] as number, (sums[1] as number[])[0] as number];
    means = [((sums[0] as number[])[1] as number) / weights[0], ((sums[1] as number[])[1] as number) / weights[1]];
    belongs.forEach((parts, i) => {
      parts.forEach(
        (part, k) =>
          ((sums[k] as [number, number, number])[2] += part * ((logs[i] as number) - (means[k] as number)) ** 2),
      );
    });
    deviations = [
      Math.sqrt(((sums[0] as number[])[2] as number) / weights[0]) + 1e-3,
      Math.sqrt(((sums[1] as number[])[2] as number) / weights[1]) + 1e-3,
    ];
  }
  const apart = (Math.SQRT2 * (means[1] - means[0])) / Math.hypot(...deviations);
  return apart > APART && weights[0] >= 0.5 ? [means[0], deviations[0]] : whole;
}

function weightedMedian(values: readonly number[], weights: readonly number[]): number {
  const order = [...values.keys()].sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let reached = 0;
  const found = order.find((i) => (reached += weights[i] as number) >= Math.floor((total + 1) / 2));
  return values[found ?? 0] as number;
}

function edge(place: number): number {
  const bits = new Uint32Array([Math.min(place, BINS - 1) << SHIFT]);
  return Math.min(2, new Float32Array(bits.buffer)[0] as number);
}

/** The standard normal quantile, by bisection on its distribution: to 1e-12 between 0.001 and 0.999. */
function normalQuantile(share: number): number {
  let [low, high] = [-40, 40];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (normalShare(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The share of a standard normal distribution below x, by its series (Abramowitz & Stegun 26.2.10). */
function normalShare(x: number): number {
  if (x < -8) return 0;
  if (x > 8) return 1;
  let [sum, term] = [x, x];
  for (let k = 1; k < 200; k++) {
    term *= (x * x) / (2 * k + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
}
