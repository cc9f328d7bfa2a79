// The project file: docs/project-format.md.
import { zip } from "fflate";

import { PageError, parseJson, Reading, shown, type Json } from "../base";
import { adopt, labelsToGeoJson, readTable, unpack, type Places } from "../formats";
import type { Box } from "../geo";
import { readHead, writeHead, type Head, type HeadInput } from "../heads";
import { addClass, NOTHING, type Labels } from "../labels";

const FORMAT = "tessera-project";
const VERSION = 1;
const MOST_DOCUMENT = 1024 ** 2;
const MOST_HEADS = 20;
const HEAD = /^heads\/([A-Za-z0-9][A-Za-z0-9 ._-]{0,79})\.json$/;

/** What somebody did in the page. */
export interface Project {
  readonly store: {
    readonly url: string | null;
    readonly name: string;
    readonly etag: string | null;
    readonly model: HeadInput["model"];
  };
  readonly year: number;
  readonly area: Box | null;
  readonly labels: Labels;
  readonly places: Places; // how exact the labels' places are
  readonly heads: ReadonlyMap<string, Head>;
  readonly settings: Readonly<Record<string, Json>>; // of the page's own
}

/** The file of a project. Places that are coarse or left out cannot be learnt from again. */
export async function writeProject(project: Project): Promise<Uint8Array<ArrayBuffer>> {
  const { store, year, area, labels, places, settings } = project;
  const document = {
    format: FORMAT,
    version: VERSION,
    store,
    year,
    area,
    classes: labels.classes.map(({ name, colour }) => ({ name, colour })),
    places,
    settings,
  };
  const text = (value: string) => new TextEncoder().encode(value);
  const files: Record<string, Uint8Array> = {
    "project.json": text(JSON.stringify(document, null, 1)),
    "labels.geojson": text(labelsToGeoJson(labels, places)),
  };
  for (const [name, head] of project.heads) files[`heads/${safeName(name, Object.keys(files))}.json`] = writeHead(head);
  return new Promise((resolve, reject) =>
    zip(files, { level: 6, mtime: "1980-01-01" }, (error, bytes) =>
      error ? reject(error) : resolve(new Uint8Array(bytes)),
    ),
  );
}

/** A project that this page or Python's tests wrote; one line says what is wrong with any other file. */
export async function readProject(file: Blob & { readonly name: string }): Promise<Project> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const files = await unpack(
    file.name,
    bytes,
    (entry) => /^(project\.json|labels\.geojson|heads\/.*)$/.test(entry),
    512 * 1024 ** 2,
  );
  const document = files.get("project.json");
  if (!document)
    throw new PageError("input", `${file.name} holds no project.json; expected a project that this page saved`);
  const reading = new Reading(`${file.name}: project.json`);
  const root = reading.object(parseJson(document, MOST_DOCUMENT, reading.where), "the document");
  if (root["format"] !== FORMAT || root["version"] !== VERSION) {
    throw new PageError(
      "input",
      `${file.name} has format ${shown(root["format"])} ${shown(root["version"])}; expected ${FORMAT} ${VERSION}`,
    );
  }
  const store = reading.object(root["store"], "store");
  const model = reading.object(store["model"], "store.model");
  const url = store["url"] === null ? null : reading.text(store["url"], "store.url", 2000);
  if (url !== null && !/^https?:\/\//.test(url)) reading.fail("store.url", url, "http or https, or null");
  const places = root["places"];
  if (places !== "exact" && places !== "coarse" && places !== "none")
    return reading.fail("places", places, "exact, coarse or none");
  const area = root["area"] === null ? null : reading.numbers(root["area"], "area");
  if (area !== null && area.length !== 4) reading.fail("area", root["area"], "west, south, east, north, or null");
  const [west = 0, south = 0, east = 0, north = 0] = area ?? [];
  let labels = NOTHING;
  for (const each of reading.list(root["classes"], "classes", 254)) {
    const about = reading.object(each, "a class");
    const colour = reading.text(about["colour"], "a colour", 7);
    if (!/^#[0-9a-f]{6}$/i.test(colour)) reading.fail("a colour", colour, "the form #1f7a3a");
    labels = addClass(labels, reading.text(about["name"], "the name of a class"), colour);
  }
  const geojson = files.get("labels.geojson");
  if (geojson && places !== "none") {
    const table = await readTable(new File([new Uint8Array(geojson)], "labels.geojson"));
    labels = adopt(labels, table, "class", "project").labels;
  }
  return {
    store: {
      url,
      name: reading.text(store["name"], "store.name"),
      etag: store["etag"] === null ? null : reading.text(store["etag"], "store.etag"),
      model: {
        name: reading.text(model["name"], "store.model.name"),
        sha256: reading.text(model["sha256"], "store.model.sha256", 64),
        dims: reading.whole(model["dims"], "store.model.dims", 1, 65536),
        prefix_dims: reading.wholes(model["prefix_dims"], "store.model.prefix_dims", 1, 65536),
      },
    },
    year: reading.whole(root["year"], "year", 1970, 9999),
    area: area === null ? null : [west, south, east, north],
    labels,
    places,
    heads: headsOf(files, file.name),
    settings: Object.fromEntries(
      Object.entries(reading.object(root["settings"] ?? {}, "settings")).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      ),
    ),
  };
}

function headsOf(files: ReadonlyMap<string, Uint8Array>, where: string): ReadonlyMap<string, Head> {
  const heads = new Map<string, Head>();
  for (const [entry, bytes] of files) {
    const name = HEAD.exec(entry)?.[1];
    if (name === undefined) continue;
    if (heads.size === MOST_HEADS) throw new PageError("refused", `${where} holds more than ${MOST_HEADS} heads`);
    heads.set(name, readHead(bytes, `${where}: ${entry}`));
  }
  return heads;
}

/** A name for a file in the archive: letters, digits and a few signs, unlike those that are taken. */
function safeName(name: string, taken: readonly string[]): string {
  const plain =
    name
      .normalize("NFKD")
      .replace(/[^A-Za-z0-9 ._-]+/g, "")
      .replace(/^[^A-Za-z0-9]+/, "")
      .slice(0, 60)
      .trim() || "head";
  for (let k = 1; ; k++) {
    const tried = k === 1 ? plain : `${plain} ${k}`;
    if (!taken.includes(`heads/${tried}.json`)) return tried;
  }
}
