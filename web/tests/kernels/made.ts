// Kernels of both kinds, and arbitrary heads for property tests.
import { readFileSync } from "node:fs";

import fc from "fast-check";

import { javascriptKernels, wasmKernels, type Kernels, type Part } from "../../src/kernels";

export const WASM = new URL("../../src/kernels/wasm/kernels.wasm", import.meta.url);

export const js: Kernels = javascriptKernels();
export const wasm: Kernels = wasmKernels(new WebAssembly.Module(readFileSync(WASM)));

/** Numbers that come from one seed. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const EXTREMES = [-128, 127, 0, -1];

/** Codes that are often extreme, scales that are sometimes no data, often equal. */
export function parts(n: number, widths: readonly number[], next: () => number): Part[] {
  return widths.map((dims) => {
    const extreme = next() < 0.3;
    const codes = Int8Array.from({ length: n * dims }, () =>
      extreme ? (EXTREMES[Math.floor(next() * 4)] as number) : Math.floor(next() * 256) - 128,
    );
    const scales = Float32Array.from({ length: n }, () => {
      const kind = next();
      if (kind < 0.05) return NaN;
      if (kind < 0.1) return Infinity;
      if (kind < 0.13) return 0;
      return kind < 0.4 ? 0.01 : next() * 0.05 + 1e-4;
    });
    return { codes, scales, dims };
  });
}

export const widths = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 3 });
export const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 });
