import { columns, isData, widened, type Engine, type NearPart } from "./engine";
import { grown } from "./trees";
import { vote } from "./vote";
import type {
  BoostingArrays,
  ForestArrays,
  Kernels,
  KnnArrays,
  LinearArrays,
  MlpArrays,
  Out,
  Part,
  RowArrays,
} from "./types";

const CHUNK = 2048; // vectors of linear heads at a time: 256 kB of codes
const TREE_CHUNK = 512; // 256 kB of float32
const NEAR_CHUNK = 1 << 17; // products held at a time

/** What comes before and after an engine's loops is written once, so that it is the same bits with either. */
export class Exact implements Kernels {
  readonly name: "wasm" | "js";
  readonly #engine: Engine;
  #key: object | undefined;
  #what = "";
  #kept: unknown;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.name = engine.name;
  }

  dots(codes: Int8Array, dims: number, rows: Int16Array, count: number, out: Int32Array): void {
    // rows may have been written to since the last call
    this.#key = undefined;
    this.#engine.reset();
    const products = this.#engine.products(rows, dims, count);
    const step = Math.max(2, Math.min(CHUNK, Math.floor(NEAR_CHUNK / Math.max(1, count))));
    for (let from = 0; from * dims < codes.length; from += step) {
      const part = codes.subarray(from * dims, (from + step) * dims);
      const n = part.length / dims;
      const found = products.run(part, n);
      for (let p = 0; p < n; p++) {
        const start = p * products.stride;
        for (let row = 0; row < count; row++) out[(from + p) * count + row] = found[start + row] as number;
      }
    }
  }

  squares(codes: Int8Array, dims: number, out: Int32Array): void {
    this.#engine.squares(codes, dims, out);
  }

  nearest(parts: readonly Part[], rows: RowArrays, k: number, found: Int32Array, order: Float64Array): void {
    const near = this.#near(parts, rows);
    this.#chunks(parts, near.step, (chunk, from, n) => {
      const got = near.run(chunk, n, k);
      found.set(got.found.subarray(0, n * k), from * k);
      order.set(got.order.subarray(0, n * k), from * k);
    });
  }

  linear(parts: readonly Part[], head: LinearArrays, out: Out): void {
    const { classes, scale, bias } = head;
    const sums = this.#prepared(head, "linear", () => {
      const dims = dimsOf(parts);
      const each = starts(parts).map((start, index) => {
        const width = (parts[index] as Part).dims;
        const factor = Float64Array.from({ length: classes }, (_, k) => scale[k * parts.length + index] as number);
        return { rows: columns(head.weights, dims, start, width), dims: width, factor };
      });
      return this.#engine.linear(each, bias);
    });
    this.#scored(parts, CHUNK, classes, out, (chunk, n) => ({ found: sums.run(chunk, n), stride: sums.stride }));
  }

  knn(parts: readonly Part[], head: KnnArrays, out: Out): void {
    const near = this.#near(parts, head);
    const columns = Math.max(1, head.classes);
    this.#scored(parts, near.step, columns, out, (chunk, n) => {
      // first, since what an engine returns is valid until its next call
      const own = head.weighted ? this.#own(chunk, n) : undefined;
      const { found, order } = near.run(chunk, n, head.neighbours);
      return { found: vote(found, order, n, head, own), stride: columns };
    });
  }

  forest(parts: readonly Part[], head: ForestArrays, out: Out): void {
    const count = head.sizes.length;
    const sums = this.#prepared(head, "forest", () =>
      this.#engine.trees(grown(head, dimsOf(parts), head.leaf, head.values, head.classes)),
    );
    this.#scored(parts, TREE_CHUNK, head.classes, out, (chunk, n) => {
      const found = sums.run(chunk, n);
      for (let at = 0; at < n * sums.stride; at++) found[at] = (found[at] as number) / count;
      return { found, stride: sums.stride };
    });
  }

  boosting(parts: readonly Part[], head: BoostingArrays, out: Out): void {
    const sums = this.#prepared(head, "boosting", () =>
      this.#engine.trees(grown(head, dimsOf(parts), undefined, head.values, head.classes, head.adds)),
    );
    this.#scored(parts, TREE_CHUNK, head.classes, out, (chunk, n) => ({
      found: sums.run(chunk, n),
      stride: sums.stride,
    }));
  }

  mlp(parts: readonly Part[], head: MlpArrays, out: Out): void {
    const network = this.#prepared(head, "mlp", () => this.#engine.network(head));
    const outputs = head.layers.at(-1)?.outputs ?? 0;
    const [centre, spread] = [head.scale[0] ?? 0, head.scale[1] ?? 1];
    this.#scored(parts, TREE_CHUNK, outputs, out, (chunk, n) => {
      const raw = network.run(chunk, n);
      if (outputs > 1) return { found: raw, stride: network.stride };
      const found = Float64Array.from({ length: n }, (_, p) => (raw[p * network.stride] as number) * spread + centre);
      return { found, stride: 1 };
    });
  }

  /** Tables of a head are packed once and kept until another head comes. */
  #prepared<T>(key: object, what: string, make: () => T): T {
    if (this.#key !== key || this.#what !== what) {
      this.#engine.reset();
      this.#kept = make();
      [this.#key, this.#what] = [key, what];
    }
    return this.#kept as T;
  }

  #near(parts: readonly Part[], rows: RowArrays) {
    return this.#prepared(rows, "near", () => {
      const [dims, count] = [dimsOf(parts), rows.scales.length / parts.length];
      const near = starts(parts).map((start, index) => this.#nearPart(parts, rows, dims, start, index, count));
      const step = Math.max(8, Math.min(512, Math.floor(NEAR_CHUNK / count)));
      return { ...this.#engine.neighbours(near, count), step };
    });
  }

  #nearPart(
    parts: readonly Part[],
    rows: RowArrays,
    dims: number,
    start: number,
    index: number,
    count: number,
  ): NearPart {
    const width = (parts[index] as Part).dims;
    const codes = columns(rows.codes, dims, start, width);
    const whole = new Int32Array(count);
    this.#engine.squares(codes, width, whole);
    const own = Float64Array.from({ length: count }, (_, row) => rows.scales[row * parts.length + index] as number);
    return {
      rows: widened(codes),
      dims: width,
      square: own.map((s, row) => s * s * (whole[row] as number)),
      double: own.map((s) => 2 * s),
    };
  }

  /** (n,) squares of vectors, summed from 0 part by part. */
  #own(chunk: readonly Part[], n: number): Float64Array {
    const [out, whole] = [new Float64Array(n), new Int32Array(n)];
    for (const { codes, scales, dims } of chunk) {
      this.#engine.squares(codes, dims, whole);
      for (let p = 0; p < n; p++) {
        const t = scales[p] as number;
        out[p] = (out[p] as number) + t * t * (whole[p] as number);
      }
    }
    return out;
  }

  #chunks(parts: readonly Part[], step: number, work: (chunk: readonly Part[], from: number, n: number) => void): void {
    const count = parts[0]?.scales.length ?? 0;
    for (let from = 0; from < count; from += step) {
      const n = Math.min(step, count - from);
      const chunk = parts.map(({ codes, scales, dims }) => ({
        codes: codes.subarray(from * dims, (from + n) * dims),
        scales: scales.subarray(from, from + n),
        dims,
      }));
      if (chunk.every((part) => part.scales.some(isData))) work(chunk, from, n);
    }
  }

  /** The class of the highest score, the first of equals, and the scores themselves; where there is data. */
  #scored(
    parts: readonly Part[],
    step: number,
    classes: number,
    out: Out,
    work: (chunk: readonly Part[], n: number) => { found: Float64Array | Float32Array; stride: number },
  ): void {
    out.classes.fill(255);
    out.scores?.fill(NaN);
    const { classes: found, scores } = out;
    this.#chunks(parts, step, (chunk, from, n) => {
      const { found: values, stride } = work(chunk, n);
      for (let p = 0; p < n; p++) {
        if (!hasData(chunk, p)) continue;
        const at = p * stride;
        let best = 0;
        let most = values[at] as number;
        for (let k = 1; k < classes; k++) {
          const one = values[at + k] as number;
          if (one > most) [best, most] = [k, one];
        }
        found[from + p] = best;
        if (!scores) continue;
        for (let k = 0, to = (from + p) * classes; k < classes; k++, to++) scores[to] = values[at + k] as number;
      }
    });
  }
}

function hasData(parts: readonly Part[], p: number): boolean {
  for (const part of parts) if (!isData(part.scales[p])) return false;
  return true;
}

function dimsOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + part.dims, 0);
}

/** The first column of each part. */
function starts(parts: readonly Part[]): number[] {
  let start = 0;
  return parts.map((part) => (start += part.dims) - part.dims);
}
