/** Vectors of one input of a head: n vectors of `dims` codes, and n scales; a scale that is finite and above 0 is data. */
export interface Part {
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,)
  readonly dims: number; // at most MOST_DIMS
}

/** Where predictions go: n vectors, K classes. */
export interface Out {
  readonly classes: Uint8Array; // (n,) index of the class, the first of equals; 255 where a part is no data
  /** (n, K) scores of the classes, or (n, 1) numbers; NaN where a part is no data. Absent: not wanted. */
  readonly scores?: Float64Array;
}

/**
 * Arithmetic on codes, as docs/head-format.md defines it: whole numbers are exact, the rest is float64 in a stated order.
 * WebAssembly and JavaScript give the same bits; tests hold both against Python's. A head that is the same object as in
 * the call before is not packed again; its arrays must not change. All take any n; `parts` are a head's inputs side by side.
 */
export interface Kernels {
  readonly name: "wasm" | "js";
  /** (n, count) exact dot products of int16 rows and int8 codes; `dims` is that of both. */
  dots(codes: Int8Array, dims: number, rows: Int16Array, count: number, out: Int32Array): void;
  /** (n,) squares of codes, exact. */
  squares(codes: Int8Array, dims: number, out: Int32Array): void;
  /**
   * (n, k) the rows nearest to each vector, from the nearest, the first of equals; and their squared distances less the
   * square of the vector. Rows of vectors that are no data are of no meaning.
   */
  nearest(parts: readonly Part[], rows: RowArrays, k: number, found: Int32Array, order: Float64Array): void;
  linear(parts: readonly Part[], head: LinearArrays, out: Out): void; // scores are logits
  knn(parts: readonly Part[], head: KnnArrays, out: Out): void; // scores are shares of the votes
  forest(parts: readonly Part[], head: ForestArrays, out: Out): void; // scores are probabilities
  boosting(parts: readonly Part[], head: BoostingArrays, out: Out): void; // scores are logits
  mlp(parts: readonly Part[], head: MlpArrays, out: Out): void; // scores are float32 logits, to 1e-5
}

/** Dims of a part, at most: sums of products with int16 rows then fit into int32. */
export const MOST_DIMS = 448;

export interface LinearArrays {
  readonly classes: number; // rows; 1 of a number
  readonly weights: Int16Array; // (K, D), the parts side by side
  readonly scale: Float64Array; // (K, P)
  readonly bias: Float64Array; // (K,)
}

/** Vectors to compare with. */
export interface RowArrays {
  readonly codes: Int8Array; // (N, D), the parts side by side
  readonly scales: Float32Array; // (N, P)
}

export interface KnnArrays extends RowArrays {
  readonly classes: number; // 0 of numbers
  readonly neighbours: number;
  readonly weighted: boolean;
  readonly target: Int32Array | Float64Array; // classes, or numbers
}

/** Trees one after another, the nodes of each in the order of breadth. */
export interface TreeArrays {
  readonly sizes: Int32Array; // (T,)
  readonly feature: Int16Array; // (M,); -1 is a leaf
  readonly threshold: Float32Array; // (M,)
}

export interface ForestArrays extends TreeArrays {
  readonly classes: number; // columns of values; 1 of a number
  readonly leaf: Int32Array; // (L,) row of values
  readonly values: Float64Array; // (U, K)
}

export interface BoostingArrays extends TreeArrays {
  readonly classes: number; // 1 of a number
  readonly adds: Int32Array; // (T,)
  readonly values: Float64Array; // (L,)
}

export interface MlpArrays {
  readonly mean: Float32Array;
  readonly std: Float32Array;
  readonly layers: readonly { readonly weights: Float32Array; readonly bias: Float32Array; readonly outputs: number }[];
  readonly scale: Float64Array; // (2,) centre and spread of a number; 0 and 1 of classes
}
