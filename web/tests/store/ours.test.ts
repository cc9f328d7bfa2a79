import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { UrlFiles } from "../../src/files";
import { boxOf, partsOf } from "../../src/geo";
import { openStore, type Store } from "../../src/store";
import { serve, type Served } from "../server";
import { checkBlock, expected, filesOf, float32, int8 } from "../stores";

let server: Served;
let store: Store;
const open = () => openStore(new UrlFiles(`${server.url}/s`, { wait: 1 }));

beforeEach(async () => {
  server = await serve(filesOf("ours", "s"));
  store = await open();
});
afterEach(() => server.close());

const shardOf = (array: string) => {
  const key = [...server.files.keys()].find((each) => each.startsWith(`s/utm31/${array}/c/0`));
  if (key === undefined) throw new Error(`no shard of ${array}`);
  return key;
};
const damage = (key: string, change: (bytes: Uint8Array) => Uint8Array) =>
  server.files.set(key, change((server.files.get(key) ?? new Uint8Array()).slice()));
const [first] = expected.windows;
if (first === undefined) throw new Error("no fixture");

describe("a store of our layout", () => {
  it("opens with one request and says what it holds", () => {
    expect(server.asked.map(({ path }) => path)).toEqual(["s/tessera.json"]);
    expect([store.name, store.years, store.zones]).toEqual(["s", [2021, 2023], [31, 32]]);
    expect(store.model).toEqual({ name: "test", sha256: "ab".repeat(32), dims: 8, prefixDims: [2, 8] });
    expect(store.etag).toMatch(/^"/);
  });

  it.each([8, 2])("reads windows of %i dims as Python does", async (dims) => {
    for (const { window, year, codes, scales } of expected.windows) {
      checkBlock(await store.read(window, year, dims), int8(codes), float32(scales));
    }
    const arrays = new Set(server.asked.map(({ path }) => path.split("/")[2]));
    expect(arrays.has(dims === 2 ? "embeddings" : "embeddings_d2")).toBe(false);
  });

  it("reads points as Python does, by exact ranges", async () => {
    for (const { year, lonlat, codes, scales } of expected.points) {
      const found = await store.points(lonlat, year);
      const [all, sizes] = [int8(codes), float32(scales)];
      expect(Float32Array.from(found.map((block) => block.scales[0] ?? 0))).toEqual(sizes);
      found.forEach((block, k) => {
        if (Number.isFinite(sizes[k])) expect(block.codes).toEqual(all.slice(8 * k, 8 * k + 8));
      });
    }
    const point = server.asked.filter(({ range }) => range !== undefined && !range.startsWith("bytes=0-"));
    const sizes = point.map(({ range }) => {
      const [start = 0, end = 0] = (range ?? "").slice(6).split("-").map(Number);
      return end - start + 1;
    });
    expect(Math.max(...sizes)).toBeLessThan(5000);
  });

  it("asks for nothing twice within a read, and for no index again", async () => {
    server.asked.length = 0;
    await store.read(first.window, first.year);
    await store.read(first.window, first.year);
    const names = server.asked.map(({ path, range }) => `${path} ${range}`);
    const once = names.filter((name, k) => names.indexOf(name) === k);
    expect(names.length).toBe(2 * once.length - once.filter((name) => name.includes("bytes=0-")).length);
  });

  it("plans windows on chunks that hold the area's pixels, and reads them", async () => {
    const area = { kind: "box", box: boxOf(first.window) } as const;
    const windows = store.plan(area, 64);
    expect(windows.every(({ row, col }) => row % 32 === 0 && col % 32 === 0)).toBe(true);
    const blocks = await Promise.all(windows.map((window) => store.read(window, first.year)));
    const valid = blocks.reduce((sum, block) => sum + block.scales.filter((each) => Number.isFinite(each)).length, 0);
    expect(valid).toBeGreaterThan(1000);
    expect(new Set(windows.map(({ zone }) => zone))).toEqual(new Set(partsOf(area).map(({ zone }) => zone)));
  });

  it("has no data where no shard is, which is no error", async () => {
    const window = { ...first.window, row: first.window.row - 5000 };
    const block = await store.read(window, first.year);
    expect(block.scales.every((scale) => scale === Infinity)).toBe(true);
  });

  it("tells a failed load from what is not there", async () => {
    server.fault = (path) => (path.includes("scales") ? 503 : undefined);
    await expect(store.read(first.window, first.year)).rejects.toMatchObject({ kind: "load" });
  });

  it.each(["scales", "embeddings"])("refuses a flipped bit in a chunk of %s", async (array) => {
    damage(shardOf(array), (bytes) => {
      const at = bytes.length - 3;
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      return bytes;
    });
    const read = async () => {
      for (const { window, year } of expected.windows) await store.read(window, year);
    };
    await expect(read()).rejects.toMatchObject({ kind: "corrupt", message: expect.stringContaining("checksum") });
  });

  it("refuses a broken index, and a shard that was cut", async () => {
    const key = shardOf("scales");
    const whole = server.files.get(key) ?? new Uint8Array();
    damage(key, (bytes) => bytes.fill(9, 20, 24));
    await expect(store.read(first.window, first.year)).rejects.toMatchObject({ kind: "corrupt" });
    for (const size of [100, 5000]) {
      server.files.set(key, whole.slice(0, size));
      await expect((await open()).read(first.window, first.year)).rejects.toMatchObject({ kind: "corrupt" });
    }
  });

  it("refuses codes that are missing where scales are valid", async () => {
    server.files.delete(shardOf("embeddings"));
    await expect(store.read(first.window, first.year)).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("notices a shard that was replaced, and reads the new one", async () => {
    await store.read(first.window, first.year);
    const [from, to] = [shardOf("scales"), shardOf("embeddings")];
    damage(from, (bytes) => new Uint8Array([...bytes, 0]));
    damage(to, (bytes) => new Uint8Array([...bytes, 0]));
    checkBlock(await store.read(first.window, first.year), int8(first.codes), float32(first.scales));
  });

  it("gives up on one that keeps changing", async () => {
    let count = 0;
    const key = shardOf("scales");
    server.fault = (path) => {
      if (path === key) damage(key, (bytes) => new Uint8Array([...bytes, count++ & 255]));
      return undefined;
    };
    await expect(store.read(first.window, first.year)).rejects.toMatchObject({ kind: "changed" });
  });

  it.each(["weak", "none"] as const)("reads where ETags are %s", async (etags) => {
    server.etags = etags;
    const block = await (await open()).read(first.window, first.year);
    checkBlock(block, int8(first.codes), float32(first.scales));
  });

  it("says that a server ignores ranges", async () => {
    server.ignoresRanges = true;
    const big = new Uint8Array(2 ** 20 + 1);
    server.files.set(shardOf("scales"), big);
    await expect(store.read(first.window, first.year)).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("byte ranges"),
    });
  });

  it("reads anew where another reader, cancelled since, had asked in vain", async () => {
    const stop = new AbortController();
    let second: ReturnType<Store["read"]> | undefined;
    server.fault = (path) => {
      if (second || !path.includes("/embeddings/c/")) return undefined;
      stop.abort();
      second = store.read(first.window, first.year); // while the answer to the first is on its way
      return 403;
    };
    await expect(store.read(first.window, first.year, 8, { signal: stop.signal })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(second).toBeDefined();
    if (second) checkBlock(await second, int8(first.codes), float32(first.scales));
  });

  it("ends when it is cancelled, and works afterwards", async () => {
    server.delay = 30;
    const stop = new AbortController();
    const reading = store.read(first.window, first.year, 8, { signal: stop.signal });
    setTimeout(() => stop.abort(), 10);
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    checkBlock(await store.read(first.window, first.year), int8(first.codes), float32(first.scales));
  });

  it.each([
    [{ years: [2023, 2023] }, "each year once"],
    [{ zones: [61] }, "zones"],
    [{ format: "tessera-head" }, "tessera-store"],
    [{ version: 2 }, "version"],
    [
      { layout: { dims: 8, prefixes: [], shard: 1 << 30, chunk: 1, inner_order: "C", index_location: "start" } },
      "shard",
    ],
    [{ padding: "x".repeat(4096) }, "at most 4096"],
  ])("refuses a document with %j", async (change, message) => {
    const text = new TextDecoder().decode(server.files.get("s/tessera.json"));
    const value = { ...(JSON.parse(text) as object), ...change };
    server.files.set("s/tessera.json", new TextEncoder().encode(JSON.stringify(value)));
    await expect(open()).rejects.toThrow(message);
  });

  it.each([
    [() => store.read(first.window, 1999), "no year 1999"],
    [() => store.read(first.window, 2023, 3), "3 dims"],
    [() => store.read({ ...first.window, row: -1 }, 2023), "leaves the pixels"],
    [() => store.points([[200, 5]], 2023), "longitude -180"],
  ])("refuses %s", async (ask, message) => {
    await expect(ask()).rejects.toThrow(message);
  });
});
