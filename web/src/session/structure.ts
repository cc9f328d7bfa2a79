import { lonLatOf, type Pixel, type Polygon } from "../geo";
import { groupColour } from "./points";
import { addClass, addLabels, type Label } from "../labels";
import { colour, coloursLayer, load } from "./look";
import type { Session } from "./session.svelte";

export const SAMPLES = [2_000, 5_000, 20_000] as const;
export const MOST_GROUPS = 20;
const SEED = 0;
const MOST_MARKS = 3_000; // on the map
const MOST_LABELLED = 1_000; // pixels of one lasso that become labels: more are slow to learn from, and say the same
const MOST_OF_GROUP = 100; // proposals of each group

/** Every n-th, so that at most so many are left. */
export function thinned<T>(list: ArrayLike<T>, most: number): readonly T[] {
  const stride = Math.max(1, list.length / most);
  return Array.from({ length: Math.min(list.length, most) }, (_, index) => list[Math.floor(index * stride)]).filter(
    (each) => each !== undefined,
  );
}

/** Draws a sample of the area and shows it along its two principal axes. */
export async function sampleArea(session: Session): Promise<void> {
  const { structuring } = session;
  const loaded = await load(session);
  if (!loaded) return;
  const drawn = await session.jobs.run(
    "working",
    "Principal axes",
    async (running) => {
      const { pixels, rows: block } = await loaded.sample(structuring.wanted, SEED, running);
      const { valid } = await import("../structure");
      const { rows, at } = valid(block);
      const points = await session.services.structure().principal(rows, running);
      const kept = Array.from(at, (row) => pixels[row]).filter((each) => each !== undefined);
      return { rows, points, pixels: kept };
    },
    { lane: "structure", retry: () => void sampleArea(session) },
  );
  if (!drawn) return;
  structuring.clear();
  structuring.sample = {
    year: loaded.year,
    pixels: drawn.pixels,
    places: drawn.pixels.map(lonLatOf),
    rows: drawn.rows,
    of: loaded.valid,
  };
  structuring.drawings = { axes: { points: drawn.points, epoch: 0, epochs: 0 } };
  choose(session, []);
  session.tell(
    `${drawn.pixels.length.toLocaleString("en")} pixels of ${loaded.year} are shown along their principal axes.`,
  );
  if (!session.layer(coloursLayer(loaded.year)) && loaded.year === session.year) await colour(session);
}

/** UMAP of the sample; the picture is shown as it takes shape. */
export async function growPicture(session: Session): Promise<void> {
  const { structuring } = session;
  const { sample } = structuring;
  if (!sample) return;
  const done = await session.jobs.run(
    "working",
    "UMAP",
    async (running) => {
      await session.services.structure().umap(
        sample.rows,
        { seed: SEED },
        (picture) => {
          if (running.signal.aborted || structuring.sample !== sample) return;
          structuring.drawings = { ...structuring.drawings, umap: picture };
          structuring.how = "umap";
        },
        running,
      );
      return true;
    },
    { lane: "structure", retry: () => void growPicture(session) },
  );
  if (done) session.tell("UMAP is done.");
}

/** Rows of the sample become what is chosen; the map shows where they lie. */
export function choose(session: Session, rows: ArrayLike<number>, isCluster = false): void {
  const { structuring } = session;
  structuring.chosen = Int32Array.from(rows);
  structuring.cluster = isCluster;
  showChosen(session);
  const { sample, chosen } = structuring;
  if (sample)
    session.tell(`${chosen.length.toLocaleString("en")} of ${sample.pixels.length.toLocaleString("en")} chosen.`);
}

/** Marks of what is chosen, at most some thousand. */
export function showChosen(session: Session): void {
  const { sample, chosen } = session.structuring;
  const marks = thinned(chosen, MOST_MARKS).flatMap((row) => {
    const at = sample?.places[row];
    return at ? [{ id: `chosen-${row}`, shape: { kind: "point", at }, colour: "#0b57d0", look: "dot" } as const] : [];
  });
  session.setMarks("structure", marks);
}

/** Pixels of the sample whose points lie in a ring of the picture. */
export async function chooseRing(session: Session, ring: readonly (readonly [number, number])[]): Promise<void> {
  const { drawing } = session.structuring;
  if (!drawing) return;
  const { lasso } = await import("../structure");
  choose(session, lasso(drawing.points, ring));
}

