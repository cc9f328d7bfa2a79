import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { CachedFiles, UrlFiles, openKeep, type Keep } from "../../src/files";
import { openStore } from "../../src/store";
import { serve, type Served } from "../server";
import { checkBlock, expected, filesOf, float32, int8 } from "../stores";

let server: Served;
let kept: Map<string, Uint8Array<ArrayBuffer>>;
const keep: Keep = {
  get: (name) => Promise.resolve(kept.get(name)?.slice()),
  put: (name, bytes) => Promise.resolve(void kept.set(name, bytes.slice())),
};
const files = () => new CachedFiles(new UrlFiles(`${server.url}/s`, { wait: 1 }), keep);
const [first] = expected.windows;
if (first === undefined) throw new Error("no fixture");
const check = async () => {
  const store = await openStore(files());
  checkBlock(await store.read(first.window, first.year), int8(first.codes), float32(first.scales));
  return store;
};

beforeEach(async () => {
  kept = new Map();
  server = await serve(filesOf("ours", "s"));
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await server.close();
});

describe("files that are kept", () => {
  it("are read again without their bytes: only documents and indexes are asked for", async () => {
    await check();
    const before = server.asked.length;
    await check();
    const again = server.asked.slice(before);
    expect(again.every(({ range }) => range === undefined || range.startsWith("bytes=0-"))).toBe(true);
    expect(again.length).toBeLessThan(before);
  });

  it("are there with the network off, also that something is not there", async () => {
    const store = await check();
    const beyond = { ...first.window, row: first.window.row - 5000 };
    await store.read(beyond, first.year);
    server.fault = () => "drop";
    const off = await check();
    expect((await off.read(beyond, first.year)).scales.every((scale) => scale === Infinity)).toBe(true);
    const never = { ...first.window, row: first.window.row - 9000 };
    await expect(off.read(never, first.year)).rejects.toMatchObject({ kind: "load" });
  });

  it("are those of the version that is there now", async () => {
    await check();
    for (const [key, bytes] of server.files) {
      if (/\/c\//.test(key)) server.files.set(key, new Uint8Array([...bytes, 7]));
    }
    const before = server.asked.length;
    await check();
    expect(server.asked.slice(before).some(({ range }) => range && !range.startsWith("bytes=0-"))).toBe(true);
  });

  it("are asked for anew by who wants to know the version", async () => {
    server.files.set("s/a", new Uint8Array(50).fill(1));
    const all = files();
    const [head, part] = [
      { offset: 0, length: 4 },
      { offset: 9, length: 4 },
    ];
    await all.range("a", head, { fresh: true });
    expect((await all.range("a", part)).bytes[0]).toBe(1);
    server.files.set("s/a", new Uint8Array(50).fill(2));
    expect((await all.range("a", part)).bytes[0]).toBe(1); // kept, of the version that was met
    await expect(all.range("a", head, { fresh: true })).rejects.toMatchObject({ kind: "changed" });
    expect((await all.range("a", head, { fresh: true })).bytes[0]).toBe(2);
    expect((await all.range("a", part)).bytes[0]).toBe(2);
  });

  it("are verified like those of the network", async () => {
    await check();
    for (const [name, bytes] of kept) {
      if (!/ whole$| 0 \d+$/.test(name)) kept.set(name, bytes.map((byte) => byte ^ 1)); // prettier-ignore
    }
    await expect(check()).rejects.toMatchObject({ kind: "corrupt" });
  });

  it.each(["weak", "none"] as const)("are none where ETags are %s", async (etags) => {
    server.etags = etags;
    await check();
    expect([...kept.keys()].filter((name) => !name.endsWith(" whole") && !/ 0 \d+$/.test(name))).toEqual([]);
  });
});

describe("cache storage", () => {
  it("holds parts within its limit, the newest", async () => {
    vi.stubGlobal("caches", { open: () => Promise.resolve(fakeCache()) });
    const box = await openKeep(100_000);
    if (box === undefined) throw new Error("no box");
    for (let k = 0; k < 40; k++) await box.put(`part ${k}`, new Uint8Array(10_000).fill(k));
    await box.put("part 39", new Uint8Array(5).fill(9));
    expect(await box.get("part 39")).toEqual(new Uint8Array(5).fill(9));
    expect((await box.get("part 38"))?.[0]).toBe(38);
    expect(await box.get("part 0")).toBeUndefined();
    const held = await Promise.all(Array.from({ length: 40 }, (_, k) => box.get(`part ${k}`)));
    const bytes = held.reduce((sum, each) => sum + (each?.length ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(100_000);
    expect(bytes).toBeGreaterThan(50_000);
  });

  it("is left alone once the browser gives no more, and is none without one", async () => {
    const full = { ...fakeCache(), put: () => Promise.reject(new DOMException("full", "QuotaExceededError")) };
    vi.stubGlobal("caches", { open: () => Promise.resolve(full) });
    const box = await openKeep();
    await box?.put("a", new Uint8Array(3));
    expect(await box?.get("a")).toBeUndefined();
    vi.unstubAllGlobals();
    expect(await openKeep()).toBeUndefined();
  });
});

function fakeCache() {
  const held = new Map<string, Uint8Array>();
  const find = (url: string) => [...held.keys()].find((key) => key === url || key.split("?")[0] === url);
  return {
    match: (url: string) => {
      const bytes = held.get(find(url) ?? "");
      return Promise.resolve(bytes && { arrayBuffer: () => Promise.resolve(bytes.slice().buffer) });
    },
    put: async (url: string, response: Response) => void held.set(url, new Uint8Array(await response.arrayBuffer())),
    delete: (name: string | { url: string }) => {
      const key = typeof name === "string" ? find(name) : name.url;
      return Promise.resolve(key !== undefined && held.delete(key));
    },
    keys: () => Promise.resolve([...held.keys()].map((url) => ({ url }))),
  };
}
