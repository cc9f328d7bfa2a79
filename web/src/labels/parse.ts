import { PageError } from "../base";
import type { LonLat, Polygon } from "../geo";
import { MOST_CLASSES, MOST_LABELS, MOST_NAME } from "./model";
import { isColour } from "./palette";
import type { Label, LabelClass, Labels, Shape } from "./types";

const MOST_CORNERS = 100_000; // of one polygon
const SOURCES: readonly Label["source"][] = ["click", "polygon", "brush", "import", "grown", "lasso", "cluster"];
const REVIEWS: readonly NonNullable<Label["review"]>[] = ["proposed", "accepted", "rejected"];

function wrong(what: string): never {
  throw new PageError("corrupt", `Kept labels cannot be read: ${what}.`);
}

function entries(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong("an entry is no object");
  return Object.fromEntries(Object.entries(value));
}

function list(value: unknown, most: number, what: string): readonly unknown[] {
  if (!Array.isArray(value)) wrong(`${what} are no list`);
  if (value.length > most) wrong(`${value.length} ${what}, expected at most ${most}`);
  return value;
}

export function parseLonLat(value: unknown): LonLat {
  const [lon, lat] = list(value, 3, "coordinates");
  if (typeof lon !== "number" || typeof lat !== "number") wrong("a coordinate is no number");
  if (!(Math.abs(lon) <= 180 && Math.abs(lat) <= 90)) wrong(`a place at ${lon}, ${lat}`);
  return [lon, lat];
}

export function parseRings(value: unknown): Polygon {
  let corners = 0;
  const rings = list(value, 10_000, "rings").map((ring) => {
    const points = list(ring, MOST_CORNERS, "corners").map(parseLonLat);
    corners += points.length;
    if (corners > MOST_CORNERS) wrong(`a polygon of more than ${MOST_CORNERS} corners`);
    if (points.length < 4) wrong("a ring of fewer than four corners");
    return points;
  });
  return rings.length > 0 ? rings : wrong("a polygon without a ring");
}

function parseShape(value: unknown): Shape {
  const { kind, at, rings } = entries(value);
  if (kind === "point") return { kind, at: parseLonLat(at) };
  if (kind === "polygon") return { kind, rings: parseRings(rings) };
  return wrong("a shape that is neither point nor polygon");
}

function parseClass(value: unknown): LabelClass {
  const { id, name, colour, key } = entries(value);
  if (typeof id !== "number" || !Number.isSafeInteger(id)) wrong("a class without an id");
  if (typeof name !== "string" || name === "" || name.length > MOST_NAME) wrong("a class without a fit name");
  if (!isColour(colour)) wrong("a class without a colour");
  return typeof key === "string" && /^[1-9]$/.test(key) ? { id, name, colour, key } : { id, name, colour };
}

function parseLabel(value: unknown): Label {
  const { id, shape, classId, group, source, review } = entries(value);
  if (typeof id !== "string" || id === "" || id.length > 100) wrong("a label without an id");
  if (typeof classId !== "number") wrong("a label without a class");
  const from = SOURCES.find((each) => each === source) ?? wrong("a label of unknown source");
  const state = REVIEWS.find((each) => each === review);
  return {
    id,
    shape: parseShape(shape),
    classId,
    source: from,
    ...(typeof group === "string" && group.length <= 100 ? { group } : {}),
    ...(state ? { review: state } : {}),
  };
}

/** Labels out of anything: what was kept by an older page or came in a file is believed only after this. */
export function parseLabels(value: unknown): Labels {
  const { classes, labels } = entries(value);
  const known = list(classes, MOST_CLASSES, "classes").map(parseClass);
  const ids = new Set(known.map((each) => each.id));
  if (ids.size !== known.length) wrong("two classes of one id");
  const read = list(labels, MOST_LABELS, "labels").map(parseLabel);
  if (new Set(read.map((each) => each.id)).size !== read.length) wrong("two labels of one id");
  if (read.some((each) => !ids.has(each.classId))) wrong("a label of a class that is not there");
  return { classes: known, labels: read };
}
