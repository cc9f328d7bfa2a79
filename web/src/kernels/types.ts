/**
 * Arithmetic on codes, as docs/head-format.md defines it: whole numbers are exact, the rest is float64 in a stated order.
 * WebAssembly and JavaScript give the same bits; tests hold both against Python's.
 */
export interface Kernels {
  readonly name: "wasm" | "js";
  /** (n, classes) exact dot products of int16 weights and int8 codes of one part. */
  dots(codes: Int8Array, dims: number, weights: Int16Array, classes: number, out: Int32Array): void;
  /** (n,) squares of codes, exact. */
  squares(codes: Int8Array, dims: number, out: Int32Array): void;
  /** (n,) class of linear and prototype heads of one part; 255 where the scale is no data. */
  linear(codes: Int8Array, scales: Float32Array, dims: number, head: LinearArrays, out: Uint8Array): void;
  /** (n,) class of kNN heads of one part; `votes` (n,) share of the winner where wanted. */
  knn(
    codes: Int8Array,
    scales: Float32Array,
    dims: number,
    head: KnnArrays,
    out: Uint8Array,
    votes?: Float32Array,
  ): void;
  /** (n,) class of forests; `votes` as above. */
  forest(
    codes: Int8Array,
    scales: Float32Array,
    dims: number,
    head: ForestArrays,
    out: Uint8Array,
    votes?: Float32Array,
  ): void;
  /** (n, classes) float32 output of an MLP. */
  mlp(codes: Int8Array, scales: Float32Array, dims: number, head: MlpArrays, out: Float32Array): void;
}

export interface LinearArrays {
  readonly classes: number;
  readonly weights: Int16Array;
  readonly scale: Float64Array;
  readonly bias: Float64Array;
}

export interface KnnArrays {
  readonly classes: number;
  readonly neighbours: number;
  readonly weighted: boolean;
  readonly codes: Int8Array;
  readonly scales: Float32Array;
  readonly target: Int32Array;
}

export interface ForestArrays {
  readonly classes: number;
  readonly sizes: Int32Array;
  readonly feature: Int16Array;
  readonly threshold: Float32Array;
  readonly leaf: Int32Array;
  readonly values: Float64Array;
}

export interface MlpArrays {
  readonly mean: Float32Array;
  readonly std: Float32Array;
  readonly layers: readonly { readonly weights: Float32Array; readonly bias: Float32Array; readonly outputs: number }[];
}
