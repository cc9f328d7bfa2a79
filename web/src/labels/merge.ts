import type { Labels } from "./types";

function three<T>(
  key: (item: T) => string | number,
  base: readonly T[],
  mine: readonly T[],
  theirs: readonly T[],
): T[] {
  const [was, here, there] = [base, mine, theirs].map((list) => new Map(list.map((item) => [key(item), item])));
  const same = (a: T | undefined, b: T | undefined) => a === b || JSON.stringify(a) === JSON.stringify(b);
  const order = [...new Set([...theirs, ...mine].map(key))];
  return order
    .map((id) => (same(here?.get(id), was?.get(id)) ? there?.get(id) : here?.get(id)))
    .filter((item) => item !== undefined);
}

/**
 * What two tabs made of the same labels: what one of them changed since `base` holds, what both changed is `mine`.
 * A class that one tab removed while the other put labels into it stays.
 */
export function merge(base: Labels, mine: Labels, theirs: Labels): Labels {
  const labels = three((each) => each.id, base.labels, mine.labels, theirs.labels);
  const classes = three<Labels["classes"][number]>((each) => each.id, base.classes, mine.classes, theirs.classes);
  const known = new Set(classes.map((each) => each.id));
  const needed = new Set(labels.map((each) => each.classId));
  const back = [...mine.classes, ...theirs.classes].filter((each) => {
    const due = needed.has(each.id) && !known.has(each.id);
    if (due) known.add(each.id);
    return due;
  });
  return { classes: [...classes, ...back], labels };
}
