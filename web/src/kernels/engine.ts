import type { MlpArrays, Part, TreeArrays } from "./types";

/** The loops that take the time, over a chunk of vectors. What is returned is valid until the next call. */
export interface Engine {
  readonly name: "wasm" | "js";
  /** Forget all that was prepared. */
  reset(): void;
  squares(codes: Int8Array, dims: number, out: Int32Array): void;
  products(rows: Int16Array, dims: number, count: number): Products;
  linear(parts: readonly LinearPart[], bias: Float64Array): Sums;
  neighbours(parts: readonly NearPart[], count: number): Neighbours;
  trees(trees: Grown): Sums;
  network(head: MlpArrays): Network;
}

/** (n, stride) dot products; those from the number of rows on are of no meaning. */
export interface Products {
  readonly stride: number;
  run(codes: Int8Array, n: number): Int32Array;
}

/** Weights of one part, and what a step of each class's weights is worth. */
export interface LinearPart {
  readonly rows: Int16Array;
  readonly dims: number;
  readonly factor: Float64Array;
}

/** Rows of one part, and the float64 factors of docs/head-format.md: `square` is s s |q|^2, `double` is 2 s. */
export interface NearPart {
  readonly rows: Int16Array;
  readonly dims: number;
  readonly square: Float64Array;
  readonly double: Float64Array;
}

/** (n, k) each, from the nearest. */
export interface Neighbours {
  run(parts: readonly Part[], n: number, k: number): { readonly found: Int32Array; readonly order: Float64Array };
}

/** Trees with their links: a leaf is its own child. */
export interface Grown extends TreeArrays {
  readonly features: number;
  readonly roots: Int32Array; // (T,) node of each tree
  readonly child: Int32Array; // (M,) first child
  readonly row: Int32Array; // (M,) row of the table, of leaves
  readonly table: Float64Array; // (U, columns), or (L,) where trees add to one column each
  readonly columns: number;
  readonly adds: Int32Array | undefined; // (T,) the column
}

/** (n, stride) float64 sums: over the trees, or of parts and bias. */
export interface Sums {
  readonly stride: number;
  run(parts: readonly Part[], n: number): Float64Array;
}

/** (n, stride) float32 outputs. */
export interface Network {
  readonly stride: number;
  run(parts: readonly Part[], n: number): Float32Array;
}

/** Whether a scale is that of data. */
export function isData(scale: number | undefined): boolean {
  return scale !== undefined && scale > 0 && scale < Infinity;
}

/** int8 as int16, so that one loop serves weights and labels. */
export function widened(codes: Int8Array): Int16Array {
  return Int16Array.from(codes);
}

/** The columns of one part: (n, D) -> (n, width), from `start` on. */
export function columns<T extends Int8Array | Int16Array>(all: T, dims: number, start: number, width: number): T {
  if (width === dims) return all;
  const count = all.length / dims;
  const out = all.slice(0, count * width);
  for (let row = 0; row < count; row++)
    out.set(all.subarray(row * dims + start, row * dims + start + width), row * width);
  return out as T;
}
