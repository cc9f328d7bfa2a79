import type { Running } from "../base";
import type { Head } from "../heads";
import { writeGeoTiff, xml } from "./geotiff";
import type { Mosaic } from "./mosaic";

const NO_DATA = 255;

/** A file to save: its name and its bytes. */
export interface Saved {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What `Head.map` of Python writes: the GeoTIFF, and beside it the names of its classes for GDAL and QGIS. */
export async function classMap(
  name: string,
  mosaic: Mosaic<Uint8Array<ArrayBuffer>>,
  head: Head,
  running: Running = {},
): Promise<readonly Saved[]> {
  const colours = new Map(head.values.map((value, i) => [value, head.colours[i] ?? "#808080"]));
  const input = head.inputs[0];
  const tags: Record<string, string> = {
    TESSERA_CLASSES: JSON.stringify(head.classes),
    TESSERA_VALUES: JSON.stringify(head.values),
    ...(input ? { TESSERA_MODEL: input.model.name, TESSERA_MODEL_SHA256: input.model.sha256 } : {}),
    ...(input?.year != null ? { TESSERA_YEAR: String(input.year) } : {}),
    AREA_OR_POINT: "Area",
  };
  const bytes = await writeGeoTiff(mosaic, { colours, tags, nodata: String(NO_DATA), description: "class" }, running);
  return [
    { name: `${name}.tif`, bytes },
    { name: `${name}.tif.aux.xml`, bytes: new TextEncoder().encode(categories(head)) },
  ];
}

/** Names of values for GDAL: `Category` by position, so that gaps between values are empty names. */
function categories(head: Head): string {
  const names = new Array<string>(Math.max(-1, ...head.values) + 1).fill("");
  head.values.forEach((value, i) => (names[value] = head.classes[i] ?? ""));
  const inside = names.map((each) => `<Category>${xml(each)}</Category>`).join("");
  return `<PAMDataset><PAMRasterBand band="1"><CategoryNames>${inside}</CategoryNames></PAMRasterBand></PAMDataset>\n`;
}

/** Class indices to the values that a map has: 255 stays no data. */
export function valuesOf(classes: Uint8Array, values: readonly number[]): Uint8Array<ArrayBuffer> {
  const table = new Uint8Array(256).fill(NO_DATA);
  values.forEach((value, i) => (table[i] = value));
  return Uint8Array.from(classes, (index) => table[index] ?? NO_DATA);
}
