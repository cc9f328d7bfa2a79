import { Pcg64 } from "../base";
import { numbered } from "./folds";
import type { Scored } from "./types";

const PARTS = 200;
const FLOOR = 1e-12;
/** 97.5 % quantiles of Student's t with 1 to 10 degrees of freedom. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
const Z = 1.959963984540054;

/** The part of each label: units, or several of them where there are more than 200, that are left out in turn. */
export function partsOf(units: Int32Array, seed = 0): { readonly part: Int32Array; readonly parts: number } {
  const { member, count } = numbered(units);
  const parts = Math.min(count, PARTS);
  const dealt = new Pcg64(seed, 80).permutation(count).map((one) => one % Math.max(1, parts));
  return { part: member.map((unit) => dealt[unit] as number), parts };
}

/**
 * A share and its 95 % interval by the jackknife: `without` holds the share without each part. Student's t on the logit,
 * so that the interval ends where a share does; a share of exactly 0 or 1 has the binomial bound of as many units.
 */
export function intervalOf(value: number, without: readonly number[], units: number): Scored {
  if (!Number.isFinite(value)) return { value: null, low: null, high: null };
  const count = without.length;
  if (count < 2) return { value, low: null, high: null };
  if (value < FLOOR || value > 1 - FLOOR) {
    const exact = 0.025 ** (1 / Math.max(1, units));
    return value < 0.5 ? { value, low: 0, high: 1 - exact } : { value, low: exact, high: 1 };
  }
  // undefined without one part: that part alone decides, and the others do not tell how it varies
  if (!without.every(Number.isFinite)) return { value, low: null, high: null };
  const mean = without.reduce((a, b) => a + b, 0) / count;
  const error = Math.sqrt(((count - 1) / count) * without.reduce((sum, one) => sum + (one - mean) ** 2, 0));
  const [middle, apart] = [Math.log(value / (1 - value)), (student(count - 1) * error) / (value * (1 - value))];
  const [low, high] = [-1, 1].map((sign) => 1 / (1 + Math.exp(-Math.max(-50, Math.min(50, middle + sign * apart)))));
  return { value, low: low ?? null, high: high ?? null };
}

function student(freedom: number): number {
  if (freedom <= T.length) return T[Math.max(0, freedom - 1)] ?? Z;
  return Z + (Z ** 3 + Z) / (4 * freedom) + (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * freedom ** 2);
}
