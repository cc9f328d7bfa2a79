// The list of contents of a zip, from its end: also of files beyond 4 GB (zip64). Names that lead out are refused.
import { PageError, shown } from "../base";
import { isPlainKey } from "./blobs";

const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const ENTRY = 0x02014b50;
const MOST_LIST = 128 * 2 ** 20; // bytes
const MOST_ENTRIES = 1_000_000;
const ALL_ONES = 0xffffffff;

export interface ZipEntry {
  readonly method: "stored" | "deflated";
  readonly crc: number;
  readonly packed: number; // bytes in the file
  readonly size: number; // unpacked
  readonly offset: number; // of its local header
}

export async function readEntries(file: Blob, name: string): Promise<Map<string, ZipEntry>> {
  const fail = (what: string): never => {
    throw new PageError("corrupt", `${name} cannot be read as a zip file: ${what}`);
  };
  const { size } = file;
  const tailStart = Math.max(0, size - 65_557 - 20);
  const tail = await viewOf(file, tailStart, size);
  const at = findEnd(tail);
  if (at === undefined) return fail("it has no list of contents; expected a whole zip file");
  const place = {
    count: tail.getUint16(at + 10, true),
    length: tail.getUint32(at + 12, true),
    start: tail.getUint32(at + 16, true),
  };
  if (place.count === 0xffff || place.length === ALL_ONES || place.start === ALL_ONES) {
    if (at < 20 || tail.getUint32(at - 20, true) !== LOCATOR64) return fail("its end is damaged");
    const where = whole(tail, at - 12);
    if (where === undefined || where + 56 > size) return fail("its end is damaged");
    const end = await viewOf(file, where, where + 56);
    if (end.getUint32(0, true) !== END64) return fail("its end is damaged");
    place.count = whole(end, 32) ?? -1;
    place.length = whole(end, 40) ?? -1;
    place.start = whole(end, 48) ?? -1;
  }
  const { count, length, start } = place;
  if (count < 0 || length < 0 || start < 0 || start + length > size)
    return fail("its list of contents lies outside it");
  if (count > MOST_ENTRIES || length > MOST_LIST) {
    throw new PageError("refused", `${name} lists ${count} files; expected at most ${MOST_ENTRIES}`);
  }
  return parseList(await viewOf(file, start, start + length), count, name, fail);
}

function parseList(
  view: DataView<ArrayBuffer>,
  count: number,
  name: string,
  fail: (what: string) => never,
): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  const decoder = new TextDecoder();
  let at = 0;
  for (let k = 0; k < count; k++) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== ENTRY) return fail("its list of contents is damaged");
    const [nameLength, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const end = at + 46 + (nameLength ?? 0) + (extra ?? 0) + (comment ?? 0);
    if (end > view.byteLength) return fail("its list of contents is damaged");
    const key = decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at + 46, nameLength));
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const entry = {
      crc: view.getUint32(at + 16, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    };
    widen(entry, view, at + 46 + (nameLength ?? 0), extra ?? 0, fail);
    at = end;
    if (key.endsWith("/")) continue; // a folder
    if (!isPlainKey(key)) {
      throw new PageError("refused", `${name} holds a file named "${shown(key)}"; expected names that stay inside it`);
    }
    if (entries.has(key)) throw new PageError("refused", `${name} holds "${shown(key)}" twice; expected once`);
    if (flags & 1) throw new PageError("refused", `${name} is encrypted; expected a zip file without a password`);
    if (method !== 0 && method !== 8) {
      throw new PageError("refused", `${name} packs "${shown(key)}" by method ${method}; expected stored or deflate`);
    }
    if (method === 0 && entry.packed !== entry.size) return fail(`the sizes of ${shown(key)} contradict each other`);
    entries.set(key, { ...entry, method: method === 0 ? "stored" : "deflated" });
  }
  return entries;
}

/** Sizes and offsets that do not fit into 32 bits stand in an extra field, those that do not fit only, in this order. */
function widen(
  entry: { packed: number; size: number; offset: number },
  view: DataView,
  start: number,
  length: number,
  fail: (what: string) => never,
): void {
  if (entry.size !== ALL_ONES && entry.packed !== ALL_ONES && entry.offset !== ALL_ONES) return;
  for (let at = start; at + 4 <= start + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    const end = Math.min(start + length, at + 4 + view.getUint16(at + 2, true));
    let place = at + 4;
    for (const name of ["size", "packed", "offset"] as const) {
      if (entry[name] !== ALL_ONES) continue;
      if (place + 8 > end) break;
      entry[name] = whole(view, place) ?? ALL_ONES;
      place += 8;
    }
    return;
  }
  fail("its list of contents is damaged");
}

function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - 22; at >= 0; at--) {
    if (tail.getUint32(at, true) === END && at + 22 + tail.getUint16(at + 20, true) === tail.byteLength) return at;
  }
  return undefined;
}

function whole(view: DataView, at: number): number | undefined {
  const value = view.getBigUint64(at, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

async function viewOf(file: Blob, start: number, end: number): Promise<DataView<ArrayBuffer>> {
  try {
    return new DataView(await file.slice(start, end).arrayBuffer());
  } catch (error) {
    throw new PageError("changed", "the zip file was changed or removed; open it again", { cause: error });
  }
}
