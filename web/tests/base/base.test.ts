import { createHash } from "node:crypto";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  Gate,
  Lru,
  PageError,
  Reading,
  crc32c,
  inParallel,
  parseJson,
  sha256,
  sha256Plain,
  sleep,
} from "../../src/base";

const bytes = (text: string) => new TextEncoder().encode(text);

function slowCrc(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe("crc32c", () => {
  it("has the check value of the standard", () => expect(crc32c(bytes("123456789"))).toBe(0xe3069283));

  it("equals the definition bit by bit, at any alignment", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 9 }), (data, skip) => {
        const part = data.subarray(Math.min(skip, data.length));
        expect(crc32c(part)).toBe(slowCrc(part));
      }),
    );
  });
});

describe("sha256", () => {
  it("equals Node's, with and without the browser's own", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (data) => {
        const own = new Uint8Array(data);
        const expected = createHash("sha256").update(own).digest("hex");
        expect(sha256Plain(own)).toBe(expected);
        expect(await sha256(own)).toBe(expected);
      }),
    );
  });
});

describe("JSON of strangers", () => {
  it("is what JSON.parse gives where keys come once", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        expect(parseJson(bytes(text), 1e6, "it")).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{"a": 1, "a": 2}', /key "a" twice/],
    ['{"a": {"b": 1}, "\\u0061": 2}', /key "a" twice/],
    ["[".repeat(70) + "]".repeat(70), /nested/],
    ["{", /not valid JSON/],
    [`"${"x".repeat(101)}"`, /has 103 bytes/],
  ])("refuses %s", (text, message) => {
    expect(() => parseJson(bytes(text), text.startsWith('"') ? 100 : 1000, "it")).toThrow(message);
  });

  it("refuses what is no UTF-8", () => {
    expect(() => parseJson(new Uint8Array([34, 255, 34]), 10, "it")).toThrow(/UTF-8/);
  });

  it("names the file and the field of a value that does not fit", () => {
    const read = new Reading("store/tessera.json");
    expect(() => read.whole(1.5, "years", 1, 9)).toThrow("store/tessera.json: years is 1.5; expected a whole number");
    expect(() => read.object([], "model")).toThrow(PageError);
    expect(read.wholes([1, 2], "years", 1, 9)).toEqual([1, 2]);
  });
});

describe("Lru", () => {
  it("never holds more than its limit, and drops what was used longest ago", () => {
    const step = fc.tuple(fc.constantFrom("a", "b", "c", "d", "e"), fc.integer({ min: 1, max: 12 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model: [string, number][] = [];
        const lru = new Lru<number>(20);
        for (const [key, size, isGet] of steps) {
          const at = model.findIndex(([name]) => name === key);
          const [old] = at >= 0 ? model.splice(at, 1) : [];
          if (isGet) {
            expect(lru.get(key)).toBe(old?.[1]);
            if (old) model.push(old);
          } else {
            lru.put(key, size, size);
            model.push([key, size]);
            while (model.reduce((sum, [, each]) => sum + each, 0) > 20) model.shift();
          }
          expect(lru.bytes).toBe(model.reduce((sum, [, each]) => sum + each, 0));
          expect(lru.size).toBe(model.length);
        }
      }),
    );
  });

  it("tells what goes, also what is too large to stay", () => {
    const gone: string[] = [];
    const lru = new Lru<null>(10, (key) => gone.push(key));
    lru.put("a", null, 6);
    lru.put("b", null, 6);
    lru.put("c", null, 11);
    lru.clear();
    expect(gone).toEqual(["a", "c", "b"]);
  });
});

describe("waiting", () => {
  it("runs at most so many at once", async () => {
    const gate = new Gate(3);
    let now = 0;
    let most = 0;
    const job = () =>
      gate.run(async () => {
        most = Math.max(most, ++now);
        await sleep(1);
        now--;
      });
    await Promise.all(Array.from({ length: 12 }, job));
    expect(most).toBe(3);
  });

  it("starts nothing after an error, which comes when all have ended", async () => {
    const seen: number[] = [];
    const work = async (item: number) => {
      seen.push(item);
      await sleep(item);
      if (item === 1) throw new Error("one");
    };
    await expect(inParallel([1, 5, 7, 8], 2, work)).rejects.toThrow("one");
    expect(seen).toEqual([1, 5]);
  });

  it("ends a sleep that is cancelled", async () => {
    const stop = new AbortController();
    const slept = sleep(10_000, stop.signal);
    stop.abort();
    await expect(slept).rejects.toThrow("cancelled");
  });
});
