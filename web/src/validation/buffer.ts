import { Pcg64 } from "../base";
import { numbered } from "./folds";

const RADIUS_KM = 6371;
const ALIKE = 0.1; // agreement beyond chance that counts as none
const [SEEN, NEAREST, PAIRS] = [1500, 16, 30];
const [FIRST_KM, STEP] = [0.02, 1.5]; // lower edge of the second class of distance, and the ratio of two edges
const LEAST_KM = 0.05; // neighbours within it share the 20 m pixels of some bands

/** (n, 2) degrees -> (n, 3) kilometres on a sphere. */
export function earthKm(lonlat: Float64Array): Float64Array {
  const out = new Float64Array((lonlat.length / 2) * 3);
  for (let p = 0; 2 * p < lonlat.length; p++) {
    const [lon, lat] = [((lonlat[2 * p] as number) * Math.PI) / 180, ((lonlat[2 * p + 1] as number) * Math.PI) / 180];
    out.set(
      [Math.cos(lat) * Math.cos(lon), Math.cos(lat) * Math.sin(lon), Math.sin(lat)].map((one) => RADIUS_KM * one),
      3 * p,
    );
  }
  return out;
}

function distance(places: Float64Array, a: number, b: number): number {
  const [x, y, z] = [0, 1, 2].map((axis) => (places[3 * a + axis] as number) - (places[3 * b + axis] as number)) as [
    number,
    number,
    number,
  ];
  return Math.sqrt(x * x + y * y + z * z);
}

/** Kilometres from each of some labels to the nearest of others. */
export function nearestKm(places: Float64Array, rows: Int32Array, others: Int32Array): Float64Array {
  return Float64Array.from(rows, (row) => {
    const [x, y, z] = [places[3 * row], places[3 * row + 1], places[3 * row + 2]] as [number, number, number];
    let least = Infinity;
    for (const other of others) {
      const dx = x - (places[3 * other] as number);
      const dy = y - (places[3 * other + 1] as number);
      const dz = z - (places[3 * other + 2] as number);
      const square = dx * dx + dy * dy + dz * dz;
      if (square < least) least = square;
    }
    return Math.sqrt(least);
  });
}

export interface Agreement {
  readonly rangeKm: number; // from here on labels agree by less than a tenth beyond chance
  readonly near: number; // agreement of the closest pairs, 1 = always
}

/**
 * How labels of different groups agree by their distance, one label a group, as Python's `labels._agreement` measures
 * it. Undefined where labels are too few or all in one place or of one class.
 */
export function agreement(classes: Int32Array, places: Float64Array, groups: Int32Array): Agreement | undefined {
  const generator = new Pcg64(0);
  const drawn = generator.permutation(classes.length);
  const { member, count } = numbered(drawn.map((row) => groups[row] ?? 0));
  const first = new Int32Array(count).fill(-1);
  member.forEach((group, at) => {
    if ((first[group] as number) < 0) first[group] = drawn[at] as number;
  });
  const order = generator.permutation(count).map((at) => first[at] as number);
  if (count < PAIRS) return undefined;
  const { member: kind, count: kinds } = numbered(order.map((row) => classes[row] ?? 0));
  const share = new Float64Array(kinds);
  for (const one of kind) share[one] = (share[one] as number) + 1 / count;
  const chance = share.reduce((sum, one) => sum + one * one, 0);
  const own = Float64Array.from(
    order.length === 0 ? [] : [...order].flatMap((row) => [...places.subarray(3 * row, 3 * row + 3)]),
  );
  const extent = extentOf(own);
  if (chance > 1 - 1e-9 || !(extent > 0)) return undefined;
  const edges = [0];
  for (let step = 0, edge = FIRST_KM; step < 64 && edge < extent; edge = FIRST_KM * STEP ** ++step) edges.push(edge);
  edges.push(Math.max(extent, FIRST_KM));
  const [pairs, totals] = [new Float64Array(edges.length - 1), new Float64Array(edges.length - 1)];
  eachPair(own, (a, b) => {
    const far = distance(own, a, b);
    if (!(far > 0 && far <= extent)) return;
    let bin = edges.length - 2;
    while (bin > 0 && (edges[bin] as number) > far) bin--;
    pairs[bin] = (pairs[bin] as number) + 1;
    totals[bin] = (totals[bin] as number) + ((kind[a] === kind[b] ? 1 : 0) - chance) / (1 - chance);
  });
  const most = pairs.reduce((a, b) => Math.max(a, b), 0);
  if (!most) return undefined;
  const held = [...pairs.keys()].filter((bin) => (pairs[bin] as number) >= Math.min(PAIRS, most));
  // pairs of one label are not independent: a class counts for as many as labels that it holds
  const level = falling(
    held.map((bin) => [(totals[bin] as number) / (pairs[bin] as number), Math.min(pairs[bin] as number, count)]),
  );
  const low = level.findIndex((one) => one <= ALIKE);
  const near = level[0] ?? 0;
  if (low < 0) return { rangeKm: extent, near };
  return { rangeKm: low === 0 ? 0 : (edges[held[low] ?? 0] ?? 0), near };
}

