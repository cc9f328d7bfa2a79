// Stores that Python wrote (tests/page/store_fixtures.py), and what Python reads of them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { unzipSync } from "fflate";
import { expect } from "vitest";

import type { LonLat, Window } from "../src/geo";
import type { Block } from "../src/store";

const FOLDER = join(import.meta.dirname, "fixtures/store");

export const zipOf = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(join(FOLDER, `${name}.zip`)));

/** Files of a store by key, below a folder. */
export function filesOf(name: string, folder: string): Map<string, Uint8Array> {
  const entries = Object.entries(unzipSync(zipOf(name)));
  return new Map(entries.map(([key, bytes]) => [`${folder}/${key}`, bytes]));
}

interface Expected {
  readonly model: { readonly name: string; readonly sha256: string; readonly dims: number };
  readonly windows: readonly {
    readonly window: Window;
    readonly year: number;
    readonly codes: string;
    readonly scales: string;
  }[];
  readonly points: readonly {
    readonly year: number;
    readonly lonlat: readonly LonLat[];
    readonly codes: string;
    readonly scales: string;
  }[];
}

export const expected = JSON.parse(readFileSync(join(FOLDER, "expected.json"), "utf8")) as Expected;
export const DIMS = 8;

export const int8 = (text: string): Int8Array => new Int8Array(new Uint8Array(Buffer.from(text, "base64")).buffer);
export const float32 = (text: string): Float32Array =>
  new Float32Array(new Uint8Array(Buffer.from(text, "base64")).buffer);

/** That a block has the codes and scales; codes of pixels without data are 0. */
export function checkBlock(block: Block, codes: Int8Array, scales: Float32Array): void {
  expect(block.scales).toEqual(scales);
  const wrong = scales.findIndex((_, pixel) => {
    for (let dim = 0; dim < block.dims; dim++) {
      if (block.codes[pixel * block.dims + dim] !== codes[pixel * DIMS + dim]) return true;
    }
    return false;
  });
  expect(wrong).toBe(-1);
}