/** Pixels of the sample that lie in a polygon on the map. */
export async function choosePolygon(session: Session, rings: Polygon): Promise<void> {
  const { sample } = session.structuring;
  const [ring] = rings;
  const first = ring?.[0];
  if (!sample || !ring || !first) return;
  const { lasso } = await import("../structure");
  // from a corner on, so that float32 keeps centimetres and the date line is no border
  const from = ([lon, lat]: readonly [number, number]) =>
    [((((lon - first[0] + 180) % 360) + 360) % 360) - 180, lat - first[1]] as const;
  choose(session, lasso(Float32Array.from(sample.places.flatMap(from)), ring.map(from)));
}

function labelsOf(
  pixels: readonly Pixel[],
  classId: number,
  source: "lasso" | "cluster",
  review?: "proposed",
): readonly Label[] {
  const group = crypto.randomUUID();
  return pixels.map((pixel) => ({
    id: crypto.randomUUID(),
    shape: { kind: "point", at: lonLatOf(pixel) },
    classId,
    group,
    source,
    ...(review ? { review } : {}),
  }));
}

function chosenPixels({ structuring }: Session): readonly Pixel[] {
  const { sample, chosen } = structuring;
  return thinned(chosen, MOST_LABELLED).flatMap((row) => sample?.pixels[row] ?? []);
}

/** What is chosen becomes labels of a class, all of one group. @returns false where nothing is chosen */
export function labelChosen(session: Session, index: number): boolean {
  const { labelling, structuring } = session;
  const pixels = chosenPixels(session);
  if (pixels.length === 0) return false;
  const found = labelling.labels.classes[index];
  if (!found) {
    session.tell(`There is no class ${index + 1}.`);
    return true;
  }
  labelling.classId = found.id;
  const labels = labelsOf(pixels, found.id, structuring.cluster ? "cluster" : "lasso");
  const count = pixels.length.toLocaleString("en");
  if (labelling.add(labels, `${count} of a lasso as ${found.name}`)) {
    const all = structuring.chosen.length;
    const of = all > pixels.length ? ` (evenly thinned, of ${all.toLocaleString("en")})` : "";
    session.tell(`${count} pixels${of} are labels of ${found.name}.`);
    choose(session, []);
  }
  return true;
}

/** What is chosen becomes proposals of the active class. */
export function proposeChosen(session: Session): void {
  const { labelling, structuring } = session;
  const { active } = labelling;
  const pixels = chosenPixels(session);
  if (!active) return session.tell("Add a class in the Label panel first.");
  if (pixels.length === 0) return session.tell("Nothing is chosen.");
  const labels = labelsOf(pixels, active.id, structuring.cluster ? "cluster" : "lasso", "proposed");
  if (labelling.add(labels, `${labels.length} proposals of ${active.name}`)) {
    session.tell(`${labels.length} labels of ${active.name} are proposed; accept or reject them in the Label panel.`);
    session.show("label");
  }
}

/** Groups of alike pixels of the sample. */
export async function findGroups(session: Session): Promise<void> {
  const { structuring } = session;
  const { sample } = structuring;
  if (!sample) return;
  const k = Math.min(MOST_GROUPS, Math.max(2, Math.round(structuring.k)));
  const clusters = await session.jobs.run(
    "working",
    `Finding ${k} groups`,
    (running) => session.services.structure().kmeans(sample.rows, k, SEED, running),
    { lane: "structure", retry: () => void findGroups(session) },
  );
  if (!clusters || structuring.sample !== sample) return;
  structuring.groups = clusters.centres.scales.length;
  structuring.member = clusters.member;
  structuring.colouring = "group";
  session.tell(`${structuring.groups} groups were found.`);
}

export function chooseGroup(session: Session, group: number): void {
  const rows: number[] = [];
  session.structuring.member?.forEach((each, row) => {
    if (each === group) rows.push(row);
  });
  choose(session, rows, true);
}

/** Each group becomes a class of its own with proposals: to be renamed, accepted or rejected. One step. */
export function groupsToClasses(session: Session): void {
  const { labelling, structuring } = session;
  const { sample, member, groups } = structuring;
  if (!sample || !member) return;
  const done = labelling.step(`${groups} groups as classes`, (before) => {
    let labels = before;
    for (let group = 0; group < groups; group += 1) {
      const taken = new Set(labels.classes.map((each) => each.name.toLowerCase()));
      let number = group + 1;
      while (taken.has(`group ${number}`)) number += 1;
      labels = addClass(labels, `Group ${number}`, groupColour(group));
      const id = labels.classes.at(-1)?.id ?? 0;
      const pixels = sample.pixels.filter((_, row) => member[row] === group);
      labels = addLabels(labels, labelsOf(thinned(pixels, MOST_OF_GROUP), id, "cluster", "proposed"));
    }
    return labels;
  });
  if (!done) return;
  session.tell(`${groups} classes with proposals; rename them, and accept or reject the proposals.`);
  session.show("label");
}
