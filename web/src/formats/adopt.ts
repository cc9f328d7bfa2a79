import { PageError } from "../base";
import { addClass, addLabels, cleanName, type Label, type Labels } from "../labels";
import { className } from "./columns";
import type { Table } from "./types";

/** What came of a file: the labels with it added, and what to tell. */
export interface Adopted {
  readonly labels: Labels;
  readonly added: number;
  readonly notes: readonly string[];
}

/** Add a file's places with the classes of one column; each place of the file is one group in validation. */
export function adopt(labels: Labels, table: Table, column: string, stamp: string): Adopted {
  let next = labels;
  const more: Label[] = [];
  let missing = 0;
  table.rows.forEach(({ shapes, values }, i) => {
    const name = className(values[column]);
    if (name === undefined) {
      missing++;
      return;
    }
    const wanted = cleanName(name).toLowerCase();
    let known = next.classes.find((each) => each.name.toLowerCase() === wanted);
    if (!known) {
      next = addClass(next, name);
      known = next.classes.find((each) => each.name.toLowerCase() === wanted);
      if (!known) throw new PageError("input", `the class ${name} could not be added`);
    }
    const { id } = known;
    shapes.forEach((shape, j) =>
      more.push({ id: `${stamp}-${i}-${j}`, shape, classId: id, group: `${stamp}-${i}`, source: "import" }),
    );
  });
  const notes = [...table.notes, ...(missing > 0 ? [`${missing} places without a class in "${column}" left out`] : [])];
  return { labels: addLabels(next, more), added: more.length, notes };
}
