import { describe, expect, it } from "vitest";

import { javascriptKernels } from "../../src/kernels";
import { count, neighbours, trustworthiness, umap, type Picture, type Rows } from "../../src/structure";
import { clusters } from "./clusters";

const kernels = javascriptKernels();

async function last(pictures: AsyncGenerator<Picture>): Promise<Picture> {
  let found: Picture | undefined;
  for await (const each of pictures) found = each;
  if (!found) throw new Error("no picture");
  return found;
}

function squared(rows: Rows, i: number, j: number): number {
  let sum = 0;
  for (let d = 0; d < rows.dims; d++) {
    const one = (rows.codes[i * rows.dims + d] ?? 0) * (rows.scales[i] ?? 0);
    const other = (rows.codes[j * rows.dims + d] ?? 0) * (rows.scales[j] ?? 0);
    sum += (one - other) ** 2;
  }
  return sum;
}

describe("neighbours", () => {
  it("are the nearest of all vectors, without the vector itself", async () => {
    const { rows } = clusters(300, 5, 16, 1);
    const found = await neighbours(rows, 6, kernels);
    for (let i = 0; i < 300; i += 7) {
      const gaps = Float64Array.from({ length: 300 }, (_, j) => (j === i ? Infinity : squared(rows, i, j)));
      const best = [...gaps.keys()].sort((a, b) => (gaps[a] ?? 0) - (gaps[b] ?? 0)).slice(0, 6);
      const mine = [...found.index.subarray(i * 6, i * 6 + 6)];
      expect(mine.map((j) => Math.sqrt(gaps[j] ?? 0))).toEqual(
        best.map((j) => expect.closeTo(Math.sqrt(gaps[j] ?? 0), 4)),
      );
      expect(found.distance[i * 6]).toBeCloseTo(Math.sqrt(gaps[best[0] ?? 0] ?? 0), 3);
    }
  });

  it("of many vectors are nearly those of all", async () => {
    const { rows } = clusters(7000, 12, 16, 2);
    const found = await neighbours(rows, 10, kernels);
    let hits = 0;
    let asked = 0;
    for (let i = 0; i < 7000; i += 97) {
      const gaps = Float64Array.from({ length: 7000 }, (_, j) => (j === i ? Infinity : squared(rows, i, j)));
      const best = [...gaps.keys()].sort((a, b) => (gaps[a] ?? 0) - (gaps[b] ?? 0)).slice(0, 10);
      const mine = new Set(found.index.subarray(i * 10, i * 10 + 10));
      hits += best.filter((j) => mine.has(j)).length;
      asked += 10;
    }
    expect(hits / asked).toBeGreaterThan(0.93);
  });

  it("are fewer where there are few vectors", async () => {
    const { rows } = clusters(4, 2, 8, 3);
    const found = await neighbours(rows, 14, kernels);
    expect(found.k).toBe(3);
    expect([...found.index.subarray(0, 3)].sort()).toEqual([1, 2, 3]);
  });
});

describe("umap", () => {
  it("keeps neighbours and classes together, and is the same each time", async () => {
    const { rows, member } = clusters(600, 6, 32, 4);
    const one = await last(umap(rows, kernels, { epochs: 150 }));
    const two = await last(umap(rows, kernels, { epochs: 150 }));
    expect(two.points).toEqual(one.points);
    expect(one.epoch).toBe(150);
    expect(one.points.every((value) => Number.isFinite(value))).toBe(true);
    // the clusters are round, so that neighbours inside one are chance; between them they are not
    expect(trustworthiness(rows, one.points, 15)).toBeGreaterThan(0.88);
    let same = 0;
    for (let i = 0; i < count(rows); i++) {
      let best = -1;
      let gap = Infinity;
      for (let j = 0; j < count(rows); j++) {
        const square =
          ((one.points[2 * i] ?? 0) - (one.points[2 * j] ?? 0)) ** 2 +
          ((one.points[2 * i + 1] ?? 0) - (one.points[2 * j + 1] ?? 0)) ** 2;
        if (j !== i && square < gap) [best, gap] = [j, square];
      }
      if (member[i] === member[best]) same++;
    }
    expect(same / count(rows)).toBeGreaterThan(0.98);
  });

  it("shows the principal axes at once", async () => {
    const { rows } = clusters(50, 2, 8, 5);
    const first = await umap(rows, kernels).next();
    expect(first.value.epoch).toBe(0);
    expect(first.value.points.length).toBe(100);
  });

  it("ends when it is cancelled", async () => {
    const { rows } = clusters(400, 3, 16, 6);
    const stop = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      for await (const { epoch } of umap(rows, kernels, { every: 1 }, { signal: stop.signal })) {
        seen.push(epoch);
        if (epoch === 3) stop.abort();
      }
    };
    await expect(run()).rejects.toThrow(/abort/i);
    expect(Math.max(...seen)).toBeLessThan(500);
  });

  it("takes one vector, equal vectors and none", async () => {
    for (const n of [0, 1, 2, 5]) {
      const rows = { dims: 4, codes: new Int8Array(4 * n).fill(3), scales: new Float32Array(n).fill(0.1) };
      const { points } = await last(umap(rows, kernels, { epochs: 20 }));
      expect(points.length).toBe(2 * n);
      expect(points.every((value) => Number.isFinite(value))).toBe(true);
    }
  });
});
