import type { Table, Value } from "./types";

/** A column that can give classes. */
export interface Candidate {
  readonly column: string;
  readonly classes: readonly string[]; // the most frequent first
  readonly missing: number; // places without a value
}

const MOST_CLASSES = 200;

/** Columns by how likely they hold classes: a usual name first, then few values that repeat; the others last. */
export function candidates(table: Table): readonly Candidate[] {
  return table.columns
    .map((column) => ({ ...tally(table, column), column }))
    .filter(({ classes }) => classes.length > 0)
    .sort((a, b) => rank(a, table) - rank(b, table));
}

/** How a value is written as a class: 1 and 1.0 and "1" are the same. */
export function className(value: Value | undefined): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "string") {
    const text = value.trim();
    if (text === "") return undefined;
    return /^[+-]?\d+\.0+$/.test(text) ? String(Number(text)) : text;
  }
  return typeof value === "number" && !Number.isFinite(value) ? undefined : String(value);
}

function tally(table: Table, column: string): { classes: readonly string[]; missing: number } {
  const counts = new Map<string, number>();
  let missing = 0;
  for (const { values } of table.rows) {
    const name = className(values[column]);
    if (name === undefined) missing++;
    else counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return { classes: [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name), missing };
}

const USUAL =
  /^(class|classname|class_name|label|landcover|land_cover|landuse|land_use|crop|crop_type|species|habitat|type|category|name|code)$/i;

function rank({ column, classes }: Candidate, table: Table): number {
  const usable = classes.length >= 2 && classes.length <= MOST_CLASSES && classes.length < table.rows.length;
  return (usable ? 0 : 10) + (USUAL.test(column) ? 0 : 1) + Math.min(classes.length, 1e6) / 1e7;
}
