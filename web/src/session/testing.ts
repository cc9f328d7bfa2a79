import { fromLonLat, lonLatOf, metresAt, zoneOf } from "../geo";
import type { Label } from "../labels";
import type { Next } from "./classifying.svelte";
import { download } from "./download";
import { load } from "./look";
import type { Session } from "./session.svelte";

const SEED = 0;
const CANDIDATES = 1500;
const SUGGESTED = 8;

/** Tests what was learnt on blocks of land that it did not see. */
export async function test(session: Session): Promise<void> {
  const { classifying } = session;
  const { fitted } = classifying;
  const [input] = fitted?.head.inputs ?? [];
  if (!fitted || !input) return;
  const { head, samples } = fitted;
  const { classes, colours, column } = head;
  const task = {
    samples,
    head: head.head,
    about: { classes, colours, column, input },
    settings: classifying.settings,
    seed: SEED,
  };
  const report = await session.jobs.run(
    "learning",
    "Testing on other land",
    async (running) => (await session.services.learning()).validate(task, running),
    { lane: "test", retry: () => void test(session) },
  );
  if (!report || classifying.fitted !== fitted) return;
  const { metricsOf } = await import("../validation");
  const metrics = metricsOf(report, new Set(samples.groups).size);
  classifying.fitted = { ...fitted, head: { ...head, rest: { ...head.rest, metrics } } };
  classifying.report = report;
  const score = report.balancedAccuracy.value;
  session.tell(
    score === null ? "The map could not be tested." : `Balanced accuracy ${(100 * score).toFixed(0)} percent.`,
  );
}

export function showNext(session: Session, next: readonly Next[]): void {
  session.classifying.next = next;
  session.setMarks(
    "classify",
    next.map(({ id, at }) => ({ id, shape: { kind: "point", at }, colour: "#d55e00", look: "proposed" })),
  );
}

/** Places where a label helps most: where the map is unsure, and unlike what is labelled. */
export async function suggestNext(session: Session): Promise<void> {
  const { classifying } = session;
  const { fitted } = classifying;
  const loaded = fitted && (await load(session));
  if (!fitted || !loaded) return;
  const found = await session.jobs.run(
    "learning",
    "Looking for the best places",
    async (running) => {
      const { pixels, rows } = await loaded.sample(CANDIDATES, SEED, running);
      const metres = pixels.flatMap(({ row, col }) => metresAt(row + 0.5, col + 0.5));
      const { codes, scales, places } = fitted.samples;
      // two zones have metres of their own: spacing is kept within each
      const own = Array.from({ length: scales.length }, (_, index) => {
        const [lon, lat] = [places[2 * index] ?? 0, places[2 * index + 1] ?? 0];
        return fromLonLat(lon, lat, zoneOf(lon));
      }).flat();
      const candidates = { dims: rows.dims, codes: rows.codes, scales: rows.scales, places: Float64Array.from(metres) };
      const labelled = { codes, scales, places: Float64Array.from(own) };
      const learning = await session.services.learning();
      const suggestions = await learning.suggest(
        { head: fitted.head, candidates, labelled, count: SUGGESTED },
        running,
      );
      return suggestions.flatMap(({ index, unsure }): Next[] => {
        const pixel = pixels[index];
        return pixel ? [{ id: `next-${index}`, at: lonLatOf(pixel), unsure }] : [];
      });
    },
    { lane: "suggest", retry: () => void suggestNext(session) },
  );
  if (!found) return;
  showNext(session, found);
  session.tell(`${found.length} places where a label would help.`);
}

/** A label of a class at a suggested place. */
export function labelNext(session: Session, next: Next, classId: number): void {
  const label: Label = { id: crypto.randomUUID(), shape: { kind: "point", at: next.at }, classId, source: "click" };
  const name = session.labelling.labels.classes.find((each) => each.id === classId)?.name ?? "";
  if (session.labelling.add([label], `point of ${name}`))
    showNext(
      session,
      session.classifying.next.filter((each) => each.id !== next.id),
    );
}

/** The suggested places as a table, to take along. */
export async function saveNext(session: Session): Promise<void> {
  const { csv } = await import("../exports");
  const rows = session.classifying.next.map(({ at, unsure }, index) => [
    index + 1,
    at[0],
    at[1],
    Number(unsure.toFixed(3)),
  ]);
  download("places-to-label.csv", csv(["number", "longitude", "latitude", "unsure"], rows), "text/csv");
}
