import type { Running } from "../base";

export type HeadKind = "prototype" | "linear" | "knn" | "forest" | "mlp" | "boosting";

/** A head as docs/head-format.md has it, its arrays decoded. */
export interface Head {
  readonly head: HeadKind;
  readonly kind: "classification" | "regression";
  readonly classes: readonly string[];
  readonly values: readonly number[];
  readonly colours: readonly string[];
  readonly column: string;
  readonly inputs: readonly HeadInput[];
  readonly arrays: Readonly<Record<string, HeadArray>>;
  readonly rest: Readonly<Record<string, unknown>>; // span, trust, applicability, metrics, provenance: kept as they are
}

export interface HeadInput {
  readonly year: number | null;
  readonly dims: number;
  readonly model: {
    readonly name: string;
    readonly sha256: string;
    readonly dims: number;
    readonly prefix_dims: readonly number[];
  };
  readonly store: string;
}

export interface HeadArray {
  readonly dtype: "int8" | "int16" | "int32" | "int64" | "float32" | "float64";
  readonly shape: readonly number[];
  readonly data: Int8Array | Int16Array | Int32Array | BigInt64Array | Float32Array | Float64Array;
}

/** Vectors of labels: what is learnt from. */
export interface Samples {
  readonly dims: number;
  readonly codes: Int8Array; // (n, dims)
  readonly scales: Float32Array; // (n,)
  readonly target: Int32Array; // (n,) index of the class
  readonly groups: Int32Array; // (n,) labels of one group stay together in validation
  readonly places: Float64Array; // (n, 2) longitude, latitude: for blocks of land
}

export interface Learner {
  readonly head: HeadKind;
  readonly defaults: Readonly<Record<string, number | boolean>>;
  fit(
    samples: Samples,
    classes: number,
    settings: Readonly<Record<string, number | boolean>>,
    seed: number,
    running?: Running,
  ): Promise<Readonly<Record<string, HeadArray>>>;
}
