import { isObject } from "./values";

const FLOOR = 1e-6; // a probability below this counts as this much

/** Calibrates a row of probabilities in place, as the head's trust says; undefined where it says nothing to do. */
export function calibrationOf(trust: unknown, classes: number): ((row: Float64Array) => void) | undefined {
  const calibration = isObject(trust) ? trust["calibration"] : undefined;
  if (!isObject(calibration)) return undefined;
  const { method, temperature, curves } = calibration;
  if (method === "temperature" && typeof temperature === "number" && temperature >= 1e-3 && temperature <= 1e3) {
    return (row) =>
      scaled(
        row.map((one) => Math.log(Math.max(one, FLOOR)) / temperature),
        row,
      );
  }
  if (method === "isotonic" && Array.isArray(curves) && curves.length === classes && curves.every(isCurve)) {
    return (row) => {
      row.forEach((one, k) => (row[k] = Math.max(FLOOR, between(one, curves[k] as Curve))));
      const sum = row.reduce((a, b) => a + b, 0);
      row.forEach((one, k) => (row[k] = one / sum));
    };
  }
  return undefined;
}

type Curve = readonly [readonly number[], readonly number[]];

function isCurve(value: unknown): value is Curve {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((side) => Array.isArray(side) && side.length > 0 && side.every((one) => typeof one === "number")) &&
    (value[0] as unknown[]).length === (value[1] as unknown[]).length
  );
}

function scaled(logits: Float64Array, row: Float64Array): void {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const grown = logits.map((one) => Math.exp(one - most));
  const sum = grown.reduce((a, b) => a + b, 0);
  grown.forEach((one, k) => (row[k] = one / sum));
}

/** The point of a rising curve at x, straight between its knots, level beyond them. */
function between(x: number, [at, value]: Curve): number {
  const above = at.findIndex((one) => one > x);
  const last = at.length - 1;
  if (above < 0) return value[last] as number;
  if (above === 0) return value[0] as number;
  const [x0, x1, y0, y1] = [at[above - 1], at[above], value[above - 1], value[above]] as [
    number,
    number,
    number,
    number,
  ];
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}
