import type { Running } from "../base";
import { fitHead, predictor, type About, type Samples, type Settings } from "../heads";
import type { Kernels } from "../kernels";
import { blocksOf, FEW } from "./blocks";
import { agreement, buffered, bufferOf, earthKm, type Round } from "./buffer";
import { LEAST_LABELS, LEAST_UNITS, makeFolds, spreadOf } from "./folds";
import { intervalOf, partsOf } from "./intervals";
import { confusion, scoresOf, type Matrix } from "./scores";
import type { ClassReport, Report, Scored, Split, Totals } from "./types";

const MANY = 2000; // labels from which two of five folds tell what a random split shows
const WARNED = 10; // labels of a class below which its score says little

export interface Task {
  readonly samples: Samples;
  readonly head: string;
  readonly about: About;
  readonly settings?: Settings;
  readonly seed?: number;
  readonly split?: Split;
}

/**
 * Test a learner: each fold of blocks of land is predicted by a head of the others, and all predictions are scored
 * together. Labels near a tested block are not learnt from, as far as the labels resemble their neighbours. A class with
 * fewer than three labels or in one block only is learnt but not scored.
 */
export async function validate(task: Task, kernels: Kernels, running?: Running): Promise<Report> {
  const { samples, about } = task;
  const [seed, split, y, n] = [task.seed ?? 0, task.split ?? "spatial", samples.target, samples.target.length];
  const held = unitsOf(samples, split);
  const { rounds, km, note } = roundsOf(samples, makeFolds(y, held.units, seed), split);
  const spread = spreadOf(y, held.units, about.classes.length);
  const can = spread.labels.map((labels, k) => {
    const enough = labels >= LEAST_LABELS && (spread.units[k] ?? 0) >= LEAST_UNITS;
    const has = (rows: Int32Array) => rows.some((row) => y[row] === k);
    return enough && rounds.some((round) => has(round.learnt) && has(round.tested)) ? 1 : 0;
  });
  const notes = [...cautions(about, spread, can, split, held), ...(note ? [note] : [])];
  const predicted = new Int32Array(n).fill(-1);
  const known = { held, km, spread, can, predicted, notes, seed };
  if (rounds.length < 2 || can.reduce((a, b) => a + b, 0) < 2) {
    const where = held.km === null ? "place" : `block of ${held.km} km`;
    notes.unshift(`not tested: fewer than two classes have ${LEAST_LABELS} labels in more than one ${where}`);
    return reportOf(task, { ...known, folds: 0, random: null });
  }
  const alone = split === "random" ? undefined : makeFolds(y, Int32Array.from(y.keys()), seed);
  const beside = alone ? foldsOf(alone).slice(0, n >= MANY ? 2 : undefined) : [];
  const total = rounds.length + beside.length;
  await outOfFold(task, kernels, rounds, predicted, running, 0, total);
  const random = new Int32Array(n).fill(-1);
  await outOfFold(task, kernels, beside, random, running, rounds.length, total);
  const met = rounds.flatMap(({ learnt, tested }) => {
    const classes = new Set(learnt.map((row) => y[row] ?? -1));
    return [...tested].filter((row) => can[y[row] ?? 0] && !classes.has(y[row] ?? -1));
  });
  if (met.length)
    notes.push(`${met.length} tested labels count as wrong: their fold learns from no label of their class`);
  return reportOf(task, { ...known, folds: rounds.length, random: beside.length ? random : null });
}

function foldsOf(fold: Int32Array): Round[] {
  const rows = Int32Array.from(fold.keys());
  return [...new Set(fold)]
    .sort((a, b) => a - b)
    .map((one) => ({
      learnt: rows.filter((row) => fold[row] !== one),
      tested: rows.filter((row) => fold[row] === one),
    }))
    .filter((round) => round.learnt.length > 0);
}

