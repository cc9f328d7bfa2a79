import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { startCompute, type ClassPart, type Compute, type Loaded, type Query, type ScorePart } from "../../src/compute";
import { boxOf, partsOf, pixelAt, type Area, type Window } from "../../src/geo";
import type { Head } from "../../src/heads";
import { isValid, type Store } from "../../src/store";
import { serve, type Served } from "../server";
import { DIMS, expected, filesOf, float32, int8 } from "../stores";
import { spawnHere } from "./hands";

let server: Served;
let compute: Compute;
let store: Store;
const YEAR = 2023;
const [west, east] = expected.windows.filter(({ year }) => year === YEAR);
if (west === undefined || east === undefined) throw new Error("no fixture");
const around = boxOf(west.window);
const AREA: Area = { kind: "box", box: [around[0], around[1], boxOf(east.window)[2], around[3]] };

beforeEach(async () => {
  server = await serve(filesOf("ours", "s"));
  compute = await startCompute({ workers: 2, spawn: spawnHere, kernels: "js" });
  store = await compute.open({ kind: "url", url: `${server.url}/s` });
});
afterEach(async () => {
  compute.close();
  await server.close();
});

/** What Python reads at a pixel of the fixture. */
function told(pixel: { zone: number; row: number; col: number }) {
  const entry = [west, east].find((each) => each?.window.zone === pixel.zone);
  if (entry === undefined) throw new Error("no such zone");
  const { window } = entry;
  const k = (pixel.row - window.row) * window.width + pixel.col - window.col;
  return { scale: float32(entry.scales)[k] ?? NaN, codes: int8(entry.codes).subarray(k * DIMS, (k + 1) * DIMS) };
}

const norm = (codes: Int8Array) => Math.sqrt(codes.reduce((sum, code) => sum + code * code, 0));
const dot = (a: Int8Array, b: Int8Array) => a.reduce((sum, code, d) => sum + code * (b[d] ?? 0), 0);

/** Pixel by pixel of a part, in the zone's array. */
function* pixelsOf(window: Window) {
  for (let k = 0; k < window.height * window.width; k++) {
    const [row, col] = [window.row + Math.floor(k / window.width), window.col + (k % window.width)];
    yield { k, pixel: { zone: window.zone, row, col } };
  }
}

const scores = async (loaded: Loaded, query: Query) => {
  const parts: ScorePart[] = [];
  await loaded.score(query, (part) => parts.push(part));
  return parts;
};

