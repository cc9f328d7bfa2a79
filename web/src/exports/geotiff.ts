import type { Running } from "../base";
import { boundsOf, PIXEL_SIZE, type Window } from "../geo";
import { deflate } from "./deflate";
import type { Mosaic } from "./mosaic";

const STRIP = 256; // rows that are compressed together
const [ASCII, SHORT, LONG, DOUBLE] = [2, 3, 4, 12];

/** What a file says beside its pixels. */
export interface About {
  /** "#rrggbb" by value, for maps of classes. */
  readonly colours?: ReadonlyMap<number, string>;
  /** Names and texts that GDAL shows as tags. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly nodata: string; // "255", "nan"
  readonly description: string; // of the band
}

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly values: readonly number[] | Uint8Array;
}

/**
 * A GeoTIFF of one band in the zone's UTM: deflate, strips of 256 rows, colour table, GDAL's nodata and tags. Tags are
 * those of TIFF 6.0 and OGC GeoTIFF 1.1.
 */
export async function writeGeoTiff(
  mosaic: Mosaic<Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>>,
  about: About,
  running: Running = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { window, values } = mosaic;
  const isFloat = values instanceof Float32Array;
  const strips: Uint8Array<ArrayBuffer>[] = [];
  for (let row = 0; row < window.height; row += STRIP) {
    running.signal?.throwIfAborted();
    const part = values.slice(row * window.width, Math.min(row + STRIP, window.height) * window.width);
    strips.push(await deflate(new Uint8Array(part.buffer)));
    running.progress?.(Math.min(row + STRIP, window.height), window.height, "rows");
  }
  const offsets: number[] = [];
  let end = 8;
  for (const strip of strips) {
    offsets.push(end);
    end += strip.length + (strip.length % 2);
  }
  const entries: Entry[] = [
    { tag: 256, type: LONG, values: [window.width] },
    { tag: 257, type: LONG, values: [window.height] },
    { tag: 258, type: SHORT, values: [isFloat ? 32 : 8] },
    { tag: 259, type: SHORT, values: [8] }, // Adobe deflate
    { tag: 262, type: SHORT, values: [about.colours ? 3 : 1] }, // palette, or black is zero
    { tag: 273, type: LONG, values: offsets },
    { tag: 277, type: SHORT, values: [1] },
    { tag: 278, type: LONG, values: [STRIP] },
    { tag: 279, type: LONG, values: strips.map((strip) => strip.length) },
    ...(about.colours ? [{ tag: 320, type: SHORT, values: palette(about.colours) }] : []),
    { tag: 339, type: SHORT, values: [isFloat ? 3 : 1] },
    { tag: 33550, type: DOUBLE, values: [PIXEL_SIZE, PIXEL_SIZE, 0] },
    { tag: 33922, type: DOUBLE, values: [0, 0, 0, boundsOf(window)[0], boundsOf(window)[3], 0] },
    { tag: 34735, type: SHORT, values: geoKeys(window) },
    { tag: 42112, type: ASCII, values: text(metadata(about)) },
    { tag: 42113, type: ASCII, values: text(about.nodata) },
  ];
  return assemble(strips, end, entries);
}

/** EPSG:32631 and so on: one northern CRS a zone, northings below 0 in the south. */
function geoKeys({ zone }: Window): number[] {
  const keys = [
    [1024, 0, 1, 1], // projected
    [1025, 0, 1, 1], // a pixel is an area
    [3072, 0, 1, 32600 + zone],
  ];
  return [1, 1, 0, keys.length, ...keys.flat()];
}

function palette(colours: ReadonlyMap<number, string>): number[] {
  const table = new Array<number>(768).fill(0);
  for (const [value, colour] of colours) {
    for (let part = 0; part < 3; part++) {
      table[part * 256 + value] = parseInt(colour.slice(1 + 2 * part, 3 + 2 * part), 16) * 257;
    }
  }
  return table;
}

function metadata(about: About): string {
  // GDAL's driver escapes values twice, and takes both away again when it reads
  const items = Object.entries(about.tags ?? {}).map(
    ([name, value]) => `<Item name="${xml(name)}">${xml(xml(value))}</Item>`,
  );
  items.push(`<Item name="DESCRIPTION" sample="0" role="description">${xml(xml(about.description))}</Item>`);
  return `<GDALMetadata>${items.join("")}</GDALMetadata>`;
}

/** Text as XML holds it; what XML cannot hold is dropped. */
export function xml(value: string): string {
  const kept = [...value].filter((each) => each >= " " || "\t\n".includes(each)).join("");
  return kept.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}

const SIZES: Readonly<Record<number, number>> = { [ASCII]: 1, [SHORT]: 2, [LONG]: 4, [DOUBLE]: 8 };

function assemble(
  strips: readonly Uint8Array[],
  directory: number,
  entries: readonly Entry[],
): Uint8Array<ArrayBuffer> {
  const size = (entry: Entry) => entry.values.length * (SIZES[entry.type] ?? 1);
  const tail = entries.map((entry) => (size(entry) > 4 ? size(entry) + (size(entry) % 2) : 0));
  const start = directory + 2 + 12 * entries.length + 4;
  const bytes = new Uint8Array(start + tail.reduce((sum, each) => sum + each, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x49, 0x49, 42, 0]); // little-endian
  view.setUint32(4, directory, true);
  let at = 8;
  for (const strip of strips) {
    bytes.set(strip, at);
    at += strip.length + (strip.length % 2);
  }
  view.setUint16(directory, entries.length, true);
  let free = start;
  entries.forEach((entry, i) => {
    const place = directory + 2 + 12 * i;
    view.setUint16(place, entry.tag, true);
    view.setUint16(place + 2, entry.type, true);
    view.setUint32(place + 4, entry.values.length, true);
    const isInside = size(entry) <= 4;
    if (!isInside) view.setUint32(place + 8, free, true);
    put(view, isInside ? place + 8 : free, entry);
    free += tail[i] ?? 0;
  });
  return bytes;
}

function put(view: DataView, at: number, { type, values }: Entry): void {
  values.forEach((value, i) => {
    if (type === SHORT) view.setUint16(at + 2 * i, value, true);
    else if (type === LONG) view.setUint32(at + 4 * i, value, true);
    else if (type === DOUBLE) view.setFloat64(at + 8 * i, value, true);
    else view.setUint8(at + i, value);
  });
}
