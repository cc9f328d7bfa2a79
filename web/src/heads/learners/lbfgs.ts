const MEMORY = 10;
const STEPS = 1000;
const TOLERANCE = 1e-5; // of the largest part of the gradient, as a share of the first

type Objective = (at: Float64Array, slope: Float64Array) => number;

/** The least of a smooth convex function by L-BFGS, with steps that are halved until they gain enough. */
export async function minimise(
  start: Float64Array,
  objective: Objective,
  turn: (done: number) => Promise<void>,
): Promise<Float64Array> {
  let at = start;
  let slope = new Float64Array(start.length);
  let value = objective(at, slope);
  const enough = TOLERANCE * Math.max(1, largest(slope));
  const kept: { step: Float64Array; change: Float64Array; curve: number }[] = [];
  for (let done = 0; done < STEPS && largest(slope) > enough; done++) {
    await turn(done);
    const way = direction(slope, kept);
    const fall = dot(way, slope);
    // a first step of length 1, since nothing is known of the curvature yet
    let length = kept.length ? 1 : Math.min(1, 1 / Math.sqrt(dot(slope, slope)));
    let next = at;
    let nextSlope = slope;
    let nextValue = Infinity;
    for (let tries = 0; tries < 40; tries++, length /= 2) {
      next = at.map((one, index) => one + length * (way[index] as number));
      nextSlope = new Float64Array(at.length);
      nextValue = objective(next, nextSlope);
      if (nextValue <= value + 1e-4 * length * fall) break;
    }
    if (!(nextValue < value)) break;
    const step = next.map((one, index) => one - (at[index] as number));
    const change = nextSlope.map((one, index) => one - (slope[index] as number));
    const curve = dot(step, change);
    if (curve > 1e-12) kept.push({ step, change, curve });
    if (kept.length > MEMORY) kept.shift();
    [at, slope, value] = [next, nextSlope, nextValue];
  }
  return at;
}

/** Downhill by the curvature that the last steps met. */
function direction(slope: Float64Array, kept: readonly { step: Float64Array; change: Float64Array; curve: number }[]) {
  const way = slope.map((one) => -one);
  const shares: number[] = [];
  for (const { step, change, curve } of kept.toReversed()) {
    const share = dot(step, way) / curve;
    shares.push(share);
    add(way, change, -share);
  }
  const last = kept.at(-1);
  if (last) {
    const size = last.curve / dot(last.change, last.change);
    for (let index = 0; index < way.length; index++) way[index] = (way[index] as number) * size;
  }
  for (const { step, change, curve } of kept) add(way, step, (shares.pop() ?? 0) - dot(change, way) / curve);
  return way;
}

function add(to: Float64Array, from: Float64Array, share: number): void {
  for (let index = 0; index < to.length; index++) to[index] = (to[index] as number) + share * (from[index] as number);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index] as number) * (b[index] as number);
  return sum;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const one of values) most = Math.max(most, Math.abs(one));
  return most;
}
