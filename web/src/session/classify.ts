import { PageError } from "../base";
import type { Tile } from "../map";
import type { HeadInput } from "../heads";
import { settled } from "../labels";
import type { Store } from "../store";
import { load } from "./look";
import { showNext, test } from "./testing";
import { gather } from "./samples";
import type { Session } from "./session.svelte";

export function mapLayer(year: number): string {
  return `map-${year}`;
}

const SEED = 0;

function modelOf({ model }: Store): HeadInput["model"] {
  return { name: model.name, sha256: model.sha256, dims: model.dims, prefix_dims: model.prefixDims };
}

/** Learns from the labels, then maps the area with what was learnt. */
export async function learn(session: Session): Promise<void> {
  const { labelling, classifying, jobs, store } = session;
  if (!store) return;
  const { labels } = labelling;
  const used = new Set(settled(labels).map((each) => each.classId));
  if (used.size < 2) {
    jobs.fail(
      "Classify",
      new PageError(
        "input",
        `Labels of ${used.size} class${used.size === 1 ? "" : "es"}; expected two or more. Add labels in the Label panel.`,
      ),
    );
    return;
  }
  const loaded = await load(session);
  if (!loaded) return;
  const fitted = await jobs.run(
    "learning",
    "Learning",
    async (running) => {
      // classes without a label are not part of the head
      const classes = labels.classes.filter((each) => used.has(each.id));
      const some = { classes, labels: labels.labels };
      const { samples, without, skipped } = await gather(some, loaded, running);
      if (new Set(samples.target).size < 2)
        throw new PageError(
          "input",
          "Labels with data of fewer than two classes in this year; add labels where the map has colours.",
        );
      const learning = await session.services.learning();
      const about = {
        classes: classes.map((each) => each.name),
        colours: classes.map((each) => each.colour),
        column: "class",
        input: { year: loaded.year, dims: loaded.dims, model: modelOf(store), store: store.name },
      };
      return {
        head: await learning.fit(samples, classifying.learner, about, classifying.settings, SEED, running),
        samples,
        count: samples.scales.length,
        outside: without + skipped,
      };
    },
    { lane: "learn", retry: () => void learn(session) },
  );
  if (!fitted) return;
  classifying.fitted = fitted;
  classifying.report = undefined;
  showNext(session, []);
  await classify(session);
  await test(session);
}

/** The map of the area, block by block as it is computed. */
export async function classify(session: Session, year = session.year): Promise<void> {
  const { classifying } = session;
  const head = classifying.fitted?.head;
  const loaded = head && (await load(session, year));
  if (!head || !loaded) return;
  const id = mapLayer(loaded.year);
  const paint = { kind: "classes", colours: head.colours } as const;
  session.dropLayer(id);
  session.putLayer({ id, title: `Map ${loaded.year}`, paint, tiles: [], visible: true, opacity: 1, side: "both" });
  const areas = head.classes.map(() => 0);
  let waiting: Tile[] = [];
  let due: number | undefined;
  const flush = () => {
    due = undefined;
    session.addTiles(id, waiting);
    waiting = [];
  };
  const done = await session.jobs.run(
    "classifying",
    "Classifying",
    async (running) => {
      await loaded.classify(
        head,
        ({ window, classes }) => {
          for (const each of classes) if (each < areas.length) areas[each] = (areas[each] ?? 0) + 1;
          waiting.push({ window, step: 1, data: classes });
          due ??= requestAnimationFrame(flush);
        },
        running,
      );
      return true;
    },
    { lane: "classify", retry: () => void classify(session, year) },
  );
  if (due !== undefined) cancelAnimationFrame(due);
  flush();
  classifying.areas = areas;
  classifying.year = loaded.year;
  classifying.pixels = areas.reduce((a, b) => a + b, 0);
  if (done) session.tell(`The map of ${loaded.year} is done: ${classifying.pixels.toLocaleString("en")} pixels.`);
}
