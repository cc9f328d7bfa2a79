import { PageError } from "../base";
import type { Places } from "../formats";
import type { Head } from "../heads";
import { boxOfArea } from "./areas";
import { classify } from "./classify";
import { download } from "./download";
import { openStore } from "./open";
import { stem } from "./save";
import type { Session } from "./session.svelte";

const HEAD = "head"; // its name in the archive
const NO_SAMPLES = {
  dims: 1,
  codes: new Int8Array(0),
  scales: new Float32Array(0),
  target: new Int32Array(0),
  groups: new Int32Array(0),
  places: new Float64Array(0),
};

/** Labels, head, store and area as one file, which opens in another browser and in Python. */
export async function saveProject(session: Session, places: Places = "exact"): Promise<void> {
  const { store, address, year, area, labelling, classifying, finding } = session;
  if (!store || year === undefined) return;
  await session.jobs.run("exporting", "Saving the project", async () => {
    const { writeProject } = await import("../exports");
    const { name, sha256, dims, prefixDims } = store.model;
    const heads = new Map<string, Head>(classifying.fitted ? [[HEAD, classifying.fitted.head]] : []);
    const bytes = await writeProject({
      store: {
        url: address?.kind === "url" ? address.url : null,
        name: store.name,
        etag: store.etag ?? null,
        model: { name, sha256, dims, prefix_dims: prefixDims },
      },
      year,
      area: area ? boxOfArea(area) : null,
      labels: labelling.labels,
      places,
      heads,
      settings: { learner: classifying.learner, threshold: finding.threshold },
    });
    download(`${stem(session)}-project.zip`, bytes, "application/zip");
  });
}

/** What somebody saved: their labels take the place of those that are here, in one step that can be undone. */
export async function openProject(session: Session, file: File): Promise<void> {
  const project = await session.jobs.run("working", `Opening ${file.name}`, async () => {
    const { readProject } = await import("../exports");
    return readProject(file);
  });
  if (!project) return;
  const { url, model } = project.store;
  if (!session.store && url !== null && !(await openStore(session, { kind: "url", url }))) return;
  const { store } = session;
  if (!store || store.model.sha256 !== model.sha256) {
    const found = store ? `the open store has those of ${store.model.name}` : "no store is open";
    session.jobs.fail(
      "Project",
      new PageError(
        "input",
        `${file.name} is about embeddings of ${model.name} in ${project.store.name}, and ${found}; open that store first.`,
      ),
    );
    return;
  }
  session.labelling.step(`project ${file.name}`, () => project.labels);
  if (store.years.includes(project.year)) session.year = project.year;
  if (project.area) {
    const area = { kind: "box", box: project.area } as const;
    session.setArea(area);
    session.fit(area);
  }
  const [head] = project.heads.values();
  session.tell(`${file.name} is open: ${project.labels.labels.length.toLocaleString("en")} labels.`);
  if (!head) return;
  session.classifying.fitted = { head, samples: NO_SAMPLES, count: 0, outside: 0 };
  session.classifying.report = undefined;
  await classify(session);
}
