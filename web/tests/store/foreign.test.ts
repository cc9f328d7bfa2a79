import { afterEach, describe, expect, it } from "vitest";

import { UrlFiles } from "../../src/files";
import { boxOf, type Window } from "../../src/geo";
import { isValid, openStore, type Block, type Store } from "../../src/store";
import { serve, type Served } from "../server";
import { DIMS, expected, filesOf, float32, int8 } from "../stores";

let server: Served;
afterEach(() => server.close());

async function open(name: string, change?: (files: Map<string, Uint8Array>) => void): Promise<Store> {
  server = await serve(filesOf(name, "s"));
  change?.(server.files);
  return openStore(new UrlFiles(`${server.url}/s`, { wait: 1 }));
}

/** Scales beyond the valid ones may differ in kind: the older layout has only NaN. */
function same(block: Block, window: Window, codes: Int8Array, scales: Float32Array): number {
  expect(block.window).toEqual(window);
  let valid = 0;
  scales.forEach((scale, k) => {
    if (!isValid(scale)) expect(isValid(block.scales[k] ?? NaN)).toBe(false);
    else {
      expect(block.scales[k]).toBe(scale);
      for (let dim = 0; dim < block.dims; dim++) {
        if (block.codes[k * block.dims + dim] !== codes[k * DIMS + dim]) throw new Error(`pixel ${k}, dim ${dim}`);
      }
      valid++;
    }
  });
  return valid;
}

const edit = (key: string, change: (text: string) => string) => (files: Map<string, Uint8Array>) => {
  const text = new TextDecoder().decode(files.get(`s/${key}`));
  const edited = change(text);
  if (edited === text) throw new Error("nothing changed");
  files.set(`s/${key}`, new TextEncoder().encode(edited));
};

describe.each([
  ["published", [2021, 2023], [2, 8]],
  ["year", [2023], [8]],
])("the %s layout", (name, years, sizes) => {
  it("says what it holds", async () => {
    const store = await open(name);
    expect([store.years, store.zones, store.model.dims, store.model.prefixDims]).toEqual([years, [31, 32], 8, sizes]);
    expect(store.model.sha256).toMatch(/^[0-9a-f]{64}$/);
    if (name === "published") expect(store.model.name).toBe("test");
  });

  it.each(sizes)("has the windows of our layout at %i dims", async (dims) => {
    const store = await open(name);
    let valid = 0;
    for (const { window, year, codes, scales } of expected.windows) {
      if (!years.includes(year)) continue;
      valid += same(await store.read(window, year, dims), window, int8(codes), float32(scales));
    }
    expect(valid).toBeGreaterThan(1500 * years.length);
  });

  it("has the points of our layout", async () => {
    const store = await open(name);
    for (const { year, lonlat, codes, scales } of expected.points) {
      if (!years.includes(year)) continue;
      const found = await store.points(lonlat, year);
      const [all, sizes] = [int8(codes), float32(scales)];
      found.forEach((block, k) => {
        expect(isValid(block.scales[0] ?? NaN)).toBe(isValid(sizes[k] ?? NaN));
        if (isValid(sizes[k] ?? NaN)) expect(block.codes).toEqual(all.slice(8 * k, 8 * k + 8));
      });
    }
  });

  it("plans windows within its arrays", async () => {
    const store = await open(name);
    const [first] = expected.windows;
    if (first === undefined) throw new Error("no fixture");
    const windows = store.plan({ kind: "box", box: boxOf(first.window) });
    expect(windows.length).toBeGreaterThan(0);
    for (const window of windows) await store.read(window, 2023);
  });
});

describe("stores of others", () => {
  it("that are damaged are refused", async () => {
    for (const name of ["published", "year"]) {
      const store = await open(name, (files) => {
        for (const [key, bytes] of files) {
          if (/(scales|embeddings)\/c\//.test(key))
            files.set(
              key,
              bytes.map((byte, k) => (k < 400 ? byte ^ 85 : byte)),
            );
        }
      });
      const read = async () => {
        for (const { window } of expected.windows) await store.read(window, 2023);
      };
      await expect(read()).rejects.toMatchObject({ kind: "corrupt", name: "PageError" });
      await server.close();
    }
  });

  it.each([
    ["another CRS", edit("zarr.json", (text) => text.replace("EPSG:32631", "EPSG:3857")), "proj:code"],
    ["pixels of 20 m", edit("zarr.json", (text) => text.replace('"spatial:transform":[10.0', '"spatial:transform":[20.0')), "10 m"], // prettier-ignore
    ["floats", edit("zarr.json", (text) => text.replaceAll('"data_type":"int8"', '"data_type":"float32"')), "int8"],
    [
      "a huge chunk",
      edit("zarr.json", (text) => text.replaceAll("[1,8,32,32]", "[1,8,4096,4096]")),
      "chunks of at most",
    ],
    ["another codec", edit("zarr.json", (text) => text.replaceAll('"blosc"', '"pcodec"')), "cannot read"],
    ["no arrays", edit("zarr.json", (text) => text.replaceAll("/scales", "/other")), "scales"],
    ["no metadata", edit("zarr.json", (text) => text.replace("consolidated_metadata", "other")), "consolidated"],
    ["other years", edit("zarr.json", (text) => text.replaceAll('"int32"', '"float64"')), "time"],
    ["no JSON", edit("zarr.json", (text) => text.slice(1)), "not valid JSON"],
    ["no group", edit("zarr.json", (text) => text.replace('"group"', '"array"')), "no Zarr v3 group"],
  ])("with %s are refused in words", async (_, change, message) => {
    await expect(open("published", change)).rejects.toMatchObject({
      name: "PageError",
      message: expect.stringContaining(message),
    });
  });

  it("that are none are told", async () => {
    await expect(open("ours", (files) => files.clear())).rejects.toMatchObject({
      kind: "missing",
      message: expect.stringContaining("no store"),
    });
  });
});
