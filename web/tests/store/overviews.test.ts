import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { UrlFiles } from "../../src/files";
import { boxOf, type Area } from "../../src/geo";
import { openStore, type Store } from "../../src/store";
import { serve, type Served } from "../server";
import { filesOf, float32 } from "../stores";

interface Told {
  readonly year: number;
  readonly zone: number;
  readonly level: 160 | 1280;
  readonly row: number;
  readonly col: number;
  readonly height: number;
  readonly width: number;
  readonly values: string;
  readonly valid: readonly number[];
  readonly rgba?: readonly number[];
}
const told = JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/store/overviews.json"), "utf8")) as Told[];
const DIMS = 8;

let server: Served;
let store: Store;
beforeEach(async () => {
  server = await serve(new Map([...filesOf("ours", "s"), ...filesOf("overviews", "s")]));
  store = await openStore(new UrlFiles(`${server.url}/s`, { wait: 1 }));
});
afterEach(() => server.close());

/** A box in degrees well inside some overview pixels of a zone. */
function areaOf({ zone, level, row, col, height, width }: Told): Area {
  const step = level / 10;
  const [down, right] = [row * step + 1, col * step + 1];
  const window = { zone, row: down, col: right, height: height * step - 2, width: width * step - 2 };
  return { kind: "box", box: boxOf(window) };
}

describe("overviews", () => {
  it("have the means that Python reads", async () => {
    let count = 0;
    for (const entry of told) {
      const all = (await store.means?.(areaOf(entry), entry.year, entry.level)) ?? [];
      const means = all.find(({ window }) => window.zone === entry.zone);
      if (means === undefined) throw new Error("no means");
      const { window, step, codes, scales, valid } = means;
      expect(step).toBe(entry.level / 10);
      const values = float32(entry.values);
      for (let r = 0; r < entry.height; r++) {
        for (let c = 0; c < entry.width; c++) {
          const [down, right] = [entry.row + r - window.row / step, entry.col + c - window.col / step];
          const width = window.width / step;
          if (right >= width || down >= window.height / step) continue; // beyond the zone's own degrees
          const [mine, theirs] = [down * width + right, r * entry.width + c];
          expect(valid[mine]).toBe(entry.valid[theirs]);
          for (let d = 0; d < DIMS; d++) {
            const value = values[theirs * DIMS + d] ?? NaN;
            if (Number.isNaN(value)) expect(scales[mine]).not.toBeLessThan(1);
            else {
              expect(Math.fround((codes[mine * DIMS + d] ?? 0) * (scales[mine] ?? 0))).toBe(value);
              count++;
            }
          }
        }
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  it("have the colours that zarr reads", async () => {
    let seen = 0;
    for (const entry of told) {
      if (entry.rgba === undefined) continue;
      const pictures = (await store.preview?.(areaOf(entry), entry.year, 1000)) ?? [];
      for (const { window, step, rgba } of pictures) {
        expect(step).toBe(16);
        if (window.zone !== entry.zone) continue;
        for (let k = 0; k < entry.height * entry.width; k++) {
          const row = entry.row + Math.floor(k / entry.width) - window.row / step;
          const col = entry.col + (k % entry.width) - window.col / step;
          const isIn = row >= 0 && col >= 0 && row < window.height / step && col < window.width / step;
          if (!isIn) continue;
          const at = (row * (window.width / step) + col) * 4;
          expect([...rgba.slice(at, at + 4)]).toEqual(entry.rgba.slice(4 * k, 4 * k + 4));
          if (rgba[at + 3] !== 0) seen++;
        }
      }
    }
    expect(seen).toBeGreaterThan(20);
  });

  it("are coarser where few pixels are wanted, and none of a country", async () => {
    const [entry] = told;
    if (entry === undefined) throw new Error("no fixture");
    const pictures = await store.preview?.({ kind: "box", box: [5.5, 49.7, 6.5, 50.3] }, entry.year, 100);
    for (const { window, step, rgba } of pictures ?? []) {
      expect(step).toBe(64);
      expect(rgba.length).toBe((window.height / step) * (window.width / step) * 4);
    }
    expect(pictures?.length).toBeGreaterThan(0);
    expect(await store.preview?.({ kind: "box", box: [-5, 43, 9, 51] }, entry.year, 100)).toBeUndefined();
  });

  it("are none where the store has none, of that year, or of that model", async () => {
    const [entry] = told;
    if (entry === undefined) throw new Error("no fixture");
    expect(await store.preview?.(areaOf(entry), 1999, 100)).toBeUndefined();
    const key = "s/overviews/overviews.json";
    const text = new TextDecoder().decode(server.files.get(key));
    const open = () => openStore(new UrlFiles(`${server.url}/s`, { wait: 1 }));
    server.files.set(key, new TextEncoder().encode(text.replace("abab", "abac")));
    expect(await (await open()).preview?.(areaOf(entry), entry.year, 100)).toBeUndefined();
    server.files.set(key, new TextEncoder().encode(text.replace('"shard": 512', '"shard": 513')));
    await expect((await open()).preview?.(areaOf(entry), entry.year, 100)).rejects.toMatchObject({ kind: "corrupt" });
    server.files.delete(key);
    expect(await (await open()).preview?.(areaOf(entry), entry.year, 100)).toBeUndefined();
  });
});