/** The folds, and the buffer around what is tested. */
function roundsOf(samples: Samples, fold: Int32Array, split: Split) {
  const rounds = foldsOf(fold);
  const places = earthKm(samples.places);
  const found = split === "spatial" ? agreement(samples.target, places, samples.groups) : undefined;
  if (!found || rounds.length < 2) return { rounds, km: null, note: undefined };
  const { km, wanted } = bufferOf(found, places, rounds);
  const short = km < wanted / 2;
  const [is, should] = [km, wanted].map((one) =>
    one < 1 ? `${Math.round(one * 1000)} m` : `${one.toPrecision(3)} km`,
  );
  const note = short
    ? `labels agree up to ${should} and the buffer is ${is}: neighbours may still flatter the scores; label more places apart`
    : undefined;
  return { rounds: buffered(rounds, places, km), km, note };
}

interface Held {
  readonly units: Int32Array;
  readonly km: number | null;
  readonly unit: "block" | "group" | "label";
}

function unitsOf(samples: Samples, split: Split): Held {
  if (split === "random") return { units: Int32Array.from(samples.target.keys()), km: null, unit: "label" };
  if (split === "group") return { units: samples.groups, km: null, unit: "group" };
  const { side, blocks } = blocksOf(samples.places, samples.groups);
  return { units: blocks, km: side, unit: "block" };
}

/** Predict each fold by a head of the others. */
async function outOfFold(
  { samples, head, about, settings, seed }: Task,
  kernels: Kernels,
  rounds: readonly Round[],
  predicted: Int32Array,
  running: Running | undefined,
  done: number,
  total: number,
): Promise<void> {
  const inner: Running = running?.signal ? { signal: running.signal } : {};
  for (const [index, { learnt, tested }] of rounds.entries()) {
    running?.signal?.throwIfAborted();
    running?.progress?.(done + index, total, "fits");
    const met = [...new Set(learnt.map((row) => samples.target[row] ?? 0))].sort((a, b) => a - b);
    if (met.length === 1) {
      for (const row of tested) predicted[row] = met[0] ?? 0;
      continue;
    }
    const some: About = {
      ...about,
      classes: met.map((k) => about.classes[k] ?? ""),
      colours: met.map((k) => about.colours[k] ?? ""),
    };
    const made = await fitHead(part(samples, learnt, met), head, some, settings, seed, inner);
    const { classes } = await predictor(made, kernels).classify([part(samples, tested, [])], undefined, inner);
    tested.forEach((row, at) => (predicted[row] = met[classes[at] ?? 0] ?? 0));
  }
  running?.progress?.(done + rounds.length, total, "fits");
}

/** Some labels; classes by their place in `met`. */
function part(samples: Samples, rows: Int32Array, met: readonly number[]): Samples {
  const { dims } = samples;
  const place = new Map(met.map((k, index) => [k, index]));
  const codes = new Int8Array(rows.length * dims);
  const places = new Float64Array(rows.length * 2);
  rows.forEach((row, at) => {
    codes.set(samples.codes.subarray(row * dims, (row + 1) * dims), at * dims);
    places.set(samples.places.subarray(2 * row, 2 * row + 2), 2 * at);
  });
  return {
    dims,
    codes,
    places,
    scales: Float32Array.from(rows, (row) => samples.scales[row] ?? NaN),
    target: rows.map((row) => place.get(samples.target[row] ?? -1) ?? -1),
    groups: rows.map((row) => samples.groups[row] ?? 0),
  };
}

type Spread = ReturnType<typeof spreadOf>;

