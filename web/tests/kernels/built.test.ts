import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { compile } from "../../tools/kernels.mjs";
import { loadKernels } from "../../src/kernels";
import { hasSimd } from "../../src/kernels/load";
import { WASM } from "./made";

describe("the module that is committed", () => {
  it("is what its source compiles to", async () => {
    expect(Buffer.from(await compile()).equals(readFileSync(WASM))).toBe(true);
  }, 60_000);

  it("is used where there is SIMD, and JavaScript where it cannot be fetched", async () => {
    expect(hasSimd()).toBe(true);
    expect((await loadKernels("js")).name).toBe("js");
    expect((await loadKernels()).name).toBe("js"); // Node fetches no file: URL
  });
});
