import { PageError } from "../base";
import { MOST_COLUMNS, type Value } from "./types";

/** Rows of a dBASE table, of the types that shapefiles have: text, numbers, dates and truth. */
export function readDbf(
  bytes: Uint8Array,
  encoding: string,
  where: string,
): { columns: string[]; rows: Record<string, Value>[] } {
  const damaged = () => new PageError("corrupt", `${where}: its .dbf is damaged; save the shapefile again`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33) throw damaged();
  const [count, start, size] = [view.getUint32(4, true), view.getUint16(8, true), view.getUint16(10, true)];
  if (size < 1 || start < 33 || start + count * size > bytes.length + 1) throw damaged();
  const decoder = new TextDecoder(encoding);
  const fields: { name: string; type: string; offset: number; length: number }[] = [];
  let offset = 1;
  for (let at = 32; at + 32 <= start && bytes[at] !== 0x0d; at += 32) {
    const name = decoder
      .decode(bytes.subarray(at, at + 11))
      .replace(/\0[^]*$/, "")
      .trim();
    const length = bytes[at + 16] ?? 0;
    fields.push({ name, type: String.fromCharCode(bytes[at + 11] ?? 0), offset, length });
    offset += length;
  }
  if (offset > size || fields.length > MOST_COLUMNS) throw damaged();
  const rows: Record<string, Value>[] = [];
  for (let i = 0; i < count; i++) {
    const at = start + i * size;
    const values = fields.map(({ name, type, offset: from, length }): [string, Value] => {
      const text = decoder
        .decode(bytes.subarray(at + from, at + from + length))
        .replaceAll("\0", "")
        .trim();
      return [name, valueOf(text, type)];
    });
    rows.push(Object.fromEntries(values));
  }
  return { columns: fields.map(({ name }) => name), rows };
}

function valueOf(text: string, type: string): Value {
  if (text === "" || /^\*+$/.test(text)) return null;
  if (type === "N" || type === "F") {
    const number = Number(text);
    return Number.isFinite(number) ? number : null;
  }
  if (type === "L") return /^[TY]$/i.test(text) ? true : /^[FN]$/i.test(text) ? false : null;
  return text;
}
