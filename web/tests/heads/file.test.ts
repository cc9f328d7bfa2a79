import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { PageError } from "../../src/base";
import { MOST_BYTES, mapValues, readHead } from "../../src/heads";
import { bytesOf, NAMES } from "./kept";

type Json = { [key: string]: unknown };

/** The file of a head with one change. */
function changed(name: string, change: (value: Json, arrays: Record<string, Json>) => void): Uint8Array {
  const value = JSON.parse(new TextDecoder().decode(bytesOf(name))) as Json;
  change(value, value["arrays"] as Record<string, Json>);
  return new TextEncoder().encode(JSON.stringify(value));
}

function array(dtype: string, shape: number[], data: ArrayBufferView): Json {
  return { dtype, shape, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

/** Decoded numbers of an array of a kept head. */
function floats(packed: Json | undefined): Float64Array {
  return new Float64Array(Uint8Array.from(Buffer.from(String(packed?.["data"]), "base64")).buffer);
}

const WRONG: readonly [string, string, (value: Json, arrays: Record<string, Json>) => void, RegExp][] = [
  ["linear", "another format", (v) => (v["format"] = "other"), /format "other"/],
  ["linear", "version 1", (v) => (v["version"] = 1), /Save it again with Python/],
  ["linear", "version 2", (v) => (v["version"] = 2), /Save it again with Python/],
  ["linear", "version 4", (v) => (v["version"] = 4), /version 4/],
  ["linear", "a key that is missing", (v) => delete v["trust"], /lacks \["trust"\]/],
  ["linear", "a key too many", (v) => (v["__proto__x"] = 1), /besides/],
  ["linear", "a U-Net", (v) => (v["head"] = "unet"), /pixels around/],
  ["linear", "another learner", (v) => (v["head"] = "svm"), /this page reads/],
  ["linear", "classes of one name", (v) => (v["classes"] = Array(8).fill("a")), /distinct names/],
  ["linear", "other values", (v) => (v["values"] = [9, 1, 2, 3, 4, 5, 6, 7]), /values/],
  ["linear", "a colour that is none", (v) => (v["colours"] = Array(8).fill("red;x")), /#1f7a3a/],
  ["linear", "no inputs", (v) => (v["inputs"] = []), /inputs/],
  ["linear", "arrays that are none", (v) => (v["arrays"] = []), /expected an object/],
  ["linear", "an array too many", (_, a) => (a["more"] = array("int8", [1], new Int8Array(1))), /expected widths/],
  ["linear", "a missing array", (_, a) => delete a["bias"], /expected/],
  [
    "linear",
    "a gigabyte in words",
    (_, a) => (a["weights"] = { dtype: "int16", shape: [1 << 15, 1 << 15], data: "AAAA" }),
    /letters/,
  ],
  [
    "linear",
    "sides whose product is no number",
    (_, a) => (a["weights"] = { dtype: "int8", shape: [1e9, 1e9, 1e9, 1e9], data: "" }),
    /letters/,
  ],
  ["linear", "an odd text", (_, a) => (a["bias"] = { dtype: "int8", shape: [3], data: "A A=" }), /base64/],
  [
    "linear",
    "a dtype of the prototype",
    (_, a) => (a["bias"] = { dtype: "constructor", shape: [3], data: "AAAA" }),
    /expected one of/,
  ],
  ["linear", "NaN", (_, a) => (a["bias"] = array("float64", [8], floats(a["bias"]).fill(NaN, 2, 3))), /finite/],
  [
    "linear",
    "a number too large",
    (_, a) => (a["bias"] = array("float64", [8], floats(a["bias"]).fill(1e300, 2, 3))),
    /above/,
  ],
  [
    "linear",
    "a negative scale",
    (_, a) => (a["scale"] = array("float64", [8, 1], new Float64Array(8).fill(-1))),
    /below 0/,
  ],
  ["linear", "parts of other dims", (_, a) => (a["widths"] = array("int32", [1], new Int32Array([127]))), /parts/],
  ["linear", "an older model", (_, a) => (a["mean"] = array("float32", [1], new Float32Array(1))), /earlier release/],
  [
    "knn",
    "a label of no class",
    (_, a) => (a["target"] = array("int64", [60], new BigInt64Array(60).fill(3n))),
    /no class/,
  ],
  [
    "knn",
    "a label below 0",
    (_, a) => (a["target"] = array("int64", [60], new BigInt64Array(60).fill(-1n))),
    /no class/,
  ],
  [
    "knn",
    "too many neighbours",
    (_, a) => (a["neighbours"] = array("int32", [1], new Int32Array([61]))),
    /61 neighbours/,
  ],
  ["knn", "no neighbours", (_, a) => (a["neighbours"] = array("int32", [1], new Int32Array([0]))), /0 neighbours/],
  ["knn", "a scale of 0", (_, a) => (a["scales"] = array("float32", [60, 1], new Float32Array(60))), /above 0/],
  ["knn", "another vote", (_, a) => (a["vote"] = array("int32", [1], new Int32Array([2]))), /vote/],
  [
    "forest",
    "a leaf without a row",
    (_, a) =>
      (a["leaf"] = array(
        "int32",
        a["leaf"]?.["shape"] as number[],
        new Int32Array(Number((a["leaf"]?.["shape"] as number[])[0])).fill(999),
      )),
    /leaf outside/,
  ],
  [
    "forest",
    "features of others",
    (_, a) => (a["features"] = array("int32", [1], new Int32Array([17]))),
    /17 features/,
  ],
  ["mlp", "a deviation of 0", (_, a) => (a["std"] = array("float32", [16], new Float32Array(16))), /deviation/],
  [
    "mlp",
    "no layers",
    (_, a) => {
      for (const key of Object.keys(a)) if (/_/.test(key)) delete a[key];
    },
    /layers/,
  ],
];

describe("a file of a head", () => {
  it.each(WRONG)("of %s with %s is refused in words", (name, _, change, words) => {
    expect(() => readHead(changed(name, change), "x.json")).toThrow(words);
  });

  it("with trees that lead back or are too deep is refused", () => {
    const trees = (feature: number[], sizes: number[]) => (_: Json, a: Record<string, Json>) => {
      a["sizes"] = array("int32", [sizes.length], Int32Array.from(sizes));
      a["feature"] = array("int16", [feature.length], Int16Array.from(feature));
      a["threshold"] = array("float32", [feature.length], new Float32Array(feature.length));
      const leaves = feature.filter((one) => one < 0).length;
      a["leaf"] = array("int32", [leaves], new Int32Array(leaves));
    };
    const read = (feature: number[], sizes: number[]) => () => readHead(changed("forest", trees(feature, sizes)), "f");
    const chain = (levels: number) => [...Array.from({ length: levels }, () => [0, -1]).flat(), -1];
    expect(read([0, -1, -1], [3])).not.toThrow();
    expect(read([0, -1, -1], [2, 1])).toThrow(/order of breadth/);
    expect(read([0, -1, 0, -1], [4])).toThrow(/order of breadth/);
    expect(read([-1, 0, -1], [3])).toThrow(/order of breadth/);
    expect(read([-1, -1], [2])).toThrow(/order of breadth/);
    expect(read([16, -1, -1], [3])).toThrow(/feature outside/);
    expect(read([-2, -1, -1], [3])).toThrow(/feature outside/);
    expect(read([0, -1, -1], [0, 3])).toThrow(/other sizes/);
    const deep = (levels: number) => {
      // each level: a leaf, and a node that splits again
      const feature = chain(levels);
      return read(feature, [feature.length]);
    };
    expect(deep(128)).not.toThrow();
    expect(deep(129)).toThrow(/128 levels/);
  });

  it("that is too large, too full or too deep is refused before it is read", () => {
    const huge = { length: MOST_BYTES + 1 } as Uint8Array;
    expect(() => readHead(huge, "h")).toThrow(/269 MB/);
    expect(() => readHead(new Uint8Array(2_000_001).fill(44), "h")).toThrow(/2000000 values/);
    const deep = `{"format":"tessera-head","version":3,"provenance":${"[".repeat(1e5)}${"]".repeat(1e5)}}`;
    expect(() => readHead(new TextEncoder().encode(deep), "h")).toThrow(PageError);
    const nested = changed(
      "linear",
      (v) => (v["provenance"] = { a: JSON.parse("[".repeat(200) + "]".repeat(200)) as unknown }),
    );
    expect(() => readHead(nested, "h")).toThrow(/nested/);
    expect(() => readHead(new TextEncoder().encode("[]"), "h")).toThrow(/no head file/);
    expect(() => readHead(Uint8Array.from([0xff, 0xfe]), "h")).toThrow(/no JSON/);
  });

  it("with any byte changed is read or refused, never worse", () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.nat(), fc.integer({ min: 0, max: 255 }), (name, at, byte) => {
        const bytes = bytesOf(name);
        bytes[at % bytes.length] = byte;
        try {
          readHead(bytes, name);
        } catch (error) {
          expect(error).toBeInstanceOf(PageError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("gives classes the values that Python gives them", () => {
    expect(mapValues(["7", "b", "0", "a", "007", "255", "254", "-1"])).toEqual([7, 1, 0, 2, 3, 4, 254, 5]);
  });
});
