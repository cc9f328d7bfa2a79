import type { HeadArray } from "./types";
import { isObject, objectOf, refuse, shown, type Plain } from "./values";

const MAKERS = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

const AXES = 4;
const ARRAYS = 256;
const SIDE = 2 ** 31 - 1;
const PIECE = 0x8000;

function isDtype(value: unknown): value is HeadArray["dtype"] {
  return typeof value === "string" && Object.hasOwn(MAKERS, value);
}

/** Arrays of a file: shape, dtype and length of the text are checked against each other before anything is decoded. */
export function unpack(value: unknown, what: string): Record<string, HeadArray> {
  if (!isObject(value) || Object.keys(value).length > ARRAYS) {
    return refuse(`${what} are ${shown(value)}; expected an object of at most ${ARRAYS} arrays`);
  }
  return Object.fromEntries(Object.entries(value).map(([name, packed]) => [name, unpackOne(name, packed)]));
}

function unpackOne(name: string, value: unknown): HeadArray {
  const what = `array ${shown(name, 40)}`;
  const { dtype, shape, data }: Plain = objectOf(value, ["dtype", "shape", "data"], what);
  if (!isDtype(dtype)) return refuse(`${what} of ${shown(dtype)}; expected one of ${Object.keys(MAKERS).join(", ")}`);
  const sides = sidesOf(shape, what);
  const Maker = MAKERS[dtype];
  const bytes = sides.reduce((product, side) => product * side, 1) * Maker.BYTES_PER_ELEMENT;
  const letters = typeof data === "string" ? data.length : -1;
  if (typeof data !== "string" || letters !== 4 * Math.ceil(bytes / 3)) {
    return refuse(`${what} of ${dtype} ${shown(sides)} with ${letters} letters of base64`);
  }
  const decoded = decode(data, bytes);
  if (!decoded) return refuse(`${what} holds data that are no base64 of ${bytes} bytes`);
  return { dtype, shape: sides, data: new Maker(decoded.buffer) };
}

function sidesOf(value: unknown, what: string): readonly number[] {
  const whole = (one: unknown): one is number => Number.isSafeInteger(one) && Number(one) >= 0 && Number(one) <= SIDE;
  if (!Array.isArray(value) || value.length < 1 || value.length > AXES || !value.every(whole)) {
    return refuse(`${what} of shape ${shown(value)}; expected one to ${AXES} whole numbers`);
  }
  return value;
}

/** All platforms that browsers run on are little-endian, as the file is. */
function decode(text: string, bytes: number): Uint8Array<ArrayBuffer> | undefined {
  const out = new Uint8Array(bytes);
  let at = 0;
  try {
    // in pieces of whole groups of four letters, so that no second copy of a large array is made
    for (let from = 0; from < text.length; from += PIECE * 4) {
      const piece = text.slice(from, from + PIECE * 4);
      if (/\s/.test(piece)) return undefined;
      const raw = atob(piece);
      if (at + raw.length > bytes) return undefined;
      for (let i = 0; i < raw.length; i++) out[at++] = raw.charCodeAt(i);
    }
  } catch {
    return undefined;
  }
  return at === bytes ? out : undefined;
}

export function pack(arrays: Readonly<Record<string, HeadArray>>): Plain {
  return Object.fromEntries(
    Object.entries(arrays).map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: encode(data) }]),
  );
}

function encode(data: HeadArray["data"]): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const pieces: string[] = [];
  // a multiple of three bytes, so that pieces join
  for (let from = 0; from < bytes.length; from += PIECE - 2) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(from, from + PIECE - 2))));
  }
  return pieces.join("");
}