describe("an area in memory", () => {
  it("holds the pixels of both zones, each once", async () => {
    const done: number[] = [];
    const loaded = await compute.load(AREA, YEAR, 8, { progress: (at, total) => done.push(at / total) });
    const inside = partsOf(AREA).reduce((sum, part) => {
      const mask = part.mask(part.window);
      return sum + (mask?.reduce((all, each) => all + each, 0) ?? part.window.height * part.window.width);
    }, 0);
    expect(loaded.pixels).toBe(inside);
    expect(new Set(loaded.windows.map(({ zone }) => zone))).toEqual(new Set([31, 32]));
    expect(loaded.valid).toBeGreaterThan(1000);
    expect(done[0]).toBe(0);
    expect(done.at(-1)).toBe(1);
    expect(done).toEqual([...done].sort((a, b) => a - b));
  });

  it("reads nothing again that is in memory, and other areas share it", async () => {
    const first = await compute.load(AREA, YEAR, 8);
    first.release();
    const before = server.asked.length;
    const again = await compute.load(AREA, YEAR, 8);
    expect(server.asked.length).toBe(before);
    expect(again.valid).toBe(first.valid);
  });

  it("gathers pixels in the order asked, also from beyond it", async () => {
    const small: Area = { kind: "box", box: [6.0005, around[1], 6.001, around[3]] };
    const loaded = await compute.load(small, YEAR, 8);
    const lonlat = expected.points.find(({ year }) => year === YEAR)?.lonlat ?? [];
    const pixels = lonlat.map((point) => pixelAt(point));
    const rows = await loaded.gather(pixels);
    pixels.forEach((pixel, k) => {
      const { scale, codes } = told(pixel);
      if (!isValid(scale)) return;
      expect(rows.scales[k]).toBe(scale);
      expect(rows.codes.slice(k * DIMS, (k + 1) * DIMS)).toEqual(codes);
    });
    expect(rows.scales.filter(isValid).length).toBeGreaterThan(20);
  });

  it("draws the same valid pixels for a seed, whatever number of workers", async () => {
    const one = await (await compute.load(AREA, YEAR, 8)).sample(50, 7);
    const other = await startCompute({ workers: 3, spawn: spawnHere, kernels: "js" });
    await other.open({ kind: "url", url: `${server.url}/s` });
    const two = await (await other.load(AREA, YEAR, 8)).sample(50, 7);
    other.close();
    expect(two.pixels).toEqual(one.pixels);
    expect(two.rows.codes).toEqual(one.rows.codes);
    expect(new Set(one.pixels.map(({ zone, row, col }) => `${zone} ${row} ${col}`)).size).toBe(50);
    one.pixels.forEach((pixel, k) => {
      const { scale, codes } = told(pixel);
      expect(one.rows.scales[k]).toBe(scale);
      expect(one.rows.codes.slice(k * DIMS, (k + 1) * DIMS)).toEqual(codes);
    });
  });

  it("scores by cosine, the same on both sides of the seam; the example itself is 1", async () => {
    const loaded = await compute.load(AREA, YEAR, 8);
    const { pixels, rows } = await loaded.sample(3, 1);
    const [pixel] = pixels;
    if (pixel === undefined) throw new Error("no pixel");
    const query = { codes: rows.codes.slice(0, DIMS), scales: rows.scales.slice(0, 1) };
    const none = { codes: new Int8Array(0), scales: new Float32Array(0) };
    const parts = await scores(loaded, { positive: query, negative: none, how: "cosine" });
    let count = 0;
    for (const part of parts) {
      const mask = partsOf(AREA)
        .find(({ zone }) => zone === part.window.zone)
        ?.mask(part.window);
      for (const { k, pixel: at } of pixelsOf(part.window)) {
        const got = part.scores[k] ?? NaN;
        const { scale, codes } = told(at);
        if (mask?.[k] === 0 || !isValid(scale)) expect(got).toBeNaN();
        else {
          expect(got).toBeCloseTo(dot(codes, query.codes) / norm(codes) / norm(query.codes), 6);
          if (at.zone === pixel.zone && at.row === pixel.row && at.col === pixel.col) expect(got).toBe(1);
          count++;
        }
      }
    }
    expect(count).toBe(loaded.valid);
  });

  it("classifies as the head says, and leaves out what is outside", async () => {
    const loaded = await compute.load(AREA, YEAR, 8);
    const parts: ClassPart[] = [];
    await loaded.classify(signOfFirst(), (part) => parts.push(part));
    let count = 0;
    for (const { window, classes, confidence } of parts) {
      for (const { k, pixel } of pixelsOf(window)) {
        if (classes[k] === 255) continue;
        expect(classes[k]).toBe((told(pixel).codes[0] ?? 0) > 0 ? 1 : 0);
        expect(confidence[k]).toBeLessThan(255);
        count++;
      }
    }
    expect(count).toBe(loaded.valid);
  });

  it("paints three dims or the principal axes; what has no data is transparent", async () => {
    const loaded = await compute.load(AREA, YEAR, 8);
    for (const how of ["principal", [0, 1, 2]] as const) {
      let seen = 0;
      await loaded.colours(how, ({ rgba }) => (seen += rgba.filter((value, k) => k % 4 === 3 && value === 255).length));
      expect(seen).toBe(loaded.valid);
    }
    await expect(loaded.colours([0, 1, 8], () => undefined)).rejects.toThrow("expected three from 0 to 7");
  });
});

