import type { Engine, Grown, LinearPart, NearPart, Neighbours, Network, Products, Sums } from "./engine";
import type { MlpArrays, Part } from "./types";

/** What kernels/index.ts exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  dots(codes: number, n: number, dims: number, packed: number, rows: number, out: number): void;
  squares(codes: number, n: number, dims: number, out: number): void;
  addScores(
    dot: number,
    n: number,
    rows: number,
    factor: number,
    scales: number,
    bias: number,
    scores: number,
    begins: number,
  ): void;
  addOrder(
    dot: number,
    n: number,
    rows: number,
    square: number,
    double: number,
    scales: number,
    order: number,
    begins: number,
  ): void;
  smallest(
    dot: number,
    n: number,
    rows: number,
    square: number,
    double: number,
    scales: number,
    order: number,
    begins: number,
    k: number,
    found: number,
    values: number,
  ): void;
  values(codes: number, n: number, dims: number, scales: number, out: number, stride: number): void;
  walk(rows: number, n: number, stride: number, nodes: number, root: number, ends: number): void;
  addRows(ends: number, n: number, table: number, columns: number, sums: number): void;
  addOne(ends: number, n: number, table: number, columns: number, column: number, sums: number): void;
  standardise(rows: number, n: number, stride: number, mean: number, std: number): void;
  layer(
    rows: number,
    n: number,
    stride: number,
    inputs: number,
    packed: number,
    bias: number,
    outputs: number,
    out: number,
    positive: number,
  ): void;
}

const BASE = 1024;
const PAGE = 65536;
const SLACK = 1024; // read beyond the last code: a vector of padding and eight codes
const SQUARES = 8192; // vectors at a time

/** The loops of kernels/index.ts. Memory holds tables of the head in use, and behind them what a call needs. */
export class WasmEngine implements Engine {
  readonly name = "wasm";
  readonly #own: Exports;
  #tables = BASE;
  #top = BASE;

  constructor(instance: WebAssembly.Instance) {
    // the shape of what tools/kernels.mjs compiled; a test runs every function
    this.#own = instance.exports as unknown as Exports;
  }

  reset(): void {
    this.#tables = this.#top = BASE;
  }

