import type { Engine, Grown, LinearPart, NearPart, Neighbours, Network, Products, Sums } from "./engine";
import type { MlpArrays, Part } from "./types";

/** The same loops in JavaScript, where a browser has no WebAssembly SIMD. */
export class JsEngine implements Engine {
  readonly name = "js";

  reset(): void {}

  squares(codes: Int8Array, dims: number, out: Int32Array): void {
    for (let p = 0, at = 0; at < codes.length; p++) {
      let sum = 0;
      for (const end = at + dims; at < end; at++) sum += (codes[at] as number) ** 2;
      out[p] = sum;
    }
  }

  products(rows: Int16Array, dims: number, count: number): Products {
    let out = new Int32Array(0);
    return {
      stride: count,
      run: (codes, n) => {
        if (out.length < n * count) out = new Int32Array(n * count);
        multiply(codes, n, dims, rows, count, out);
        return out;
      },
    };
  }

  linear(parts: readonly LinearPart[], bias: Float64Array): Sums {
    const classes = bias.length;
    const products = parts.map(({ rows, dims }) => this.products(rows, dims, classes));
    let scores = new Float64Array(0);
    return {
      stride: classes,
      run: (vectors, n) => {
        if (scores.length < n * classes) scores = new Float64Array(n * classes);
        for (let p = 0; p < n; p++) scores.set(bias, p * classes);
        parts.forEach(({ factor }, index) => {
          const part = vectors[index] as Part;
          const dots = (products[index] as Products).run(part.codes, n);
          for (let p = 0, at = 0; p < n; p++) {
            const t = part.scales[p] as number;
            for (let k = 0; k < classes; k++, at++) {
              scores[at] = (scores[at] as number) + t * ((factor[k] as number) * (dots[at] as number));
            }
          }
        });
        return scores;
      },
    };
  }

  neighbours(parts: readonly NearPart[], count: number): Neighbours {
    const products = parts.map((part) => this.products(part.rows, part.dims, count));
    const line = new Float64Array(count);
    return {
      run: (vectors, n, k) => {
        const dots = products.map((product, index) => product.run((vectors[index] as Part).codes, n));
        const found = new Int32Array(n * k);
        const order = new Float64Array(n * k);
        for (let p = 0; p < n; p++) {
          line.fill(0);
          parts.forEach(({ square, double }, index) => {
            const t = (vectors[index] as Part).scales[p] as number;
            const dot = dots[index] as Int32Array;
            const at = p * count;
            for (let row = 0; row < count; row++) {
              const gap = (square[row] as number) - t * (double[row] as number) * (dot[at + row] as number);
              line[row] = (line[row] as number) + gap;
            }
          });
          smallest(line, k, found, order, p * k);
        }
        return { found, order };
      },
    };
  }

  trees(trees: Grown): Sums {
    const { columns, adds, table, roots } = trees;
    return {
      stride: columns,
      run: (parts, n) => {
        const values = valuesOf(parts, n, trees.features);
        const sums = new Float64Array(n * columns);
        const ends = new Int32Array(n);
        for (let tree = 0; tree < roots.length; tree++) {
          walk(trees, roots[tree] as number, values, n, ends);
          const only = adds?.[tree];
          for (let p = 0; p < n; p++) {
            const from = ends[p] as number;
            if (only === undefined) {
              for (let k = 0; k < columns; k++) {
                sums[p * columns + k] = (sums[p * columns + k] as number) + (table[from * columns + k] as number);
              }
            } else sums[p * columns + only] = (sums[p * columns + only] as number) + (table[from] as number);
          }
        }
        return sums;
      },
    };
  }

  network(head: MlpArrays): Network {
    return {
      stride: head.layers.at(-1)?.outputs ?? 0,
      run: (parts, n) => {
        const dims = head.mean.length;
        let rows = valuesOf(parts, n, dims);
        for (let at = 0; at < rows.length; at++) {
          rows[at] = ((rows[at] as number) - (head.mean[at % dims] as number)) / (head.std[at % dims] as number);
        }
        let width = dims;
        head.layers.forEach(({ weights, bias, outputs }, index) => {
          const next = new Float32Array(n * outputs);
          const sums = new Float64Array(outputs);
          for (let p = 0; p < n; p++) {
            sums.set(bias);
            for (let i = 0; i < width; i++) {
              const x = rows[p * width + i] as number;
              if (x === 0) continue;
              const from = i * outputs;
              for (let o = 0; o < outputs; o++) sums[o] = (sums[o] as number) + x * (weights[from + o] as number);
            }
            const last = index === head.layers.length - 1;
            for (let o = 0; o < outputs; o++)
              next[p * outputs + o] = last ? (sums[o] as number) : Math.max(sums[o] as number, 0);
          }
          [rows, width] = [next, outputs];
        });
        return rows;
      },
    };
  }
}

function multiply(codes: Int8Array, n: number, dims: number, rows: Int16Array, count: number, out: Int32Array): void {
  const four = dims & ~3;
  for (let p = 0; p < n; p++) {
    const start = p * dims;
    for (let row = 0; row < count; row++) {
      const from = row * dims;
      let [a, b, c, d, at] = [0, 0, 0, 0, 0];
      for (; at < four; at += 4) {
        a = (a + (codes[start + at] as number) * (rows[from + at] as number)) | 0;
        b = (b + (codes[start + at + 1] as number) * (rows[from + at + 1] as number)) | 0;
        c = (c + (codes[start + at + 2] as number) * (rows[from + at + 2] as number)) | 0;
        d = (d + (codes[start + at + 3] as number) * (rows[from + at + 3] as number)) | 0;
      }
      for (; at < dims; at++) a = (a + (codes[start + at] as number) * (rows[from + at] as number)) | 0;
      out[p * count + row] = a + b + c + d;
    }
  }
}

/** The k smallest of a line, in order, the first of equals. */
function smallest(line: Float64Array, k: number, found: Int32Array, order: Float64Array, at: number): void {
  order.fill(Infinity, at, at + k);
  for (let row = 0; row < line.length; row++) {
    const value = line[row] as number;
    if (!(value < (order[at + k - 1] as number))) continue;
    let place = at + k - 1;
    for (; place > at && (order[place - 1] as number) > value; place--) {
      order[place] = order[place - 1] as number;
      found[place] = found[place - 1] as number;
    }
    order[place] = value;
    found[place] = row;
  }
}

/** (n, D) float32(code x scale), the parts side by side. */
function valuesOf(parts: readonly Part[], n: number, dims: number): Float32Array {
  const out = new Float32Array(n * dims);
  let column = 0;
  for (const part of parts) {
    for (let p = 0; p < n; p++) {
      const t = part.scales[p] as number;
      const to = p * dims + column;
      for (let d = 0; d < part.dims; d++) out[to + d] = (part.codes[p * part.dims + d] as number) * t;
    }
    column += part.dims;
  }
  return out;
}

function walk(trees: Grown, root: number, values: Float32Array, n: number, ends: Int32Array): void {
  const { feature, threshold, child, row, features } = trees;
  for (let p = 0; p < n; p++) {
    let node = root;
    for (let looks = feature[node] as number; looks >= 0; looks = feature[node] as number) {
      const second = (values[p * features + looks] as number) > (threshold[node] as number);
      node = (child[node] as number) + (second ? 1 : 0);
    }
    ends[p] = row[node] as number;
  }
}
