import { PageError } from "../base";
import { isColour, nextColour } from "./palette";
import type { Label, LabelClass, Labels } from "./types";

export const MOST_CLASSES = 200; // a map has one byte a class, and a list of more is no list
export const MOST_LABELS = 100_000;
export const MOST_NAME = 80; // characters

export const NOTHING: Labels = { classes: [], labels: [] };

/** A name as it is kept: no control characters, no spaces around it, not longer than a list shows. */
export function cleanName(name: string): string {
  const clean = name
    .replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, MOST_NAME)
    .trim();
  if (clean === "") throw new PageError("input", "A class without a name; expected at least one character.");
  return clean;
}

function free(classes: readonly LabelClass[], name: string, but?: number): void {
  const same = classes.find((each) => each.id !== but && each.name.toLowerCase() === name.toLowerCase());
  if (same) throw new PageError("input", `There is a class “${same.name}” already; expected another name.`);
}

/** Keys 1 to 9 in the order of the classes. */
function keyed(classes: readonly LabelClass[]): readonly LabelClass[] {
  return classes.map((each, index) => {
    const { key, ...rest } = each;
    const due = index < 9 ? String(index + 1) : undefined;
    if (key === due) return each;
    return due === undefined ? rest : { ...rest, key: due };
  });
}

export function addClass(labels: Labels, name: string, colour?: string): Labels {
  const clean = cleanName(name);
  free(labels.classes, clean);
  if (labels.classes.length >= MOST_CLASSES)
    throw new PageError("refused", `There are ${MOST_CLASSES} classes, which is the most; remove one first.`);
  const id = labels.classes.reduce((most, each) => Math.max(most, each.id), 0) + 1;
  const chosen = isColour(colour) ? colour : nextColour(labels.classes.map((each) => each.colour));
  return { ...labels, classes: keyed([...labels.classes, { id, name: clean, colour: chosen }]) };
}

export function renameClass(labels: Labels, id: number, name: string): Labels {
  const clean = cleanName(name);
  free(labels.classes, clean, id);
  return { ...labels, classes: labels.classes.map((each) => (each.id === id ? { ...each, name: clean } : each)) };
}

export function recolourClass(labels: Labels, id: number, colour: string): Labels {
  if (!isColour(colour)) throw new PageError("input", `“${colour}” is no colour; expected one such as #1b9e77.`);
  return { ...labels, classes: labels.classes.map((each) => (each.id === id ? { ...each, colour } : each)) };
}

/** Without a class and its labels. */
export function removeClass(labels: Labels, id: number): Labels {
  return {
    classes: keyed(labels.classes.filter((each) => each.id !== id)),
    labels: labels.labels.filter((each) => each.classId !== id),
  };
}

export function addLabels(labels: Labels, more: readonly Label[]): Labels {
  if (more.length === 0) return labels;
  const known = new Set(labels.classes.map((each) => each.id));
  if (more.some((each) => !known.has(each.classId)))
    throw new PageError("input", "A label without a class; choose a class first.");
  if (labels.labels.length + more.length > MOST_LABELS)
    throw new PageError(
      "refused",
      `${labels.labels.length + more.length} labels; expected at most ${MOST_LABELS.toLocaleString("en")}.`,
    );
  return { ...labels, labels: [...labels.labels, ...more] };
}

export function removeLabels(labels: Labels, ids: Iterable<string>): Labels {
  const gone = new Set(ids);
  return { ...labels, labels: labels.labels.filter((each) => !gone.has(each.id)) };
}

export function changeLabels(
  labels: Labels,
  ids: Iterable<string>,
  change: Partial<Pick<Label, "classId" | "review" | "shape">>,
): Labels {
  const meant = new Set(ids);
  return { ...labels, labels: labels.labels.map((each) => (meant.has(each.id) ? { ...each, ...change } : each)) };
}

/** Labels that teach: proposals that no one accepted do not. */
export function settled(labels: Labels): readonly Label[] {
  return labels.labels.filter((each) => each.review === undefined || each.review === "accepted");
}

export function proposed(labels: Labels): readonly Label[] {
  return labels.labels.filter((each) => each.review === "proposed");
}

/** How many settled labels each class has. */
export function counts(labels: Labels): ReadonlyMap<number, number> {
  const result = new Map(labels.classes.map((each) => [each.id, 0]));
  for (const each of settled(labels)) result.set(each.classId, (result.get(each.classId) ?? 0) + 1);
  return result;
}
