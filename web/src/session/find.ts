import { PageError } from "../base";
import type { Query } from "../compute";
import { contains, lonLatOf, pixelAt, type LonLat, type Pixel } from "../geo";
import type { Label } from "../labels";
import type { Mark, Tile } from "../map";
import type { Example } from "./finding.svelte";
import { countAbove } from "./layers";
import { load } from "./look";
import { RAMPS } from "./ramps";
import type { Session } from "./session.svelte";

export const SCORES = "scores";
const MOST_EXAMPLES = 200;
const MOST_PROPOSALS = 300;

function queryPart(examples: readonly Example[], dims: number): Query["positive"] {
  const codes = new Int8Array(examples.length * dims);
  examples.forEach((each, index) => codes.set(each.codes.subarray(0, dims), index * dims));
  return { codes, scales: Float32Array.from(examples, (each) => each.scale) };
}

function showExamples(session: Session): void {
  const marks = (list: readonly Example[], look: Mark["look"], colour: string): Mark[] =>
    list.map(({ id, at }) => ({ id, shape: { kind: "point", at }, colour, look }));
  const { positives, negatives } = session.finding;
  session.setMarks("find", [...marks(positives, "chosen", "#009e73"), ...marks(negatives, "negative", "#d55e00")]);
}

/** The vector of the pixel at a place becomes an example of what is looked for, or of what is not. */
export async function addExample(session: Session, at: LonLat, sign: 1 | -1, isLast = true): Promise<void> {
  const { finding, store, year } = session;
  if (!store || year === undefined) return;
  if (finding.positives.length + finding.negatives.length >= MOST_EXAMPLES)
    return session.tell(`There are ${MOST_EXAMPLES} examples, which is the most.`);
  const pixel = pixelAt(at);
  const example = await session.jobs.run(
    "scoring",
    "Reading a pixel",
    async (running): Promise<Example> => {
      const known = session.looking.loaded[year];
      const isHere = known?.windows.some((window) => contains(window, pixel)) ?? false;
      const block =
        isHere && known
          ? await known.gather([pixel], running)
          : (await store.points([at], year, session.dims, running))[0];
      const scale = block?.scales[0] ?? NaN;
      if (!block || !(Number.isFinite(scale) && scale > 0))
        throw new PageError("missing", "There is no data at this place and year; click where the map has colours.");
      return { id: crypto.randomUUID(), at: lonLatOf(pixel), pixel, codes: block.codes.slice(0, session.dims), scale };
    },
    { lane: "example" },
  );
  if (!example) return;
  if (sign > 0) finding.positives = [...finding.positives, example];
  else finding.negatives = [...finding.negatives, example];
  showExamples(session);
  if (isLast) await score(session);
}

export async function removeExample(session: Session, id: string): Promise<void> {
  const { finding } = session;
  finding.positives = finding.positives.filter((each) => each.id !== id);
  finding.negatives = finding.negatives.filter((each) => each.id !== id);
  showExamples(session);
  if (finding.positives.length > 0) await score(session);
  else clearScores(session);
}

export function clearScores(session: Session): void {
  const { finding } = session;
  [finding.positives, finding.negatives] = [[], []];
  [finding.pixels, finding.above, finding.best] = [0, 0, undefined];
  finding.isChosen = false;
  session.dropLayer(SCORES);
  showExamples(session);
}

/** How like the examples each pixel of the area is. */
export async function score(session: Session): Promise<void> {
  const { finding } = session;
  if (finding.positives.length === 0) return;
  const loaded = await load(session);
  if (!loaded) return;
  const query: Query = {
    positive: queryPart(finding.positives, loaded.dims),
    negative: queryPart(finding.negatives, loaded.dims),
    how: finding.negatives.length > 0 ? "contrast" : finding.how,
  };
  const tiles: Tile[] = [];
  const done = await session.jobs.run(
    "scoring",
    "Comparing pixels",
    async (running) => {
      await loaded.score(query, ({ window, scores }) => tiles.push({ window, step: 1, data: scores }), running);
      return true;
    },
    { lane: "score", retry: () => void score(session) },
  );
  if (!done) return;
  session.putLayer({
    id: SCORES,
    title: `Like the examples, ${loaded.year}`,
    paint: paint(finding.threshold, finding.range),
    tiles,
    visible: true,
    opacity: 1,
    side: "both",
  });
  const { pixels, best, low, tenth } = summary(tiles);
  finding.pixels = pixels;
  finding.best = pixels > 0 ? best : undefined;
  if (pixels > 0) finding.range = [Math.min(0.9, Math.floor(low * 20) / 20), Math.max(1, Math.ceil(best * 20) / 20)];
  // until the user says otherwise, the tenth that is most alike
  const threshold = finding.isChosen || pixels === 0 ? finding.threshold : Math.round(tenth * 200) / 200;
  apply(session, threshold);
  session.tell(
    `${finding.above.toLocaleString("en")} of ${pixels.toLocaleString("en")} pixels are at or above the threshold.`,
  );
}