function cautions({ classes }: About, spread: Spread, can: Int32Array, split: Split, held: Held): string[] {
  const few = classes.filter((_, k) => (spread.labels[k] ?? 0) < WARNED);
  const alone = classes.filter((_, k) => spread.units[k] === 1 && held.unit === "block");
  const left = classes.filter((_, k) => !can[k]);
  const blocks = new Set(held.units).size;
  return [
    ...(few.length ? [`fewer than ${WARNED} labels: ${few.join(", ")}. Their scores say little; label more`] : []),
    ...(alone.length ? [`all labels in one block: ${alone.join(", ")}. Label them elsewhere too`] : []),
    ...(left.length
      ? [`learnt but not tested, for fewer than ${LEAST_LABELS} labels or places to hold out: ${left.join(", ")}`]
      : []),
    ...(split === "random"
      ? ["random split: neighbours of one field are learnt from and tested, which promises too much"]
      : []),
    ...(blocks < FEW ? [`intervals rest on ${blocks} ${held.unit}s, fewer than ${FEW}: they may be too narrow`] : []),
  ];
}

interface Known {
  readonly held: Held;
  readonly km: number | null; // of the buffer
  readonly folds: number;
  readonly spread: Spread;
  readonly can: Int32Array;
  readonly predicted: Int32Array;
  readonly random: Int32Array | null;
  readonly notes: readonly string[];
  readonly seed: number;
}

function reportOf({ samples, head, about, split }: Task, known: Known): Report {
  const { held, km, folds, spread, can, predicted, random, notes, seed } = known;
  const { target } = samples;
  const count = about.classes.length;
  const scored = Int32Array.from(target.keys()).filter(
    (row) => (predicted[row] ?? -1) >= 0 && can[target[row] ?? 0] === 1,
  );
  const pick = (values: Int32Array) => scored.map((row) => values[row] ?? -1);
  const whole = confusion(pick(target), pick(predicted), count);
  const units = pick(held.units);
  const { part: parts, parts: many } = partsOf(units, seed);
  const without = Array.from({ length: many }, (_, one) => {
    const inside = scored.filter((_row, at) => parts[at] === one);
    const own = confusion(
      inside.map((row) => target[row] ?? 0),
      inside.map((row) => predicted[row] ?? 0),
      count,
    );
    return scoresOf(less(whole, own));
  });
  const scores = scoresOf(whole);
  const apart = new Set(units).size;
  const total = (get: (one: typeof scores) => number): Scored => intervalOf(get(scores), without.map(get), apart);
  return {
    head,
    split: split ?? "spatial",
    blockKm: held.km,
    bufferKm: km,
    unit: held.unit,
    units: new Set(held.units).size,
    folds,
    labels: target.length,
    tested: scored.length,
    accuracy: total((one) => one.accuracy),
    balancedAccuracy: total((one) => one.balancedAccuracy),
    macroF1: total((one) => one.macroF1),
    meanIou: finite(scores.meanIou),
    kappa: finite(scores.kappa),
    confusion: whole,
    classes: about.classes.map((name, k): ClassReport => {
      const tested = scores.support[k] ?? 0;
      const share = (values: readonly number[]) => (tested ? (values[k] ?? null) : null);
      const of = (one: typeof scores) => ((one.support[k] ?? 0) > 0 ? (one.f1[k] ?? NaN) : NaN);
      return {
        name,
        labels: spread.labels[k] ?? 0,
        blocks: spread.units[k] ?? 0,
        tested,
        precision: share(scores.precision),
        recall: share(scores.recall),
        iou: share(scores.iou),
        f1: total(of),
      };
    }),
    random:
      random &&
      totals(
        samples,
        scored.filter((row) => (random[row] ?? -1) >= 0),
        random,
        count,
      ),
    notes,
    predicted,
  };
}

function totals({ target }: Samples, rows: Int32Array, predicted: Int32Array, count: number): Totals {
  const found = scoresOf(
    confusion(
      rows.map((row) => target[row] ?? 0),
      rows.map((row) => predicted[row] ?? 0),
      count,
    ),
  );
  return {
    accuracy: finite(found.accuracy),
    balancedAccuracy: finite(found.balancedAccuracy),
    macroF1: finite(found.macroF1),
  };
}

function less(a: Matrix, b: Matrix): Matrix {
  return a.map((row, i) => row.map((one, k) => one - (b[i]?.[k] ?? 0)));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
