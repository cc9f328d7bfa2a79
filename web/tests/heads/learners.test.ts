import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { fitHead, LEARNERS, learnerOf, predictor, readHead, writeHead, type Samples } from "../../src/heads";
import { js, wasm } from "../kernels/made";

interface Kept {
  readonly dims: number;
  readonly classes: number;
  readonly codes: string;
  readonly scales: string;
  readonly target: number[];
  readonly field: number[];
  readonly block: number[];
  readonly macro_f1: Record<string, number>;
}

const kept = JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/learners.json"), "utf8")) as Kept; // ours
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "base64")).buffer;
const codes = new Int8Array(bytes(kept.codes));
const scales = new Float32Array(bytes(kept.scales));

/** Labels of some blocks. */
function samples(wanted: (block: number) => boolean): Samples {
  const rows = kept.block.flatMap((block, row) => (wanted(block) ? [row] : []));
  const pick = (values: number[]) => Int32Array.from(rows, (row) => values[row] ?? 0);
  return {
    dims: kept.dims,
    codes: Int8Array.from(rows.flatMap((row) => [...codes.subarray(row * kept.dims, (row + 1) * kept.dims)])),
    scales: Float32Array.from(rows, (row) => scales[row] ?? NaN),
    target: pick(kept.target),
    groups: pick(kept.field),
    places: new Float64Array(rows.length * 2),
  };
}

const about = {
  classes: Array.from({ length: kept.classes }, (_, k) => `class ${k}`),
  colours: Array.from({ length: kept.classes }, (_, k) => `#0${k}80ff`),
  column: "class",
  input: {
    year: 2024,
    dims: kept.dims,
    store: "a store",
    model: { name: "m", sha256: "ab".repeat(32), dims: kept.dims, prefix_dims: [kept.dims] },
  },
};

function macroF1(truth: Int32Array, found: Uint8Array): number {
  const each = about.classes.map((_, k) => {
    const right = truth.filter((one, p) => one === k && found[p] === k).length;
    const [was, said] = [truth.filter((one) => one === k).length, found.filter((one) => one === k).length];
    return (2 * right) / (was + said);
  });
  return each.reduce((a, b) => a + b, 0) / each.length;
}

const learnt = samples((block) => block % 3 !== 0);
const tested = samples((block) => block % 3 === 0);

describe.each(LEARNERS.map((learner) => learner.head))("the learner %s", (name) => {
  const few = name === "mlp" ? { epochs: 2 } : {};

  it("does as well as Python's on other blocks of land", async () => {
    const scores = [];
    for (const seed of name === "forest" ? [0, 1, 2] : [0]) {
      const head = await fitHead(learnt, name, about, {}, seed);
      const { classes } = await predictor(head, wasm).classify([tested]);
      scores.push(macroF1(tested.target, classes));
      expect((await predictor(head, js).classify([tested])).classes).toEqual(classes);
    }
    const mean = scores.reduce((a, b) => a + b, 0) / scores.length;
    expect(mean).toBeGreaterThan((kept.macro_f1[name] ?? 1) - 0.03);
  }, 120_000);

  it("gives the same head from the same seed, and one that can be read", async () => {
    const [a, b] = [await fitHead(learnt, name, about, few, 7), await fitHead(learnt, name, about, few, 7)];
    expect(b).toEqual(a);
    expect(readHead(writeHead(a), "a")).toEqual(a);
  }, 120_000);

  it("ends when it is cancelled", async () => {
    const signal = AbortSignal.abort();
    await expect(fitHead(learnt, name, about, {}, 0, { signal })).rejects.toThrow(/abort/i);
  });

  it("refuses labels of one class, and labels without data, in words", async () => {
    const alone = { ...learnt, target: learnt.target.map(() => 1) };
    await expect(fitHead(alone, name, about)).rejects.toThrow(/a class without labels/);
    const empty = { ...learnt, scales: learnt.scales.map((one, p) => (p === 3 ? NaN : one)) };
    await expect(fitHead(empty, name, about)).rejects.toThrow(/without data/);
  });

  it("learns from one label a class", async () => {
    const first = about.classes.map((_, k) => learnt.target.indexOf(k));
    const first6: Samples = {
      dims: kept.dims,
      codes: Int8Array.from(first.flatMap((p) => [...learnt.codes.subarray(p * kept.dims, (p + 1) * kept.dims)])),
      scales: Float32Array.from(first, (p) => learnt.scales[p] ?? NaN),
      target: Int32Array.from(first.keys()),
      groups: Int32Array.from(first.keys()),
      places: new Float64Array(first.length * 2),
    };
    const head = await fitHead(first6, name, about);
    const found = (await predictor(head, wasm).classify([first6])).classes;
    if (name !== "forest") expect([...found]).toEqual([...first.keys()]);
  });
});

it("an unknown learner is refused", () => {
  expect(() => learnerOf("svm")).toThrow(/expected one of prototype, knn, linear, forest, mlp/);
});
