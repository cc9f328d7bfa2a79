import { Pauses, type Running } from "../base";
import type { Kernels } from "../kernels";
import { principalAxes, project } from "./axes";
import { Forces } from "./forces";
import { fuzzyEdges, type Edges } from "./fuzzy";
import { neighbours } from "./neighbours";
import { Random } from "./random";
import { count, take, type Rows } from "./rows";

const PUSHES = 5; // pushes for each pull
const REACH = 4; // longest step of a point along an axis, before the rate
const START = 10; // the first picture is this wide
const JITTER = 1e-4;
const AXES_FROM = 4000; // vectors that the first picture's axes are fitted on

export interface UmapSettings {
  readonly neighbours?: number; // 15, the vector itself among them
  readonly epochs?: number; // 500, 300 or 200 by the number of vectors
  readonly seed?: number;
  readonly every?: number; // epochs between two pictures
}

/** A picture on the way: (n, 2) coordinates, and the epochs that are done. */
export interface Picture {
  readonly points: Float32Array<ArrayBuffer>;
  readonly epoch: number;
  readonly epochs: number;
}

/**
 * UMAP (McInnes, Healy & Melville 2018) of vectors in two dims, as it takes shape: the principal axes first, the last
 * picture is the result. The same rows and seed give the same pictures.
 */
export async function* umap(
  rows: Rows,
  kernels: Kernels,
  settings: UmapSettings = {},
  running: Running = {},
): AsyncGenerator<Picture> {
  const n = count(rows);
  const epochs = settings.epochs ?? (n <= 2500 ? 500 : n <= 7500 ? 300 : 200);
  const random = new Random(settings.seed ?? 0);
  const points = firstPicture(rows, random);
  yield { points: points.slice(), epoch: 0, epochs };
  if (n < 3) return;
  const near = await neighbours(rows, (settings.neighbours ?? 15) - 1, kernels, settings.seed ?? 0, running);
  const edges = frequentEdges(fuzzyEdges(near), epochs);
  const schedule = new Schedule(edges);
  const forces = new Forces();
  const pauses = new Pauses(running.signal);
  const every = settings.every ?? Math.max(1, Math.round(epochs / 25));
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rate = 1 - epoch / epochs;
    for (let start = 0; start < edges.from.length; start += 65536) {
      move(points, edges, schedule, forces, random, epoch, rate, start, Math.min(start + 65536, edges.from.length), n);
      await pauses.maybe();
    }
    running.progress?.(epoch + 1, epochs, "epochs");
    if ((epoch + 1) % every === 0 || epoch + 1 === epochs) yield { points: points.slice(), epoch: epoch + 1, epochs };
  }
}

/** The two principal axes, 10 wide, with a little noise so that no two points share a place. */
function firstPicture(rows: Rows, random: Random): Float32Array<ArrayBuffer> {
  const n = count(rows);
  const sample = n > AXES_FROM ? take(rows, random.choose(AXES_FROM, n)) : rows;
  const found = project(rows, principalAxes(sample, 2));
  const points = new Float32Array(2 * n);
  const columns = found.length / Math.max(1, n);
  let widest = 0;
  for (const value of found) widest = Math.max(widest, Math.abs(value));
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < 2; k++) {
      const value = k < columns ? (found[i * columns + k] as number) : 0;
      points[2 * i + k] = (widest > 0 ? (value / widest) * START : 0) + (random.next() - 0.5) * JITTER;
    }
  }
  return points;
}

/** Edges that are met at least once. */
function frequentEdges(edges: Edges, epochs: number): Edges {
  const strongest = edges.strength.reduce((most, value) => Math.max(most, value), 0);
  const kept: number[] = [];
  edges.strength.forEach((value, i) => {
    if (value >= strongest / epochs) kept.push(i);
  });
  return {
    from: Int32Array.from(kept, (i) => edges.from[i] as number),
    to: Int32Array.from(kept, (i) => edges.to[i] as number),
    strength: Float32Array.from(kept, (i) => (edges.strength[i] as number) / strongest),
  };
}

/** When each edge pulls and pushes next. */
class Schedule {
  readonly every: Float64Array;
  readonly pull: Float64Array;
  readonly push: Float64Array;

  constructor(edges: Edges) {
    this.every = Float64Array.from(edges.strength, (value) => 1 / value);
    this.pull = Float64Array.from(this.every);
    this.push = this.every.map((value) => value / PUSHES);
  }
}

function clip(value: number): number {
  return value > REACH ? REACH : value < -REACH ? -REACH : value;
}

function move(
  points: Float32Array,
  edges: Edges,
  schedule: Schedule,
  forces: Forces,
  random: Random,
  epoch: number,
  rate: number,
  start: number,
  stop: number,
  n: number,
): void {
  const { every, pull, push } = schedule;
  for (let e = start; e < stop; e++) {
    if ((pull[e] as number) > epoch) continue;
    const i = 2 * (edges.from[e] as number);
    const j = 2 * (edges.to[e] as number);
    let x = points[i] as number;
    let y = points[i + 1] as number;
    let dx = x - (points[j] as number);
    let dy = y - (points[j + 1] as number);
    let force = forces.pull(dx * dx + dy * dy);
    const [gx, gy] = [clip(force * dx) * rate, clip(force * dy) * rate];
    x += gx;
    y += gy;
    points[j] = (points[j] as number) - gx;
    points[j + 1] = (points[j + 1] as number) - gy;
    const period = every[e] as number;
    pull[e] = (pull[e] as number) + period;
    const pushes = Math.floor(((epoch - (push[e] as number)) * PUSHES) / period);
    for (let p = 0; p < pushes; p++) {
      const other = 2 * random.below(n);
      if (other === i) continue;
      dx = x - (points[other] as number);
      dy = y - (points[other + 1] as number);
      const square = dx * dx + dy * dy;
      force = forces.push(square);
      x += square > 0 ? clip(force * dx) * rate : REACH * rate;
      y += square > 0 ? clip(force * dy) * rate : REACH * rate;
    }
    if (pushes > 0) push[e] = (push[e] as number) + (pushes * period) / PUSHES;
    points[i] = x;
    points[i + 1] = y;
  }
}
