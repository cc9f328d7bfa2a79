// Where a store has data, by its manifest: a row a cell and year, of which a few columns are read.
import { PageError, type Running } from "../base";
import type { Files } from "../files";
import { COLS, NORTH, ROWS, WEST, boxOf, type Box, type Window } from "../geo";
import { zstdLength } from "./packing";

const MANIFEST = "manifest.parquet";
const MOST_BYTES = 64 * 2 ** 20;
const MOST_ROWS = 200_000;
const MOST_PAGE = 64 * 2 ** 20;
const COLUMNS = ["zone", "west", "north", "size", "chunks"];

/** Boxes of the cells with data, smaller where few of a cell's chunks are written; none where there is no manifest. */
export async function manifestBoxes(files: Files, running: Running): Promise<readonly Box[]> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    ({ bytes } = await files.get(MANIFEST, MOST_BYTES, running));
  } catch (error) {
    if (error instanceof PageError && (error.kind === "missing" || error.kind === "refused")) return [];
    throw error;
  }
  const where = `${files.name}/${MANIFEST}`;
  const found = new Map<string, Window>();
  for (const row of await readRows(bytes, where)) {
    const window = windowOf(row);
    if (window) found.set(`${window.zone} ${window.row} ${window.col} ${window.height} ${window.width}`, window);
  }
  return [...found.values()].map(boxOf);
}

async function readRows(bytes: Uint8Array<ArrayBuffer>, where: string): Promise<Record<string, unknown>[]> {
  const [{ parquetMetadata, parquetReadObjects }, { decompress }] = await Promise.all([
    import("hyparquet"),
    import("fzstd"),
  ]);
  try {
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const metadata = parquetMetadata(file);
    if (Number(metadata.num_rows) > MOST_ROWS) {
      throw new PageError("refused", `${where} has more than ${MOST_ROWS} rows`);
    }
    const compressors = { ZSTD: unpackPage(decompress, where) };
    return await parquetReadObjects({ file, metadata, columns: COLUMNS, compressors, utf8: false });
  } catch (error) {
    if (error instanceof PageError) throw error;
    throw new PageError("corrupt", `${where} cannot be read`, { cause: error });
  }
}

function unpackPage(decompress: (data: Uint8Array, out?: Uint8Array) => Uint8Array, where: string) {
  return (input: Uint8Array, size: number): Uint8Array => {
    if (size > MOST_PAGE || zstdLength(input) !== size) {
      throw new PageError("refused", `${where} has a page that claims ${size} bytes`);
    }
    return decompress(input, new Uint8Array(size));
  };
}

function windowOf(row: Record<string, unknown>): Window | undefined {
  const [zone, west, north, size] = ["zone", "west", "north", "size"].map((name) => Number(row[name]));
  if (zone === undefined || west === undefined || north === undefined || size === undefined) return undefined;
  const [top, left] = [NORTH - north, west - WEST];
  const isSound = [zone, top, left, size].every(Number.isInteger) && zone >= 1 && zone <= 60 && size >= 1;
  if (!isSound || top < 0 || left < 0 || top + size > ROWS || left + size > COLS) return undefined;
  return writtenPart({ zone, row: top, col: left, height: size, width: size }, row["chunks"]);
}

/** The smallest rectangle of a cell that holds its written chunks: a bitmap of 32 x 32 parts of the cell. */
function writtenPart(cell: Window, bitmap: unknown): Window | undefined {
  if (!(bitmap instanceof Uint8Array)) return cell;
  const side = Math.sqrt(bitmap.length * 8);
  if (!Number.isInteger(side) || cell.height % side) return cell;
  let [top, left, bottom, right] = [side, side, -1, -1];
  for (let k = 0; k < side * side; k++) {
    if ((((bitmap[k >> 3] ?? 0) >> (7 - (k & 7))) & 1) === 0) continue;
    [top, bottom] = [Math.min(top, Math.floor(k / side)), Math.max(bottom, Math.floor(k / side))];
    [left, right] = [Math.min(left, k % side), Math.max(right, k % side)];
  }
  if (bottom < 0) return undefined;
  const step = cell.height / side;
  return {
    zone: cell.zone,
    row: cell.row + top * step,
    col: cell.col + left * step,
    height: (bottom + 1 - top) * step,
    width: (right + 1 - left) * step,
  };
}
