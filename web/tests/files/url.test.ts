import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { UrlFiles, parseUrl } from "../../src/files";
import { serve, type Fault, type Served } from "../server";

let server: Served;
let files: UrlFiles;
const BYTES = Uint8Array.from({ length: 3000 }, (_, k) => k % 251);

beforeEach(async () => {
  server = await serve(new Map([["s/a", BYTES]]));
  files = new UrlFiles(`${server.url}/s/`, { wait: 1 });
});
afterEach(() => server.close());

/** Faults of the next requests, in order. */
function next(...faults: (Fault | undefined)[]): void {
  server.fault = () => faults.shift();
}

describe("files by URL", () => {
  it("come whole or in part", async () => {
    expect(await files.get("a", 3000)).toMatchObject({ bytes: BYTES, size: 3000 });
    const part = await files.range("a", { offset: 100, length: 50 });
    expect(part).toMatchObject({ bytes: BYTES.slice(100, 150), size: 3000 });
    expect(part.etag).toMatch(/^"/);
    expect((await files.range("a", { suffix: 20 })).bytes).toEqual(BYTES.slice(-20));
    expect((await files.range("a", { suffix: 9000 })).bytes).toEqual(BYTES);
    expect(server.asked.map(({ range }) => range)).toEqual([undefined, "bytes=100-149", "bytes=-20", "bytes=-9000"]);
  });

  it.each([
    ["a lost connection", "drop"],
    ["a body that was cut", "cut"],
    ["a busy server", 503],
    ["too many requests", 429],
    ["a busy server that says when", { status: 503, retryAfter: 0 }],
  ] as [string, Fault][])("are asked for again after %s", async (_, fault) => {
    await files.get("a", 3000);
    next(fault, fault);
    expect((await files.range("a", { offset: 5, length: 7 })).bytes).toEqual(BYTES.slice(5, 12));
    expect(server.asked.length).toBe(4);
  });

  it("are given up in the end, in words", async () => {
    await files.get("a", 3000);
    next(...Array<Fault>(5).fill(502));
    await expect(files.get("a", 3000)).rejects.toMatchObject({ kind: "load", message: expect.stringContaining("502") });
    next(...Array<Fault>(5).fill("drop"));
    await expect(files.get("a", 3000)).rejects.toMatchObject({
      message: expect.stringContaining("connection was lost"),
    });
    expect(server.asked.length).toBe(11);
  });

  it("that are not there, or not for us, are told at once", async () => {
    await expect(files.get("b", 10)).rejects.toMatchObject({ kind: "missing" });
    next(403);
    await expect(files.get("a", 10)).rejects.toMatchObject({ kind: "load", message: expect.stringContaining("403") });
    expect(server.asked.length).toBe(2);
  });

  it("that were replaced meanwhile are told, and read anew afterwards", async () => {
    await files.range("a", { offset: 0, length: 4 });
    server.files.set("s/a", BYTES.slice(1));
    await expect(files.range("a", { offset: 0, length: 4 })).rejects.toMatchObject({ kind: "changed" });
    expect((await files.range("a", { offset: 0, length: 4 })).bytes).toEqual(BYTES.slice(1, 5));
  });

  it("that are longer or shorter than expected are told", async () => {
    await expect(files.get("a", 2999)).rejects.toMatchObject({ kind: "refused" });
    await expect(files.range("a", { offset: 2990, length: 11 })).rejects.toMatchObject({ kind: "corrupt" });
    await expect(files.range("a", { offset: 3000, length: 1 })).rejects.toMatchObject({ kind: "corrupt" });
    await expect(files.range("a", { offset: 0, length: 2 ** 27 })).rejects.toMatchObject({ kind: "refused" });
  });

  it("of a server that ignores ranges are taken where they are small, else refused in words", async () => {
    server.ignoresRanges = true;
    expect((await files.range("a", { offset: 5, length: 7 })).bytes).toEqual(BYTES.slice(5, 12));
    expect((await files.range("a", { suffix: 7 })).bytes).toEqual(BYTES.slice(-7));
    server.files.set("s/a", new Uint8Array(2 ** 20 + 1));
    await expect(new UrlFiles(`${server.url}/s`).range("a", { offset: 0, length: 7 })).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("ignores byte ranges"),
    });
  });

  it("are asked for at most eight at once", async () => {
    let [now, most] = [0, 0];
    const counting = new UrlFiles(`${server.url}/s`, {
      fetch: async (...args) => {
        most = Math.max(most, ++now);
        try {
          return await fetch(...args);
        } finally {
          now--;
        }
      },
    });
    server.delay = 5;
    await Promise.all(Array.from({ length: 30 }, (_, k) => counting.range("a", { offset: k, length: 1 })));
    expect(most).toBe(8);
  });

  it("are no longer waited for when cancelled, also between two attempts", async () => {
    const slow = new UrlFiles(`${server.url}/s`, { wait: 60_000 });
    const stop = new AbortController();
    server.fault = () => {
      setTimeout(() => stop.abort(), 30);
      return 503;
    };
    const reading = slow.get("a", 10, { signal: stop.signal });
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    expect(server.asked.length).toBe(1);
  });

  it("of a host that nobody answers for say what to check", async () => {
    const gone = server.url;
    await server.close();
    server = await serve(new Map());
    await expect(new UrlFiles(gone, { wait: 1 }).get("a", 1)).rejects.toMatchObject({
      kind: "load",
      message: expect.stringContaining("check the address and the network"),
    });
  });

  it("of another origin that refuses a suffix are asked for by length", async () => {
    const shy = new UrlFiles(`${server.url}/s`, {
      wait: 1,
      fetch: (input, init) => {
        const range = new Headers(init?.headers).get("Range") ?? "";
        return range.startsWith("bytes=-") ? Promise.reject(new TypeError("Failed to fetch")) : fetch(input, init);
      },
    });
    await shy.get("a", 3000);
    for (const suffix of [20, 30]) expect((await shy.range("a", { suffix })).bytes).toEqual(BYTES.slice(-suffix));
    expect(server.asked.map(({ method }) => method)).toEqual(["GET", "HEAD", "GET", "HEAD", "GET"]);
  });
});

describe("addresses", () => {
  it("lose slashes, queries and fragments", () => {
    expect(parseUrl(" https://a.example/s.zarr//?x=1#y ")).toBe("https://a.example/s.zarr");
  });

  it.each(["", "s.zarr", "javascript:alert(1)", "file:///etc/passwd", "https://me:secret@a.example/s"])(
    "such as %j are refused",
    (text) => {
      expect(() => parseUrl(text)).toThrow(/expected/);
    },
  );
});
