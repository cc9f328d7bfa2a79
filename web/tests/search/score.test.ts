import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { javascriptKernels } from "../../src/kernels";
import { prepare, score, type Examples } from "../../src/search";

const DIMS = 6;
const kernels = javascriptKernels();
const code = fc.integer({ min: -128, max: 127 });
const vector = fc.array(code, { minLength: DIMS, maxLength: DIMS }).filter((each) => each.some((value) => value !== 0));
const vectors = fc.array(vector, { minLength: 1, maxLength: 5 });
const scale = fc.float({ min: Math.fround(0.001), max: Math.fround(0.9), noNaN: true });

const examples = (rows: number[][], size = 0.1): Examples => ({
  codes: Int8Array.from(rows.flat()),
  scales: new Float32Array(rows.length).fill(size),
});
const none = examples([]);
const unit = (row: number[]) => {
  const length = Math.hypot(...row);
  return row.map((value) => value / length);
};
const cosine = (a: number[], b: number[]) => {
  const [one, other] = [unit(a), unit(b)];
  return one.reduce((sum, value, d) => sum + value * (other[d] ?? 0), 0);
};
const run = (
  positive: Examples,
  negative: Examples,
  how: "cosine" | "best" | "contrast",
  rows: number[][],
  size = 0.1,
) => {
  const { codes, scales } = examples(rows, size);
  return [...score(prepare({ positive, negative, how }, DIMS), kernels, codes, scales)];
};

describe("scores", () => {
  it("are the cosine to the best positive, whatever the scales", () => {
    fc.assert(
      fc.property(vectors, vectors, scale, scale, (positive, rows, one, other) => {
        const found = run(examples(positive, one), none, "best", rows, other);
        rows.forEach((row, k) =>
          expect(found[k]).toBeCloseTo(Math.max(...positive.map((each) => cosine(each, row))), 6),
        );
      }),
    );
  });

  it("are 1 for the example itself", () => {
    fc.assert(
      fc.property(vector, (row) => {
        expect(run(examples([row]), none, "cosine", [row])[0]).toBe(1);
      }),
    );
  });

  it("are the cosine to the mean of unit vectors, to 16 bits", () => {
    fc.assert(
      fc.property(vectors, vectors, (positive, rows) => {
        const mean = Array.from({ length: DIMS }, (_, d) =>
          positive.reduce((sum, each) => sum + (unit(each)[d] ?? 0), 0),
        );
        fc.pre(Math.hypot(...mean) > 0.01);
        const found = run(examples(positive), none, "cosine", rows);
        rows.forEach((row, k) => expect(found[k]).toBeCloseTo(cosine(mean, row), 3));
      }),
    );
  });

  it("are twice the best positive less the best negative", () => {
    fc.assert(
      fc.property(vectors, vectors, vectors, (positive, negative, rows) => {
        const found = run(examples(positive), examples(negative), "contrast", rows);
        rows.forEach((row, k) => {
          const [plus, minus] = [positive, negative].map((all) => Math.max(...all.map((each) => cosine(each, row))));
          expect(found[k]).toBeCloseTo(2 * (plus ?? 0) - (minus ?? 0), 5);
        });
      }),
    );
  });

  it("are NaN where there is no data, outside, and for a vector of zeros", () => {
    const scoring = prepare({ positive: examples([[1, 0, 0, 0, 0, 0]]), negative: none, how: "best" }, DIMS);
    const codes = Int8Array.from([1, 1, 1, 1, 0].flatMap((value) => [value, 0, 0, 0, 0, 0]));
    const scales = Float32Array.of(0.1, NaN, Infinity, 0.1, 0.1);
    expect([...score(scoring, kernels, codes, scales, Uint8Array.of(1, 1, 1, 0, 1))]).toEqual([1, NaN, NaN, NaN, NaN]);
  });

  it("need an example with data", () => {
    const dark = { codes: new Int8Array(DIMS).fill(3), scales: Float32Array.of(NaN) };
    for (const positive of [none, dark, examples([[0, 0, 0, 0, 0, 0]])]) {
      expect(() => prepare({ positive, negative: none, how: "cosine" }, DIMS)).toThrow("no positive example");
    }
    const opposite = examples([[1, 0, 0, 0, 0, 0], [-1, 0, 0, 0, 0, 0]]); // prettier-ignore
    expect(() => prepare({ positive: opposite, negative: none, how: "cosine" }, DIMS)).toThrow("cancel each other");
  });
});
