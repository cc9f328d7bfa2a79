import { Pcg64 } from "../../base";
import type { Learner } from "../types";
import { Fast } from "./random";
import { float32, int32, trainingOf, turns, type Training } from "./samples";

const TREES = 100;
const MOST_DEPTH = 128;

/** Trees on bootstrap samples in which each class is drawn as often; the root of the features is tried at each split. */
export const forest: Learner = {
  head: "forest",
  defaults: { trees: TREES, least: 1 },
  async fit(samples, classes, settings, seed, running) {
    const training = trainingOf(samples, classes);
    const count = Math.max(1, Math.min(2000, Math.floor(Number(settings["trees"] ?? TREES))));
    const least = Math.max(1, Math.floor(Number(settings["least"] ?? 1)));
    const turn = turns(running, count, "trees");
    const ranks = ranked(training);
    const random = new Fast(new Pcg64(seed, 18));
    const [sizes, feature, threshold, leaf]: number[][] = [[], [], [], []];
    const rows = new Map<string, number>();
    const values: number[] = [];
    for (let tree = 0; tree < count; tree++) {
      await turn(tree);
      const grown = grow(training, ranks, random, least);
      sizes?.push(grown.feature.length);
      grown.feature.forEach((one) => feature?.push(one));
      grown.threshold.forEach((one) => threshold?.push(one));
      for (const held of grown.leaves) {
        const key = held.join();
        const row = rows.get(key) ?? rows.size;
        if (row === rows.size) {
          rows.set(key, row);
          values.push(...held);
        }
        leaf?.push(row);
      }
    }
    return {
      features: int32([training.dims]),
      sizes: int32(sizes ?? []),
      feature: { dtype: "int16", shape: [feature?.length ?? 0], data: Int16Array.from(feature ?? []) },
      threshold: float32(threshold ?? []),
      leaf: int32(leaf ?? []),
      values: { dtype: "float64", shape: [rows.size, classes], data: Float64Array.from(values) },
    };
  },
};

/** Values of each feature as their rank among all labels, and back. */
interface Ranks {
  readonly rank: Uint32Array; // (dims, n)
  readonly value: readonly Float64Array[]; // of each rank
}

function ranked({ x, n, dims }: Training): Ranks {
  const rank = new Uint32Array(dims * n);
  const value: Float64Array[] = [];
  for (let d = 0; d < dims; d++) {
    const distinct = Float64Array.from(new Set(Array.from({ length: n }, (_, p) => x[p * dims + d] as number))).sort();
    const place = new Map(Array.from(distinct, (one, index) => [one, index]));
    for (let p = 0; p < n; p++) rank[d * n + p] = place.get(x[p * dims + d] as number) ?? 0;
    value.push(distinct);
  }
  return { rank, value };
}

interface Tree {
  readonly feature: number[];
  readonly threshold: number[];
  readonly leaves: number[][]; // probabilities, in the order of the nodes
}