describe("limits and failures", () => {
  it("refuses an area that does not fit, before it is fetched", async () => {
    const tight = await startCompute({ workers: 2, spawn: spawnHere, kernels: "js", memory: 20_000 });
    await tight.open({ kind: "url", url: `${server.url}/s` });
    const before = server.asked.length;
    await expect(tight.load(AREA, YEAR, 8)).rejects.toMatchObject({ kind: "refused" });
    expect(server.asked.length).toBe(before);
    tight.close();
  });

  it("makes room by dropping what was used longest ago", async () => {
    const strip = (k: number): Area => {
      const [start, end] = [6 + 0.0004 * k, 6.0004 + 0.0004 * k];
      return { kind: "box", box: [start, around[1], end, around[3]] };
    };
    const asks = async (tight: Compute, k: number) => {
      const before = server.asked.length;
      (await tight.load(strip(k), YEAR, 8)).release();
      return server.asked.length - before;
    };
    const bytes = (await compute.load(strip(0), YEAR, 8)).bytes;
    for (const [room, again] of [
      [1.5, true],
      [4, false],
    ] as const) {
      const tight = await startCompute({ workers: 1, spawn: spawnHere, kernels: "js", memory: room * bytes });
      await tight.open({ kind: "url", url: `${server.url}/s` });
      await asks(tight, 0);
      await asks(tight, 9); // another column of chunks
      expect((await asks(tight, 0)) > 0).toBe(again);
      tight.close();
    }
  });

  it("names the error of a worker", async () => {
    server.fault = (path) => (path.includes("embeddings") ? 403 : undefined);
    await expect(compute.load(AREA, YEAR, 8)).rejects.toMatchObject({ kind: "load", name: "PageError" });
    server.fault = () => undefined;
    expect((await compute.load(AREA, YEAR, 8)).valid).toBeGreaterThan(1000);
  });

  it("ends soon after it is cancelled", async () => {
    server.delay = 40;
    const stop = new AbortController();
    const loading = compute.load(AREA, YEAR, 8, { signal: stop.signal });
    setTimeout(() => stop.abort(), 60);
    await expect(loading).rejects.toMatchObject({ name: "AbortError" });
  });

  it("says that an area was released, that a year is missing, that nothing is open", async () => {
    const loaded = await compute.load(AREA, YEAR, 8);
    loaded.release();
    loaded.release();
    await expect(loaded.sample(1, 1)).rejects.toThrow("no longer in memory");
    await expect(compute.load(AREA, 1999, 8)).rejects.toThrow("no year 1999");
    const empty = await startCompute({ workers: 1, spawn: spawnHere, kernels: "js" });
    await expect(empty.load(AREA, YEAR, 8)).rejects.toThrow("no store is open");
    empty.close();
    expect(store.zones).toEqual([31, 32]);
  });
});

/** A linear head of two classes: whether the first code is above 0. */
function signOfFirst(): Head {
  const array = <Type extends string, Data>(dtype: Type, shape: number[], data: Data) => ({ dtype, shape, data });
  const weights = new Int16Array(16);
  weights[8] = 1;
  return {
    head: "linear",
    kind: "classification",
    classes: ["not above", "above"],
    values: [0, 1],
    colours: ["#000000", "#ffffff"],
    column: "class",
    inputs: [
      {
        year: YEAR,
        dims: 8,
        model: { name: "test", sha256: "ab".repeat(32), dims: 8, prefix_dims: [2, 8] },
        store: "s",
      },
    ],
    arrays: {
      widths: array("int32", [1], Int32Array.of(8)),
      weights: array("int16", [2, 8], weights),
      scale: array("float64", [2, 1], Float64Array.of(1, 1)),
      bias: array("float64", [2], new Float64Array(2)),
    },
    rest: { trust: null },
  };
}
