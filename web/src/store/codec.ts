// The bytes of a shard: its index and its chunks; src/tessera/shards/codec.py.
import { PageError, crc32c } from "../base";
import { chunkBytes, indexBytes, sideOf, type ShardFormat } from "./layout";
import { unpack } from "./packing";

const CRC = 4;
const ABSENT = 0xffffffff;
/** Bytes by which a packed chunk may exceed the chunk itself: what does not shrink grows by less. */
const PACKED_MOST = 1024;

/** Where each chunk lies, row by row; an offset of -1 is a chunk that is not there. */
export interface ShardIndex {
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
}

/** `size`: bytes of the whole object, undefined where the server does not tell. */
export function decodeIndex(bytes: Uint8Array, size: number | undefined, form: ShardFormat, where: string): ShardIndex {
  if (bytes.length !== indexBytes(form)) {
    throw new PageError("corrupt", `${where} is shorter than its index of ${indexBytes(form)} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - (form.indexCrc ? CRC : 0);
  if (form.indexCrc && crc32c(bytes.subarray(0, end)) !== view.getUint32(end, true)) {
    throw new PageError("corrupt", `${where}: the checksum of its index does not fit`);
  }
  const count = sideOf(form) ** 2;
  const offsets = new Float64Array(count).fill(-1);
  const lengths = new Uint32Array(count);
  const whole = chunkBytes(form) + (form.chunkCrc ? CRC : 0);
  const [least, most] = form.compressor === "none" ? [whole, whole] : [1, whole + PACKED_MOST];
  const total = size ?? Number.MAX_SAFE_INTEGER;
  const [first, last] = form.indexAtEnd ? [0, total - bytes.length] : [bytes.length, total];
  for (let k = 0; k < count; k++) {
    const [low, high] = [view.getUint32(16 * k, true), view.getUint32(16 * k + 4, true)];
    const [length, over] = [view.getUint32(16 * k + 8, true), view.getUint32(16 * k + 12, true)];
    if (low === ABSENT && high === ABSENT && length === ABSENT && over === ABSENT) continue;
    const offset = high * 2 ** 32 + low;
    if (over !== 0 || length < least || length > most || offset < first || offset + length > last) {
      throw new PageError("corrupt", `${where}: its index points outside it or at chunks of another length`);
    }
    offsets[k] = offset;
    lengths[k] = length;
  }
  return { offsets, lengths };
}

/** The values of a chunk as bytes, verified and unpacked; in the order that `form.pixelMajor` says. */
export async function decodeChunk(
  bytes: Uint8Array<ArrayBuffer>,
  form: ShardFormat,
  where: string,
): Promise<Uint8Array> {
  let body: Uint8Array<ArrayBuffer> = bytes;
  if (form.chunkCrc) {
    const end = bytes.length - CRC;
    const told = new DataView(bytes.buffer, bytes.byteOffset + end, CRC).getUint32(0, true);
    body = bytes.subarray(0, end);
    if (crc32c(body) !== told) throw new PageError("corrupt", `${where}: the checksum of a chunk does not fit`);
  }
  const size = chunkBytes(form);
  if (form.compressor !== "none") return unpack(body, size, form.compressor, `${where}: a chunk`);
  if (body.length !== size) {
    throw new PageError("corrupt", `${where}: a chunk has ${body.length} bytes; expected ${size}`);
  }
  return body;
}
