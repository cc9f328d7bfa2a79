import { PageError } from "../base";
import { readDelimited } from "./delimited";
import { readGeoJson } from "./geojson";
import { readShapefile } from "./shapefile";
import { MOST_BYTES, type Table } from "./types";
import { unpack } from "./zip";

const MEMBERS = ["shp", "dbf", "prj", "cpg"];

/** Read labels of a file that the user chose: GeoJSON, CSV, or a zip of a shapefile, a GeoJSON or a CSV. */
export async function readTable(file: Blob & { readonly name: string }): Promise<Table> {
  if (file.size > MOST_BYTES) {
    const mega = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
    throw new PageError(
      "refused",
      `${file.name} has ${mega(file.size)}; this page reads labels up to ${mega(MOST_BYTES)}. Use tessera in Python`,
    );
  }
  return readBytes(file.name, new Uint8Array(await file.arrayBuffer()));
}

async function readBytes(name: string, bytes: Uint8Array): Promise<Table> {
  const extension = extensionOf(name);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return readZip(name, bytes);
  if (extension === "geojson" || extension === "json") return readGeoJson(name, bytes);
  if (["csv", "tsv", "txt"].includes(extension)) return readDelimited(name, bytes);
  if (MEMBERS.includes(extension))
    throw new PageError("input", `${name} is a part of a shapefile; zip .shp, .dbf and .prj together`);
  if (extension === "gpkg")
    throw new PageError(
      "input",
      `${name} is a GeoPackage; this page reads GeoJSON, CSV and zipped shapefiles. Export it as GeoJSON`,
    );
  throw new PageError("input", `${name} is of no known kind; expected GeoJSON, CSV or a zipped shapefile`);
}

async function readZip(name: string, bytes: Uint8Array): Promise<Table> {
  const files = await unpack(name, bytes, (entry) => !entry.endsWith("/") && !/(^|\/)(__MACOSX|\.)/.test(entry));
  const names = [...files.keys()].sort();
  const shapes = names.filter((each) => extensionOf(each) === "shp");
  if (shapes.length > 1) throw new PageError("input", `${name} holds ${shapes.length} shapefiles; expected one`);
  const [shp] = shapes;
  if (shp !== undefined) {
    const stem = shp.slice(0, -4);
    const members = names
      .filter((each) => each.slice(0, -4) === stem)
      .map((each): [string, Uint8Array] => [extensionOf(each), files.get(each) ?? new Uint8Array()]);
    return readShapefile(name, new Map(members));
  }
  const others = names.filter((each) => ["geojson", "json", "csv"].includes(extensionOf(each)));
  const [only] = others;
  if (only === undefined || others.length > 1)
    throw new PageError(
      "input",
      `${name} holds ${others.length} files of labels; expected one shapefile, GeoJSON or CSV`,
    );
  return readBytes(only, files.get(only) ?? new Uint8Array());
}

function extensionOf(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
}