/** One tree, its nodes in the order of breadth. */
function grow(training: Training, ranks: Ranks, random: Fast, least: number): Tree {
  const { y, n, dims, classes } = training;
  // each class is drawn as often, and a label of it as any other
  const members = Array.from({ length: classes }, (_, k) => Int32Array.from(y.keys()).filter((p) => y[p] === k));
  const rows = Int32Array.from({ length: n }, () => {
    const own = members[random.below(classes)] as Int32Array;
    return own[random.below(own.length)] as number;
  });
  const keys = new Uint32Array(n);
  const order = Int32Array.from({ length: dims }, (_, d) => d);
  const tries = Math.max(1, Math.floor(Math.sqrt(dims)));
  const tree: Tree = { feature: [], threshold: [], leaves: [] };
  let level = [{ from: 0, to: n }];
  for (let depth = 0; level.length; depth++) {
    const next: typeof level = [];
    for (const { from, to } of level) {
      const held = new Float64Array(classes);
      for (let at = from; at < to; at++)
        held[y[rows[at] as number] as number] = (held[y[rows[at] as number] as number] as number) + 1;
      const split =
        depth < MOST_DEPTH && to - from >= 2 * least && held.filter((one) => one > 0).length > 1
          ? best(from, to, held)
          : undefined;
      if (!split) {
        tree.feature.push(-1);
        tree.threshold.push(0);
        tree.leaves.push(Array.from(held, (one) => one / (to - from)));
        continue;
      }
      const middle = divide(from, to, split.feature, split.rank);
      tree.feature.push(split.feature);
      tree.threshold.push(between(ranks, split));
      next.push({ from, to: middle }, { from: middle, to });
    }
    level = next;
  }
  return tree;

  /** The split with the least Gini impurity among some features that vary here. */
  function best(from: number, to: number, held: Float64Array) {
    let found: { feature: number; rank: number; next: number } | undefined;
    let most = -Infinity;
    let tried = 0;
    for (let index = 0; index < dims && tried < tries; index++) {
      const other = index + random.below(dims - index);
      [order[index], order[other]] = [order[other] as number, order[index] as number];
      const feature = order[index] as number;
      for (let at = from; at < to; at++) {
        const row = rows[at] as number;
        keys[at - from] = (ranks.rank[feature * n + row] as number) * 256 + (y[row] as number);
      }
      const sorted = keys.subarray(0, to - from);
      sort(sorted);
      if ((sorted[0] as number) >>> 8 === (sorted[to - from - 1] as number) >>> 8) continue;
      tried++;
      const own = cut(sorted, held);
      if (own && own.gain > most) {
        most = own.gain;
        found = { feature, rank: own.rank, next: own.next };
      }
    }
    return found;
  }

  function cut(sorted: Uint32Array, held: Float64Array) {
    const [left, right] = [new Float64Array(classes), held.slice()];
    let [leftSquare, rightSquare] = [0, right.reduce((sum, one) => sum + one * one, 0)];
    let found: { gain: number; rank: number; next: number } | undefined;
    for (let at = 0; at < sorted.length - 1; at++) {
      const k = (sorted[at] as number) & 255;
      const [l, r] = [left[k] as number, right[k] as number];
      leftSquare += 2 * l + 1;
      rightSquare += 1 - 2 * r;
      left[k] = l + 1;
      right[k] = r - 1;
      const [rank, next] = [(sorted[at] as number) >>> 8, (sorted[at + 1] as number) >>> 8];
      if (rank === next || at + 1 < least || sorted.length - at - 1 < least) continue;
      const gain = leftSquare / (at + 1) + rightSquare / (sorted.length - at - 1);
      if (!found || gain > found.gain) found = { gain, rank, next };
    }
    return found;
  }

  /** Rows up to a rank before the others; where the others begin. */
  function divide(from: number, to: number, feature: number, rank: number): number {
    let middle = from;
    for (let at = from; at < to; at++) {
      const row = rows[at] as number;
      if ((ranks.rank[feature * n + row] as number) > rank) continue;
      rows[at] = rows[middle] as number;
      rows[middle++] = row;
    }
    return middle;
  }
}

/** A float32 between two neighbouring values, the lower one included. */
function between(ranks: Ranks, { feature, rank, next }: { feature: number; rank: number; next: number }): number {
  const values = ranks.value[feature];
  const [low, high] = [values?.[rank] ?? 0, values?.[next] ?? 0];
  const middle = Math.fround((low + high) / 2);
  return middle >= low && middle < high ? middle : low;
}

/** Few numbers are sorted where they are; a typed array's own sort has a price to begin. */
function sort(keys: Uint32Array): void {
  if (keys.length > 40) {
    keys.sort();
    return;
  }
  for (let at = 1; at < keys.length; at++) {
    const key = keys[at] as number;
    let to = at;
    for (; to > 0 && (keys[to - 1] as number) > key; to--) keys[to] = keys[to - 1] as number;
    keys[to] = key;
  }
}
