// Python's folds, blocks, scores and suggestions (tests/page/validation_fixtures.py).
import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readHead, writeHead, fitHead, type Samples } from "../../src/heads";
import {
  blocksOf,
  confusion,
  hectares,
  intervalOf,
  makeFolds,
  metricsOf,
  scoresOf,
  spatialBlocks,
  suggest,
  uncertainty,
  validate,
  type Report,
} from "../../src/validation";
import { wasm } from "../kernels/made";

interface Kept {
  readonly folds: readonly { classes: number[]; groups: number[]; seed: number; folds: number; fold: number[] }[];
  readonly blocks: readonly {
    lonlat: number[];
    groups: number[];
    side: number;
    count: number;
    blocks: number[];
    places: Record<string, number[]>;
  }[];
  readonly validated: { lonlat: number[]; heads: Record<string, Validated> };
  readonly chosen: {
    codes: number[];
    places: number[][];
    unsure: number[];
    "0": { order: number[]; gains: number[] };
    "3": { order: number[]; gains: number[] };
  };
}

interface Validated {
  readonly accuracy: number[];
  readonly balanced_accuracy: number[];
  readonly macro_f1: number[];
  readonly random: number[];
  readonly counts: number[][];
  readonly f1: number[];
  readonly folds: number;
  readonly units: number;
  readonly block_km: number;
  readonly buffer_km: number;
}

const FOLDER = join(import.meta.dirname, "../fixtures");
const read = <T>(name: string) => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as T; // our own files
const kept = read<Kept>("validation.json");
const labels = read<{ dims: number; codes: string; scales: string; target: number[]; field: number[] }>(
  "learners.json",
);
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "base64")).buffer;

const samples: Samples = {
  dims: labels.dims,
  codes: new Int8Array(bytes(labels.codes)),
  scales: new Float32Array(bytes(labels.scales)),
  target: Int32Array.from(labels.target),
  groups: Int32Array.from(labels.field),
  places: Float64Array.from(kept.validated.lonlat),
};
const about = {
  classes: Array.from({ length: 6 }, (_, k) => `class ${k}`),
  colours: Array.from({ length: 6 }, () => "#1f7a3a"),
  column: "class",
  input: {
    year: 2024,
    dims: labels.dims,
    store: "",
    model: { name: "m", sha256: "ab".repeat(32), dims: labels.dims, prefix_dims: [] },
  },
};

describe("folds", () => {
  it.each(kept.folds.map((one, index) => [index, one] as const))("of case %i are Python's", (_, one) => {
    const fold = makeFolds(Int32Array.from(one.classes), Int32Array.from(one.groups), one.seed, one.folds);
    expect([...fold]).toEqual(one.fold);
  });

  it("never divide a group", () => {
    const label = fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 15 }));
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 80 }), fc.nat(1000), (rows, seed) => {
        const groups = Int32Array.from(rows, (row) => row[1]);
        const fold = makeFolds(
          Int32Array.from(rows, (row) => row[0]),
          groups,
          seed,
        );
        const of = new Map<number, number>();
        groups.forEach((group, row) => {
          expect(of.get(group) ?? fold[row]).toBe(fold[row]);
          of.set(group, fold[row] ?? -1);
        });
        expect(new Set(fold).size).toBeLessThanOrEqual(Math.min(5, of.size));
      }),
    );
  });
});

describe("blocks of land", () => {
  it.each(kept.blocks.map((one, index) => [index, one] as const))("of case %i are Python's", (_, one) => {
    const lonlat = Float64Array.from(one.lonlat);
    for (const [km, want] of Object.entries(one.places)) expect([...spatialBlocks(lonlat, Number(km))]).toEqual(want);
    const found = blocksOf(lonlat, Int32Array.from(one.groups));
    expect(found.side).toBe(one.side);
    expect(found.count).toBe(one.count);
    expect([...found.blocks]).toEqual(one.blocks);
  });
});

