import { PageError, type Running } from "../base";
import type { Loaded } from "../compute";
import { contains, lonLatOf, type Pixel, type Window } from "../geo";
import type { Tile } from "../map";
import type { Became } from "./changing.svelte";
import { download } from "./download";
import { load } from "./look";
import { RAMPS } from "./ramps";
import { pixelsOf } from "./samples";
import type { Session } from "./session.svelte";
import type { Shape } from "../labels";

export const CHANGE = "change";
const DRIFT_SAMPLE = 4_000;
const MOST_OF_LINE = 400; // pixels of a polygon, read in each year
const STEPS = 200; // of the slider

/** The two years that are compared: those chosen, else the last two. */
export function changeYears(session: Session): readonly [number, number] | undefined {
  const years = session.store?.years ?? [];
  const { from, to } = session.changing;
  const [second, first] = [to ?? years.at(-1), from ?? years.at(-2)];
  return first !== undefined && second !== undefined && first !== second ? [first, second] : undefined;
}

/** How far each pixel moved between two years, and, with a head, what became of each class. */
export async function measureChange(session: Session): Promise<void> {
  const { changing, jobs } = session;
  const years = changeYears(session);
  if (!years) return;
  const one = await load(session, years[0]);
  const other = one && (await load(session, years[1]));
  if (!one || !other) return;
  const head = session.classifying.fitted?.head;
  const retry = () => void measureChange(session);
  const found = await jobs.run(
    "working",
    `Comparing ${years[0]} and ${years[1]}`,
    async (running) => {
      const { findThreshold, Histogram } = await import("../changes");
      const tiles: Tile[] = [];
      await one.distances(other, ({ window, scores }) => tiles.push({ window, step: 1, data: scores }), running);
      const maps = head ? [await classesOf(one, session, running), await classesOf(other, session, running)] : [];
      const [all, same] = [new Histogram(), new Histogram()];
      for (const { window, data } of tiles) {
        if (!(data instanceof Float32Array)) continue;
        all.add(data);
        const [before, after] = maps.map((each) => each.get(nameOf(window)));
        if (before && after) same.add(data, (at) => before[at] === after[at] && before[at] !== 255);
      }
      const threshold = findThreshold(all, head ? same : undefined);
      const became =
        head && maps[0] && maps[1] ? await count(session, one, other, maps[0], maps[1], running) : undefined;
      return { tiles, threshold, became, pixels: all.total, most: all.quantile(0.999) };
    },
    { lane: "change", retry },
  );
  if (!found) return;
  changing.years = years;
  [changing.pixels, changing.found, changing.became] = [found.pixels, found.threshold.text, found.became];
  changing.most = Math.min(2, Math.max(found.most, 2 * found.threshold.distance, 1e-4));
  session.dropLayer(CHANGE);
  session.putLayer({
    id: CHANGE,
    title: `Change ${years[0]} to ${years[1]}`,
    paint: paint(session, found.threshold.distance),
    tiles: found.tiles,
    visible: true,
    opacity: 0.9,
    side: "both",
  });
  setChangeThreshold(session, found.threshold.distance);
  session.tell(`${(changing.changed / 100).toLocaleString("en")} hectares changed from ${years[0]} to ${years[1]}.`);
}

function paint({ changing }: Session, threshold: number) {
  return { kind: "scores", low: 0, high: changing.most, threshold, ramp: RAMPS.magma } as const;
}

/** A step of the slider. */
export function changeStep({ changing }: Session): number {
  return changing.most / STEPS;
}

/** Another threshold: nothing is read or computed again but the count of pixels above it. */
export function setChangeThreshold(session: Session, threshold: number): void {
  const { changing } = session;
  changing.threshold = threshold;
  session.changeLayer(CHANGE, { paint: paint(session, threshold) });
  // as Python has it: a pixel changed whose distance is above the threshold in float32
  const limit = Math.fround(threshold);
  let above = 0;
  for (const { data } of session.layer(CHANGE)?.tiles ?? [])
    for (let at = 0; at < data.length; at += 1) if ((data[at] ?? NaN) > limit) above += 1;
  changing.changed = above;
}

type Classes = ReadonlyMap<string, Uint8Array>;

const nameOf = ({ zone, row, col, height, width }: Window) => [zone, row, col, height, width].join();

async function classesOf(loaded: Loaded, session: Session, running: Running): Promise<Classes> {
  const found = new Map<string, Uint8Array>();
  const head = session.classifying.fitted?.head;
  if (head) await loaded.classify(head, ({ window, classes }) => found.set(nameOf(window), classes), running);
  return found;
}

