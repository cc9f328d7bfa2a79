// Pixels from a chunk's bytes into a block: pixel-major int8, or little-endian numbers.
import type { Window } from "../geo";
import { chunkBytes, type ShardFormat } from "./layout";

/** Where values go: `bands` of each pixel of a window, pixel-major. */
export interface Target {
  readonly window: Window;
  readonly data: Int8Array | Uint8Array | Uint16Array | Float32Array;
  readonly bands: number;
}

/** A decoded chunk and its north-west corner. */
export interface Chunk {
  readonly bytes: Uint8Array;
  readonly form: ShardFormat;
  readonly row: number;
  readonly col: number;
}

/** Copy a box that lies in both, or fill it with a number. */
export function copyBox(target: Target, box: Window, from: Chunk | number): void {
  const { window, data, bands } = target;
  const width = box.width * bands;
  const at = (row: number) => ((box.row + row - window.row) * window.width + box.col - window.col) * bands;
  if (typeof from === "number") {
    for (let row = 0; row < box.height; row++) data.fill(from, at(row), at(row) + width);
    return;
  }
  const values = numbersOf(from);
  const { chunk, bands: all, pixelMajor } = from.form;
  const isPlain = bands === all && (pixelMajor || all === 1);
  for (let row = 0; row < box.height; row++) {
    const first = (box.row + row - from.row) * chunk + box.col - from.col;
    if (isPlain) data.set(values.subarray(first * all, first * all + width), at(row));
    else if (pixelMajor) pickPixels(values, first * all, all, data, at(row), bands, box.width);
    else pickPlanes(values, first, chunk ** 2, data, at(row), bands, box.width);
  }
}

type Numbers = Int8Array | Uint8Array | Uint16Array | Float32Array;

function pickPixels(from: Numbers, start: number, step: number, to: Numbers, at: number, bands: number, count: number) {
  for (let pixel = 0; pixel < count; pixel++) {
    const first = start + pixel * step;
    to.set(from.subarray(first, first + bands), at + pixel * bands);
  }
}

function pickPlanes(
  from: Numbers,
  start: number,
  plane: number,
  to: Numbers,
  at: number,
  bands: number,
  count: number,
) {
  for (let band = 0; band < bands; band++) {
    let [source, target] = [start + band * plane, at + band];
    for (let pixel = 0; pixel < count; pixel++, source++, target += bands) to[target] = from[source] ?? 0;
  }
}

function numbersOf({ bytes, form }: Chunk): Numbers {
  const size = chunkBytes(form);
  if (form.dtype === "int8") return new Int8Array(bytes.buffer, bytes.byteOffset, size);
  if (form.dtype === "uint8") return bytes;
  const item = form.dtype === "float32" ? 4 : 2;
  // typed arrays need whole places in memory, which a part of a request need not have
  const own = bytes.byteOffset % item === 0 ? bytes : bytes.slice();
  if (form.dtype === "float32") return new Float32Array(own.buffer, own.byteOffset, size / 4);
  return new Uint16Array(own.buffer, own.byteOffset, size / 2);
}
