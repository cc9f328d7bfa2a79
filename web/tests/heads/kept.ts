// Heads that Python wrote, and what it predicts with them (tests/page/head_fixtures.py).
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Part } from "../../src/kernels";

export const FOLDER = join(import.meta.dirname, "../fixtures/heads");

export const NAMES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".predicted.json"))
  .map((name) => name.replace(".predicted.json", ""));

export function bytesOf(name: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(readFileSync(join(FOLDER, `${name}.json`)));
}

export interface Kept {
  readonly parts: readonly Part[];
  readonly map: Uint8Array;
  readonly numbers: Float32Array;
  readonly probabilities: Float32Array | undefined;
}

interface Packed {
  readonly parts: readonly { readonly dims: number; readonly codes: string; readonly scales: string }[];
  readonly map: string;
  readonly probabilities?: string;
}

function decode(text: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(text, "base64")).buffer;
}

export function keptOf(name: string): Kept {
  const value = JSON.parse(readFileSync(join(FOLDER, `${name}.predicted.json`), "utf8")) as Packed; // our own file
  const map = decode(value.map);
  return {
    parts: value.parts.map(({ dims, codes, scales }) => ({
      dims,
      codes: new Int8Array(decode(codes)),
      scales: new Float32Array(decode(scales)),
    })),
    map: new Uint8Array(map),
    numbers: map.byteLength % 4 ? new Float32Array() : new Float32Array(map),
    probabilities: value.probabilities === undefined ? undefined : new Float32Array(decode(value.probabilities)),
  };
}