function extentOf(places: Float64Array): number {
  const n = places.length / 3;
  const mean = [0, 1, 2].map((axis) => {
    let sum = 0;
    for (let at = axis; at < places.length; at += 3) sum += places[at] as number;
    return sum / n;
  });
  let most = 0;
  for (let p = 0; p < n; p++) {
    const square = mean.reduce((sum, one, axis) => sum + ((places[3 * p + axis] as number) - one) ** 2, 0);
    most = Math.max(most, Math.sqrt(square));
  }
  return most;
}

/** Pairs of some labels with one another, and with their nearest neighbours among all. */
function eachPair(places: Float64Array, got: (a: number, b: number) => void): void {
  const n = places.length / 3;
  const seen = Math.min(SEEN, n);
  for (let a = 0; a < seen; a++) for (let b = a + 1; b < seen; b++) got(a, b);
  if (n <= seen) return;
  for (let a = 0; a < seen; a++) {
    const all = Float64Array.from({ length: n }, (_, b) => (b === a ? -1 : distance(places, a, b)));
    const far = all.slice().sort()[NEAREST] ?? Infinity;
    // a neighbour that was seen itself is a pair already
    for (let b = seen; b < n; b++) if ((all[b] as number) <= far) got(a, b);
  }
}

/** The nearest values that never rise, from values and their weights (pool adjacent violators). */
function falling(values: readonly (readonly [number, number])[]): number[] {
  const level: { value: number; mass: number; count: number }[] = [];
  for (const [value, mass] of values) {
    level.push({ value, mass, count: 1 });
    for (
      let last = level.at(-1), above = level.at(-2);
      last && above && above.value < last.value;
      last = level.at(-1), above = level.at(-2)
    ) {
      const both = above.mass + last.mass;
      level.splice(-2, 2, {
        value: (above.value * above.mass + last.value * last.mass) / both,
        mass: both,
        count: above.count + last.count,
      });
    }
  }
  return level.flatMap(({ value, count }) => new Array<number>(count).fill(value));
}

/** One round of a cross-validation. */
export interface Round {
  readonly learnt: Int32Array;
  readonly tested: Int32Array;
}

/** The width of the buffer that labels call for, at least 50 m, and no wider than leaves half of what is learnt from. */
export function bufferOf(
  found: Agreement,
  places: Float64Array,
  rounds: readonly Round[],
): { km: number; wanted: number } {
  const wanted = Math.max(found.rangeKm, LEAST_KM);
  const away = Float64Array.from(rounds.flatMap(({ learnt, tested }) => [...nearestKm(places, learnt, tested)])).sort();
  if (!away.length) return { km: wanted, wanted };
  const middle = (away.length - 1) / 2;
  const [low, high] = [away[Math.floor(middle)] ?? wanted, away[Math.ceil(middle)] ?? wanted];
  return { km: Math.min(wanted, low + (high - low) * (middle - Math.floor(middle))), wanted };
}

/** The same rounds without the labels nearer to a tested one than the buffer; those that learn from none are left out. */
export function buffered(rounds: readonly Round[], places: Float64Array, km: number): readonly Round[] {
  return rounds
    .map(({ learnt, tested }) => {
      const far = nearestKm(places, learnt, tested);
      return { learnt: learnt.filter((_, at) => (far[at] as number) >= km), tested };
    })
    .filter((round) => round.learnt.length > 0);
}