async function count(
  session: Session,
  one: Loaded,
  other: Loaded,
  before: Classes,
  after: Classes,
  running: Running,
): Promise<Became | undefined> {
  const head = session.classifying.fitted?.head;
  if (!head) return undefined;
  const { countTransitions, measureDrift } = await import("../changes");
  const classes = head.classes.length;
  let transitions = countTransitions(new Uint8Array(0), new Uint8Array(0), classes);
  for (const window of one.windows) {
    const [then, now] = [before.get(nameOf(window)), after.get(nameOf(window))];
    if (then && now) transitions = countTransitions(then, now, classes, transitions);
  }
  const { pixels, rows } = await one.sample(DRIFT_SAMPLE, 0, running);
  const there = await other.gather(pixels, running);
  const at = (maps: Classes, pixel: Pixel) => {
    const window = one.windows.find((each) => contains(each, pixel));
    return window && maps.get(nameOf(window))?.[(pixel.row - window.row) * window.width + pixel.col - window.col];
  };
  const stable = Int32Array.from(pixels, (pixel) => {
    const [then, now] = [at(before, pixel), at(after, pixel)];
    return then !== undefined && then === now && then < classes ? then : -1;
  });
  const drift = measureDrift(rows, there, stable, classes);
  const years = [one.year, other.year] as const;
  return {
    transitions,
    classes: head.classes,
    colours: head.colours,
    years,
    learnt: head.inputs[0]?.year ?? null,
    drift,
  };
}

/** What to say where stable places moved so far that a head of one year misreads the other; "" elsewhere. */
export function driftWarning({ drift, classes, years, learnt }: Became): string {
  if (!drift || !(drift.shift > 0.5) || (learnt !== null && years[0] === learnt && years[1] === learnt)) return "";
  const [worst] = [...drift.perClass].sort((a, b) => b[1] - a[1]);
  const most = worst ? `, most for ${classes[worst[0]] ?? ""} (${worst[1].toFixed(2)})` : "";
  const year = learnt === null ? "one year" : String(learnt);
  return `Stable places moved by ${drift.shift.toFixed(2)} of the spread within their class from ${years[0]} to ${years[1]}${most}. Above 0.5 a head of ${year} misreads the other year: label places that hold in both years, and learn again.`;
}

/** A place or a polygon over all years of the store: how far its mean lies from the first year, and from the one before. */
export async function followPlace(session: Session, shape: Shape): Promise<void> {
  const { store, changing, looking } = session;
  if (!store) return;
  const line = await session.jobs.run(
    "working",
    "Reading all years",
    async (running) => {
      const { meanOf, timeline } = await import("../changes");
      const pixels = pixelsOf({ id: "line", shape, classId: 0, source: "click" }, MOST_OF_LINE);
      if (pixels.length === 0)
        throw new PageError("input", "The polygon holds no pixel's centre; draw one of 10 m or more.");
      const means = [];
      for (const [done, year] of store.years.entries()) {
        running.progress(done, store.years.length, "years");
        const here = looking.loaded[year];
        const blocks = here
          ? [await here.gather(pixels, running)]
          : await store.points(pixels.map(lonLatOf), year, session.dims, running);
        const codes = new Int8Array(pixels.length * session.dims);
        const scales = new Float32Array(pixels.length);
        let row = 0;
        for (const block of blocks) {
          codes.set(block.codes, row * session.dims);
          scales.set(block.scales, row);
          row += block.scales.length;
        }
        means.push(meanOf(year, codes, scales, session.dims));
      }
      const moments = timeline(means);
      if (moments.every((each) => each.pixels === 0))
        throw new PageError("missing", "There is no data at this place in any year; click where the map has colours.");
      const [lon, lat] = lonLatOf(pixels[Math.floor(pixels.length / 2)] ?? { zone: 1, row: 0, col: 0 });
      const place = `${lat.toFixed(4)}, ${lon.toFixed(4)}`;
      return { name: shape.kind === "point" ? `Pixel at ${place}` : `Polygon near ${place}`, moments };
    },
    { lane: "line", retry: () => void followPlace(session, shape) },
  );
  if (!line) return;
  changing.line = line;
  session.setMarks("change", [{ id: "line", shape, colour: "#0b57d0", look: "chosen" }]);
  session.tell(`${line.name}: ${line.moments.length} years.`);
}

/** The line of a place as CSV. */
export async function saveLine(session: Session): Promise<void> {
  const { line } = session.changing;
  if (!line) return;
  const { csv } = await import("../exports");
  const rows = line.moments.map(({ year, pixels, fromFirst, fromBefore }) => [year, pixels, fromFirst, fromBefore]);
  download("years.csv", csv(["year", "pixels", "distance_from_first", "distance_from_before"], rows), "text/csv");
}

/** Hectares from each class to each, as CSV. */
export async function saveTransitions(session: Session): Promise<void> {
  const { became } = session.changing;
  if (!became) return;
  const { csv } = await import("../exports");
  const { classes, years, transitions } = became;
  const rows = classes.flatMap((from, i) =>
    classes.map((to, j) => [from, to, Number((transitions.hectares[i * classes.length + j] ?? 0).toFixed(2))]),
  );
  download(`transitions-${years[0]}-${years[1]}.csv`, csv(["from", "to", "hectares"], rows), "text/csv");
}