function paint(threshold: number, [low, high]: readonly [number, number]) {
  return { kind: "scores", low, high, threshold, ramp: RAMPS.viridis } as const;
}

const BINS = 4096;

/** The best score, and those that all but a hundredth, and only a tenth, of the pixels reach. */
function summary(tiles: readonly Tile[]): { pixels: number; best: number; low: number; tenth: number } {
  const bins = new Uint32Array(BINS); // of scores from -2 to 3
  let [pixels, best] = [0, -Infinity];
  for (const { data } of tiles)
    for (const value of data) {
      if (value !== value) continue;
      pixels += 1;
      if (value > best) best = value;
      const bin = Math.min(BINS - 1, Math.max(0, Math.floor(((value + 2) / 5) * BINS)));
      bins[bin] = (bins[bin] ?? 0) + 1;
    }
  const reached = (share: number) => {
    let sum = 0;
    for (let bin = BINS - 1; bin >= 0; bin -= 1) {
      sum += bins[bin] ?? 0;
      if (sum >= share * pixels) return (bin / BINS) * 5 - 2;
    }
    return -2;
  };
  return { pixels, best, low: reached(0.99), tenth: reached(0.1) };
}

function apply(session: Session, threshold: number): void {
  const { finding } = session;
  finding.threshold = threshold;
  session.changeLayer(SCORES, { paint: paint(threshold, finding.range) });
  finding.above = countAbove(session.layer(SCORES), threshold);
}

/** Another threshold: nothing is read and nothing computed again but the count. */
export function setThreshold(session: Session, threshold: number): void {
  session.finding.isChosen = true;
  apply(session, threshold);
}

/** Pixels above the threshold, spread over the area, become proposed labels of the chosen class. */
export function propose(session: Session): void {
  const { labelling, finding } = session;
  const active = labelling.active;
  const layer = session.layer(SCORES);
  if (!active) return session.tell("Add a class in the Label panel first.");
  if (!layer) return;
  const side = Math.max(3, Math.ceil(Math.sqrt(Math.max(1, finding.above) / MOST_PROPOSALS)));
  const group = crypto.randomUUID();
  const best = new Map<string, { pixel: Pixel; score: number }>(); // of each square of the land
  for (const { window, data } of layer.tiles)
    for (let index = 0; index < data.length; index += 1) {
      const value = data[index] ?? NaN;
      if (!(value >= finding.threshold)) continue;
      const pixel = {
        zone: window.zone,
        row: window.row + Math.floor(index / window.width),
        col: window.col + (index % window.width),
      };
      const key = `${pixel.zone}:${Math.floor(pixel.row / side)}:${Math.floor(pixel.col / side)}`;
      if (value > (best.get(key)?.score ?? -Infinity)) best.set(key, { pixel, score: value });
    }
  const chosen = [...best.values()].sort((a, b) => b.score - a.score).slice(0, MOST_PROPOSALS);
  const labels = chosen.map(({ pixel }): Label => ({
    id: crypto.randomUUID(),
    shape: { kind: "point", at: lonLatOf(pixel) },
    classId: active.id,
    group,
    source: "grown",
    review: "proposed",
  }));
  if (labels.length === 0) return session.tell("No pixel is at or above the threshold.");
  if (labelling.add(labels, `${labels.length} proposals of ${active.name}`)) {
    session.tell(`${labels.length} labels of ${active.name} are proposed; accept or reject them in the Label panel.`);
    session.show("label");
  }
}