  squares(codes: Int8Array, dims: number, out: Int32Array): void {
    const step = SQUARES * dims;
    for (let from = 0; from < codes.length; from += step) {
      const part = codes.subarray(from, from + step);
      const n = part.length / dims;
      this.#begin();
      const [at, to] = [this.#codes(part), this.#room(n * 4)];
      this.#own.squares(at, n, dims, to);
      out.set(this.#int32(to, n), from / dims);
    }
  }

  products(rows: Int16Array, dims: number, count: number): Products {
    const [packed, stride] = [this.#table(packRows(rows, dims, count)), upTo(count, 4)];
    return {
      stride,
      run: (codes, n) => {
        this.#begin();
        return this.#int32(this.#dots(codes, n, dims, packed, stride), n * stride);
      },
    };
  }

  linear(parts: readonly LinearPart[], bias: Float64Array): Sums {
    const stride = upTo(bias.length, 4);
    const first = this.#table(padded(bias, stride, 0));
    const tables = parts.map(({ rows, dims, factor }) => ({
      dims,
      packed: this.#table(packRows(rows, dims, bias.length)),
      factor: this.#table(padded(factor, stride, 0)),
    }));
    return {
      stride,
      run: (vectors, n) => {
        this.#begin();
        const scores = this.#room(n * stride * 8);
        tables.forEach(({ dims, packed, factor }, index) => {
          const part = vectors[index] as Part;
          const scales = this.#copy(part.scales);
          const dots = this.#dots(part.codes, n, dims, packed, stride);
          this.#own.addScores(dots, n, stride, factor, scales, first, scores, index === 0 ? 1 : 0);
        });
        return this.#float64(scores, n * stride);
      },
    };
  }

  neighbours(parts: readonly NearPart[], count: number): Neighbours {
    const stride = upTo(count, 4);
    const tables = parts.map((part) => ({
      dims: part.dims,
      packed: this.#table(packRows(part.rows, part.dims, count)),
      square: this.#table(padded(part.square, stride, Infinity)),
      double: this.#table(padded(part.double, stride, 0)),
    }));
    return {
      run: (vectors, n, k) => {
        this.#begin();
        const order = parts.length > 1 ? this.#room(n * stride * 8) : 0;
        const [found, values] = [this.#room(n * k * 4), this.#room(n * k * 8)];
        tables.forEach(({ dims, packed, square, double }, index) => {
          const part = vectors[index] as Part;
          const scales = this.#copy(part.scales);
          const dots = this.#dots(part.codes, n, dims, packed, stride);
          const begins = index === 0 ? 1 : 0;
          if (index < parts.length - 1) this.#own.addOrder(dots, n, stride, square, double, scales, order, begins);
          else this.#own.smallest(dots, n, stride, square, double, scales, order, begins, k, found, values);
        });
        return { found: this.#int32(found, n * k), order: this.#float64(values, n * k) };
      },
    };
  }

  trees(trees: Grown): Sums {
    const { roots, adds, features } = trees;
    const stride = upTo(trees.columns, 2);
    const nodes = this.#table(packNodes(trees));
    const table = this.#table(adds ? trees.table : widen(trees.table, trees.columns, stride));
    return {
      stride,
      run: (parts, n) => {
        this.#begin();
        const [ends, sums] = [this.#room(upTo(n, 4) * 4), this.#room(n * stride * 8)];
        const rows = this.#values(parts, n, features);
        this.#float64(sums, n * stride).fill(0);
        for (let tree = 0; tree < roots.length; tree++) {
          this.#own.walk(rows, n, features, nodes, roots[tree] as number, ends);
          const only = adds?.[tree];
          if (only === undefined) this.#own.addRows(ends, n, table, stride, sums);
          else this.#own.addOne(ends, n, table, stride, only, sums);
        }
        return this.#float64(sums, n * stride);
      },
    };
  }

  network(head: MlpArrays): Network {
    const dims = head.mean.length;
    const wide = upTo(dims, 4);
    const [mean, std] = [this.#table(padded(head.mean, wide, 0)), this.#table(padded(head.std, wide, 1))];
    let inputs = dims;
    const layers = head.layers.map(({ weights, bias, outputs }) => {
      const padOut = upTo(outputs, 8);
      const packed = this.#table(packLayer(weights, inputs, outputs));
      const made = { inputs, outputs: padOut, packed, bias: this.#table(padded(bias, padOut, 0)) };
      inputs = outputs;
      return made;
    });
    const stride = layers.at(-1)?.outputs ?? 0;
    return {
      stride,
      run: (parts, n) => {
        this.#begin();
        let rows = this.#values(parts, n, wide);
        this.#own.standardise(rows, n, wide, mean, std);
        let width = wide;
        layers.forEach((layer, index) => {
          const to = this.#room(upTo(n, 4) * layer.outputs * 4);
          const positive = index < layers.length - 1 ? 1 : 0;
          this.#own.layer(rows, n, width, layer.inputs, layer.packed, layer.bias, layer.outputs, to, positive);
          [rows, width] = [to, layer.outputs];
        });
        return new Float32Array(this.#own.memory.buffer, rows, n * stride);
      },
    };
  }

  #dots(codes: Int8Array, n: number, dims: number, packed: number, stride: number): number {
    const [at, out] = [this.#codes(codes), this.#room(upTo(n, 2) * stride * 4)];
    this.#own.dots(at, n, dims, packed, stride, out);
    return out;
  }

  #values(parts: readonly Part[], n: number, stride: number): number {
    const rows = this.#room(upTo(n, 4) * stride * 4);
    let column = 0;
    for (const { codes, scales, dims } of parts) {
      this.#own.values(this.#codes(codes), n, dims, this.#copy(scales), rows + column * 4, stride);
      column += dims;
    }
    return rows;
  }

  /** What a call takes is behind the tables, and is free again at the next call. */
  #begin(): void {
    this.#top = this.#tables;
  }

  #room(bytes: number): number {
    const at = this.#top;
    this.#top = upTo(at + bytes, 64);
    const lacking = this.#top + SLACK - this.#own.memory.buffer.byteLength;
    if (lacking > 0) this.#own.memory.grow(Math.ceil(lacking / PAGE));
    return at;
  }

  #codes(codes: Int8Array): number {
    const at = this.#room(codes.length + SLACK);
    new Int8Array(this.#own.memory.buffer, at, codes.length).set(codes);
    return at;
  }

  #copy(data: Float32Array | Float64Array | Int16Array | Uint8Array): number {
    const at = this.#room(data.byteLength);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.#own.memory.buffer, at, data.byteLength).set(bytes);
    return at;
  }

  #table(data: Float32Array | Float64Array | Int16Array | Uint8Array): number {
    this.#begin();
    const at = this.#copy(data);
    this.#tables = this.#top;
    return at;
  }

  #int32(at: number, length: number): Int32Array {
    return new Int32Array(this.#own.memory.buffer, at, length);
  }

  #float64(at: number, length: number): Float64Array {
    return new Float64Array(this.#own.memory.buffer, at, length);
  }
}

function upTo(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}

/** Rows by fours: eight dims of each of the four, then the next eight; 0 where there are none. */
function packRows(rows: Int16Array, dims: number, count: number): Int16Array {
  const wide = upTo(dims, 8);
  const out = new Int16Array(upTo(count, 4) * wide);
  for (let row = 0; row < count; row++) {
    const start = (row >> 2) * 4 * wide + (row & 3) * 8;
    for (let d = 0; d < dims; d++) out[start + (d >> 3) * 32 + (d & 7)] = rows[row * dims + d] as number;
  }
  return out;
}

function padded<T extends Float32Array | Float64Array>(data: T, length: number, value: number): T {
  const out = data instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  out.fill(value).set(data);
  return out as T;
}

function widen(table: Float64Array, columns: number, stride: number): Float64Array {
  if (columns === stride) return table;
  const rows = table.length / columns;
  const out = new Float64Array(rows * stride);
  for (let row = 0; row < rows; row++) out.set(table.subarray(row * columns, (row + 1) * columns), row * stride);
  return out;
}

function packNodes(trees: Grown): Uint8Array {
  const out = new Uint8Array(trees.feature.length * 16);
  const [floats, whole] = [new Float32Array(out.buffer), new Uint32Array(out.buffer)];
  trees.feature.forEach((feature, node) => {
    floats[node * 4] = feature < 0 ? Infinity : (trees.threshold[node] as number);
    whole[node * 4 + 1] = Math.max(0, feature);
    whole[node * 4 + 2] = trees.child[node] as number;
    whole[node * 4 + 3] = trees.row[node] as number;
  });
  return out;
}

/** By eights of outputs: the eight of the first input, then those of the next. */
function packLayer(weights: Float32Array, inputs: number, outputs: number): Float32Array {
  const out = new Float32Array(upTo(outputs, 8) * inputs);
  for (let i = 0; i < inputs; i++) {
    for (let o = 0; o < outputs; o++) {
      out[(o >> 3) * 8 * inputs + i * 8 + (o & 7)] = weights[i * outputs + o] as number;
    }
  }
  return out;
}