describe("validation", () => {
  const reports = new Map<string, Promise<Report>>();
  const report = (head: string) => {
    const found = reports.get(head) ?? validate({ samples, head, about }, wasm);
    reports.set(head, found);
    return found;
  };

  it.each(Object.entries(kept.validated.heads))(
    "of %s gives Python's scores and intervals",
    async (head, want) => {
      const found = await report(head);
      expect(found.confusion).toEqual(want.counts);
      expect([found.folds, found.units, found.blockKm]).toEqual([want.folds, want.units, want.block_km]);
      expect(found.bufferKm).toBeCloseTo(want.buffer_km, 9);
      const totals = [
        [found.accuracy, want.accuracy],
        [found.balancedAccuracy, want.balanced_accuracy],
        [found.macroF1, want.macro_f1],
      ] as const;
      for (const [one, other] of totals) {
        [one.value, one.low, one.high].forEach((value, at) => expect(value).toBeCloseTo(other[at] ?? NaN, 9));
      }
      const { random } = found;
      [random?.accuracy, random?.balancedAccuracy, random?.macroF1].forEach((value, at) =>
        expect(value).toBeCloseTo(want.random[at] ?? NaN, 9),
      );
      found.classes.forEach((one, k) => expect(one.f1.value).toBeCloseTo(want.f1[k] ?? NaN, 9));
      expect(random?.macroF1).toBeGreaterThan(found.macroF1.value ?? 1);
    },
    60_000,
  );

  it("gives each class an interval that holds its F1", async () => {
    for (const { f1 } of (await report("linear")).classes) {
      expect(f1.low).toBeLessThanOrEqual(f1.value ?? -1);
      expect(f1.high).toBeGreaterThanOrEqual(f1.value ?? 2);
    }
  });

  it("is kept in the file of a head", async () => {
    const head = await fitHead(samples, "linear", about);
    const metrics = metricsOf(await report("linear"), new Set(samples.groups).size);
    const told = { ...head, rest: { ...head.rest, metrics } };
    expect(readHead(writeHead(told), "told").rest["metrics"]).toEqual(JSON.parse(JSON.stringify(metrics)));
  });

  it("warns of few labels and of classes in one block, and does not score what it cannot", async () => {
    const rows = [...samples.target.keys()].filter(
      (row) => samples.target[row] !== 5 || (samples.groups[row] ?? 0) < 60,
    );
    const first = rows.filter((row) => samples.target[row] === 5).slice(0, 2);
    const some = rows.filter((row) => samples.target[row] !== 5).concat(first);
    const few: Samples = {
      ...samples,
      codes: Int8Array.from(some.flatMap((row) => [...samples.codes.subarray(row * 32, (row + 1) * 32)])),
      scales: Float32Array.from(some, (row) => samples.scales[row] ?? NaN),
      target: Int32Array.from(some, (row) => samples.target[row] ?? 0),
      groups: Int32Array.from(some, (row) => samples.groups[row] ?? 0),
      places: Float64Array.from(some.flatMap((row) => [...samples.places.subarray(2 * row, 2 * row + 2)])),
    };
    const found = await validate({ samples: few, head: "prototype", about }, wasm);
    const text = found.notes.join("\n");
    expect(text).toMatch(/fewer than 10 labels: class 5/);
    expect(text).toMatch(/learnt but not tested.*class 5/);
    expect(found.classes[5]).toMatchObject({ labels: 2, tested: 0, precision: null, f1: { value: null } });
  });

  it("says why labels in one place are not tested", async () => {
    const places = samples.places.map((_, at) => (at % 2 ? 50 : 5));
    const found = await validate({ samples: { ...samples, places }, head: "prototype", about }, wasm);
    expect(found.folds).toBe(0);
    expect(found.notes[0]).toMatch(/^not tested/);
    expect(found.predicted.every((one) => one === -1)).toBe(true);
  });

  it("tells how far it is and ends when it is cancelled", async () => {
    const stop = new AbortController();
    const far: number[] = [];
    const running = {
      signal: stop.signal,
      progress: (done: number, total: number) => {
        far.push(done);
        expect(total).toBe(10);
        if (done === 2) stop.abort();
      },
    };
    await expect(validate({ samples, head: "prototype", about }, wasm, running)).rejects.toThrow(/abort/i);
    expect(far).toEqual([0, 1, 2]);
  });
});

describe("scores", () => {
  it("are those of a matrix", () => {
    const matrix = confusion([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], 4);
    expect(matrix).toEqual([
      [2, 1, 0, 0],
      [0, 2, 0, 0],
      [1, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    const found = scoresOf(matrix);
    expect(found.accuracy).toBeCloseTo(4 / 6);
    expect(found.f1.map((one) => Number(one.toFixed(4)))).toEqual([0.6667, 0.8, 0, 0]);
    expect(found.macroF1).toBeCloseTo((2 / 3 + 0.8) / 3);
  });

  it("have no interval where one part decides, and exact bounds at 0 and 1", () => {
    expect(intervalOf(NaN, [], 0)).toEqual({ value: null, low: null, high: null });
    expect(intervalOf(0.5, [0.5, NaN], 2)).toEqual({ value: 0.5, low: null, high: null });
    expect(intervalOf(1, [1, 1, 1], 3)).toEqual({ value: 1, low: 0.025 ** (1 / 3), high: 1 });
  });

  it("count hectares", () => {
    expect([...hectares([Uint8Array.from([0, 0, 1, 255]), Uint8Array.from([1, 1, 1])], 3)]).toEqual([0.02, 0.04, 0]);
  });
});

describe("label here next", () => {
  const codes = Int8Array.from(kept.chosen.codes);
  const candidates = {
    dims: 8,
    codes,
    scales: new Float32Array(200).fill(0.01),
    unsure: Float64Array.from(kept.chosen.unsure),
    places: Float64Array.from(kept.chosen.places.flat()),
  };

  it.each(["0", "3"] as const)("chooses what Python chooses, beside %s labels", async (known) => {
    const count = Number(known);
    // far from all candidates, so that only their vectors count
    const far = new Float64Array(2 * count).fill(1e7);
    const labelled = { codes: codes.subarray(0, count * 8), scales: new Float32Array(count).fill(0.01), places: far };
    const found = await suggest(candidates, labelled, 8, 150);
    expect(found.map((one) => one.index)).toEqual(kept.chosen[known].order);
    found.forEach((one, at) => expect(one.gain).toBeCloseTo(kept.chosen[known].gains[at] ?? NaN, 4));
  });

  it("keeps away from labels", async () => {
    const labelled = {
      codes: new Int8Array(8),
      scales: new Float32Array(1).fill(0.01),
      places: new Float64Array([1000, 1000]),
    };
    for (const { index } of await suggest(candidates, labelled, 20, 700)) {
      const [x, y] = kept.chosen.places[index] ?? [0, 0];
      expect(Math.hypot((x ?? 0) - 1000, (y ?? 0) - 1000)).toBeGreaterThanOrEqual(700);
    }
  });

  it("measures how unsure a head is", () => {
    const found = uncertainty(Float32Array.from([1, 0, 0, 0.5, 0.5, 0, 0.25, 0.5, 0.25]), 3);
    expect([...found]).toEqual([0, 1, 0.75]);
  });
});
