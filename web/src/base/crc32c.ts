// CRC-32C (Castagnoli), as Zarr's `crc32c` codec has it: eight bytes a step by tables.
const WAYS = 8;

function tableOf(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}

const ZIP = tableOf(0xedb88320);
const TABLES: readonly Int32Array[] = (() => {
  const first = tableOf(0x82f63b78);
  const tables = [first];
  for (let way = 1; way < WAYS; way++) {
    const last = tables[way - 1] ?? first;
    tables.push(last.map((crc) => (crc >>> 8) ^ (first[crc & 255] ?? 0)));
  }
  return tables;
})();
const table = (way: number): Int32Array => TABLES[way] ?? new Int32Array(256);
const [T0, T1, T2, T3] = [table(0), table(1), table(2), table(3)];
const [T4, T5, T6, T7] = [table(4), table(5), table(6), table(7)];

/** CRC-32C of bytes, 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  let at = 0;
  // whole words need an aligned view; bytes before and after go one by one
  const head = Math.min(bytes.length, (4 - (bytes.byteOffset & 3)) & 3);
  for (; at < head; at++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]!) & 255]!;
  const pairs = ((bytes.length - at) >> 3) * 2;
  const words = pairs ? new Int32Array(bytes.buffer, bytes.byteOffset + at, pairs) : new Int32Array(0);
  for (let word = 0; word < pairs; word += 2) {
    const a = crc ^ words[word]!;
    const b = words[word + 1]!;
    crc =
      T7[a & 255]! ^
      T6[(a >>> 8) & 255]! ^
      T5[(a >>> 16) & 255]! ^
      T4[a >>> 24]! ^
      T3[b & 255]! ^
      T2[(b >>> 8) & 255]! ^
      T1[(b >>> 16) & 255]! ^
      T0[b >>> 24]!;
  }
  for (at += pairs * 4; at < bytes.length; at++) crc = (crc >>> 8) ^ T0[(crc ^ bytes[at]!) & 255]!;
  return (crc ^ -1) >>> 0;
}

/** CRC-32 as zip files have it, 0 to 2^32 - 1. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ (ZIP[(crc ^ byte) & 255] ?? 0);
  return (crc ^ -1) >>> 0;
}
