import type { Shape } from "../labels";

export type Value = string | number | boolean | null;

/** A place of a file: its shapes (several of a multi-geometry), and the values of its columns. */
export interface Row {
  readonly shapes: readonly Shape[];
  readonly values: Readonly<Record<string, Value>>;
}

/** What a file of labels holds, in degrees. */
export interface Table {
  readonly name: string; // of the file
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** What was left out, in words: "3 lines without a polygon or point". */
  readonly notes: readonly string[];
}

/** Bytes of a file of labels: what a browser parses within seconds. */
export const MOST_BYTES = 64 * 1024 ** 2;
/** Places of a file, and corners of all its shapes. */
export const MOST_ROWS = 200_000;
export const MOST_CORNERS = 4_000_000;
/** Columns that are kept. */
export const MOST_COLUMNS = 500;
