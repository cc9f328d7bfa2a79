import { describe, expect, it } from "vitest";

import { javascriptKernels } from "../../src/kernels";
import {
  count,
  kmeans,
  lasso,
  principalAxes,
  project,
  quantile,
  Random,
  stretch,
  take,
  valid,
} from "../../src/structure";
import { A, B, Forces, pull, push } from "../../src/structure/forces";
import { clusters } from "./clusters";

describe("principal axes", () => {
  it("are of length 1, at right angles, and explain the variance", () => {
    const { rows } = clusters(500, 5, 24, 1);
    const { axes, variances } = principalAxes(rows, 3);
    const dot = (a: number, b: number) =>
      axes.subarray(a * 24, a * 24 + 24).reduce((sum, v, d) => sum + v * (axes[b * 24 + d] ?? 0), 0);
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) expect(dot(a, b)).toBeCloseTo(a === b ? 1 : 0, 9);
    const along = project(rows, principalAxes(rows, 3));
    for (let k = 0; k < 3; k++) {
      const column = along.filter((_, i) => i % 3 === k);
      const mean = column.reduce((sum, v) => sum + v, 0) / column.length;
      expect(mean).toBeCloseTo(0, 3);
      expect(column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (column.length - 1)).toBeCloseTo(
        variances[k] ?? 0,
        2,
      );
    }
    expect([...variances]).toEqual([...variances].sort((a, b) => b - a));
  });

  it("point along the largest part", () => {
    const { axes } = principalAxes(clusters(100, 3, 10, 2).rows, 2);
    for (const k of [0, 1]) {
      const axis = axes.subarray(10 * k, 10 * k + 10);
      expect(axis.reduce((most, v) => (Math.abs(v) > Math.abs(most) ? v : most), 0)).toBeGreaterThan(0);
    }
  });

  it("stretch as percentiles do", () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(quantile([5], 0.98)).toBe(5);
    expect(quantile([NaN, 0, 10], 0.25)).toBe(2.5);
    expect(quantile([], 0.5)).toBeNaN();
    const { low, high } = stretch(Float32Array.from({ length: 303 }, (_, i) => Math.floor(i / 3)));
    expect(low).toEqual([2, 2, 2]);
    expect(high).toEqual([98, 98, 98]);
  });
});

describe("k-means", () => {
  it("finds round groups", async () => {
    const { rows, member } = clusters(800, 5, 16, 3);
    const found = await kmeans(rows, 5, javascriptKernels(), 1);
    const pairs = new Set([...found.member].map((group, i) => `${group} ${member[i]}`));
    expect(pairs.size).toBe(5);
    expect(count(found.centres)).toBe(5);
  });

  it("takes more groups than vectors, and equal vectors", async () => {
    const few = take(clusters(3, 3, 8, 4).rows, [0, 1, 2]);
    expect(new Set((await kmeans(few, 9, javascriptKernels())).member).size).toBe(3);
    const equal = { dims: 2, codes: new Int8Array(20).fill(5), scales: new Float32Array(10).fill(0.5) };
    expect((await kmeans(equal, 3, javascriptKernels())).member.length).toBe(10);
  });
});

describe("the picture's forces", () => {
  it("follow 1 / (1 + a d^2b) as fitted to a least distance of 0.1", () => {
    // the curve is 1 up to 0.1 and falls as exp(0.1 - d) behind it; a and b minimise the squared error on 0 to 3
    const error = (a: number, b: number) => {
      let sum = 0;
      for (let i = 0; i < 300; i++) {
        const d = (3 * i) / 299;
        sum += (1 / (1 + a * d ** (2 * b)) - (d <= 0.1 ? 1 : Math.exp(0.1 - d))) ** 2;
      }
      return sum;
    };
    for (const [da, db] of [
      [0.02, 0],
      [-0.02, 0],
      [0, 0.02],
      [0, -0.02],
    ] as const) {
      expect(error(A + da, B + db)).toBeGreaterThan(error(A, B));
    }
  });

  it("come from the table within 0.5 %", () => {
    const forces = new Forces();
    for (let power = -20; power < 12; power += 0.37) {
      const square = 10 ** (power / 2);
      if (square < 1e-8) continue;
      expect(forces.pull(square) / pull(square)).toBeCloseTo(1, 2);
      expect(forces.push(square) / push(square)).toBeCloseTo(1, 2);
    }
    expect(forces.pull(0)).toBe(0);
    expect(forces.push(1e30)).toBe(0);
  });
});

describe("small things", () => {
  it("choose different places", () => {
    const chosen = new Random(5).choose(100, 120);
    expect(new Set(chosen).size).toBe(100);
    expect(Math.max(...chosen)).toBeLessThan(120);
    expect(new Random(5).choose(100, 120)).toEqual(chosen);
    expect(new Random(6).choose(9, 4).length).toBe(4);
  });

  it("keep vectors with data", () => {
    const rows = { dims: 1, codes: Int8Array.of(1, 2, 3, 4, 5), scales: Float32Array.of(0.1, NaN, Infinity, 0, 0.2) };
    expect([...valid(rows).at]).toEqual([0, 4]);
    expect([...valid(rows).rows.codes]).toEqual([1, 5]);
  });

  it("find what a lasso holds", () => {
    const points = Float32Array.of(0, 0, 1, 1, 5, 5, 1, 3);
    const ring = [
      [-1, -1],
      [2, -1],
      [2, 2],
      [-1, 2],
    ] as const;
    expect([...lasso(points, ring)]).toEqual([0, 1]);
    expect([...lasso(points, ring.slice(0, 2))]).toEqual([]);
  });
});
