import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { MOST_DIMS, type Kernels, type Out, type Part } from "../../src/kernels";
import { js, numbers, parts, seeds, wasm, widths } from "./made";

const LENGTHS = fc.integer({ min: 1, max: 40 });

function both(n: number, classes: number, run: (kernels: Kernels, out: Out) => void): void {
  const [a, b] = [js, wasm].map((kernels) => {
    const out = { classes: new Uint8Array(n), scores: new Float64Array(n * classes) };
    run(kernels, out);
    return out;
  });
  expect(b?.classes).toEqual(a?.classes);
  expect(b?.scores).toEqual(a?.scores);
}

function sum(widths: readonly number[]): number {
  return widths.reduce((a, b) => a + b, 0);
}

describe("WebAssembly and JavaScript", () => {
  it("count the same dots and squares, up to the largest dims and numbers", () => {
    fc.assert(
      fc.property(
        LENGTHS,
        fc.integer({ min: 1, max: MOST_DIMS }),
        fc.integer({ min: 1, max: 70 }),
        seeds,
        (n, dims, rows, seed) => {
          const next = numbers(seed);
          const codes = (parts(n, [dims], next)[0] as Part).codes;
          const weights = Int16Array.from({ length: rows * dims }, () =>
            next() < 0.5 ? (next() < 0.5 ? -32768 : 32767) : Math.floor(next() * 65536) - 32768,
          );
          const exact = new Int32Array(n * rows).map((_, at) => {
            const [p, row] = [Math.floor(at / rows), at % rows];
            let total = 0;
            for (let d = 0; d < dims; d++)
              total += (codes[p * dims + d] as number) * (weights[row * dims + d] as number);
            return total;
          });
          for (const kernels of [js, wasm]) {
            const dots = new Int32Array(n * rows);
            kernels.dots(codes, dims, weights, rows, dots);
            expect(dots).toEqual(exact);
          }
          const [a, b] = [new Int32Array(n), new Int32Array(n)];
          js.squares(codes, dims, a);
          wasm.squares(codes, dims, b);
          expect(b).toEqual(a);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("hold the largest sum that there can be", () => {
    const codes = new Int8Array(MOST_DIMS).fill(-128);
    const weights = new Int16Array(MOST_DIMS).fill(-32768);
    for (const kernels of [js, wasm]) {
      const out = new Int32Array(1);
      kernels.dots(codes, MOST_DIMS, weights, 1, out);
      expect(out[0]).toBe(MOST_DIMS * 128 * 32768);
    }
  });

  it("score linear heads the same", () => {
    fc.assert(
      fc.property(LENGTHS, widths, fc.integer({ min: 1, max: 12 }), seeds, (n, each, classes, seed) => {
        const next = numbers(seed);
        const dims = sum(each);
        const equal = next() < 0.2; // all classes alike: the first wins
        const row = Int16Array.from({ length: dims }, () => Math.floor(next() * 65535) - 32767);
        const weights = Int16Array.from({ length: classes * dims }, (_, at) =>
          equal ? (row[at % dims] as number) : Math.floor(next() * 65535) - 32767,
        );
        const scale = new Float64Array(classes * each.length).map(() => (equal ? 1e-5 : next() * 1e-4));
        const bias = new Float64Array(classes).map(() => (equal ? 0 : next() - 0.5));
        const vectors = parts(n, each, next);
        both(n, classes, (kernels, out) => kernels.linear(vectors, { classes, weights, scale, bias }, out));
      }),
    );
  });

  it("find the same neighbours and votes", () => {
    fc.assert(
      fc.property(
        LENGTHS,
        widths,
        fc.integer({ min: 1, max: 50 }),
        fc.boolean(),
        seeds,
        (n, each, rows, weighted, seed) => {
          const next = numbers(seed);
          const labels = parts(rows, each, next);
          const dims = sum(each);
          const codes = new Int8Array(rows * dims);
          let start = 0;
          for (const part of labels) {
            for (let r = 0; r < rows; r++) {
              codes.set(part.codes.subarray(r * part.dims, (r + 1) * part.dims), r * dims + start);
            }
            start += part.dims;
          }
          // labels at one place, and vectors that are labels
          if (rows > 3) codes.copyWithin(dims, 0, dims);
          const scales = new Float32Array(rows * each.length).fill(0.01);
          const vectors = parts(n, each, next);
          if (next() < 0.5) {
            vectors.forEach((part, index) => part.codes.set((labels[index] as Part).codes.subarray(0, part.dims)));
          }
          const classes = 1 + Math.floor(next() * 5);
          const head = {
            classes,
            neighbours: 1 + Math.floor(next() * Math.min(rows, 9)),
            weighted,
            codes,
            scales,
            target: Int32Array.from({ length: rows }, () => Math.floor(next() * classes)),
          };
          both(n, classes, (kernels, out) => kernels.knn(vectors, head, out));
          const target = Float64Array.from({ length: rows }, () => next() * 100);
          both(n, 1, (kernels, out) => kernels.knn(vectors, { ...head, classes: 0, target }, out));
        },
      ),
    );
  });

  it("walk the same trees", () => {
    fc.assert(
      fc.property(LENGTHS, widths, fc.integer({ min: 1, max: 6 }), seeds, (n, each, classes, seed) => {
        const next = numbers(seed);
        const vectors = parts(n, each, next);
        const trees = grow(1 + Math.floor(next() * 6), sum(each), vectors, next);
        const leaves = trees.feature.filter((one) => one < 0).length;
        const values = new Float64Array(7 * classes).map(next);
        const leaf = new Int32Array(leaves).map(() => Math.floor(next() * 7));
        both(n, classes, (kernels, out) => kernels.forest(vectors, { ...trees, classes, leaf, values }, out));
        const adds = trees.sizes.map(() => Math.floor(next() * classes));
        const added = new Float64Array(leaves).map(() => next() - 0.5);
        both(n, classes, (kernels, out) => kernels.boosting(vectors, { ...trees, classes, adds, values: added }, out));
      }),
    );
  });

  it("give network outputs within 1e-5", () => {
    fc.assert(
      fc.property(LENGTHS, widths, fc.integer({ min: 1, max: 11 }), seeds, (n, each, classes, seed) => {
        const next = numbers(seed);
        const dims = sum(each);
        const vectors = parts(n, each, next);
        const sizes = [dims, 1 + Math.floor(next() * 40), classes];
        const layers = sizes.slice(1).map((outputs, index) => ({
          weights: new Float32Array((sizes[index] as number) * outputs).map(() => (next() - 0.5) / 4),
          bias: new Float32Array(outputs).map(() => next() - 0.5),
          outputs,
        }));
        const head = {
          mean: new Float32Array(dims).map(() => next() - 0.5),
          std: new Float32Array(dims).map(() => next() + 0.5),
          layers,
          scale: new Float64Array([0, 1]),
        };
        const [a, b] = [js, wasm].map((kernels) => {
          const out = { classes: new Uint8Array(n), scores: new Float64Array(n * classes) };
          kernels.mlp(vectors, head, out);
          return out.scores;
        });
        a?.forEach((value, at) => {
          if (Number.isNaN(value)) expect(b?.[at]).toBeNaN();
          else expect(Math.abs((b?.[at] ?? NaN) - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
        });
      }),
    );
  });

  it("take up a head again after another one, and more vectors than fit a chunk", () => {
    const next = numbers(5);
    const vectors = parts(9000, [16], next);
    const heads = [3, 5].map((classes) => ({
      classes,
      weights: Int16Array.from({ length: classes * 16 }, () => Math.floor(next() * 65535) - 32767),
      scale: new Float64Array(classes).fill(1e-5),
      bias: new Float64Array(classes),
    }));
    for (const head of [...heads, ...heads]) {
      both(9000, head.classes, (kernels, out) => kernels.linear(vectors, head, out));
    }
  });
});

/** Trees with nodes in the order of breadth, and thresholds that vectors meet exactly. */
function grow(count: number, features: number, vectors: readonly Part[], next: () => number) {
  const sizes: number[] = [];
  const feature: number[] = [];
  const threshold: number[] = [];
  for (let tree = 0; tree < count; tree++) {
    let [size, open] = [0, 1];
    while (open > 0) {
      size++;
      const splits = size < 40 && next() < 0.6;
      open += splits ? 1 : -1;
      const looks = Math.floor(next() * features);
      feature.push(splits ? looks : -1);
      threshold.push(splits ? (next() < 0.5 ? valueOf(vectors, looks) : next() - 0.5) : 0);
    }
    sizes.push(size);
  }
  return { sizes: Int32Array.from(sizes), feature: Int16Array.from(feature), threshold: Float32Array.from(threshold) };
}

function valueOf(vectors: readonly Part[], looks: number): number {
  for (const part of vectors) {
    if (looks < part.dims) {
      const value = (part.codes[looks] as number) * (part.scales[0] as number);
      return Number.isFinite(value) ? value : 0;
    }
    looks -= part.dims;
  }
  return 0;
}
