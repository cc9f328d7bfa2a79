// With TESSERA_PAGE_IN, the zipped shapefiles in that folder are read and what was found is left in TESSERA_PAGE_OUT for tests/page/test_page_formats.py.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { zipSync } from "fflate";

import { readTable } from "../../src/formats";

/** A shapefile of points with one text column. */
function shapefile(type = 1): Record<string, Uint8Array> {
  const shp = new Uint8Array(128);
  const view = new DataView(shp.buffer);
  view.setInt32(0, 9994);
  view.setInt32(100, 1);
  view.setInt32(104, 10);
  view.setInt32(108, type, true);
  view.setFloat64(112, 5.5, true);
  view.setFloat64(120, 50.5, true);
  const dbf = new Uint8Array(32 + 32 + 1 + 6);
  const table = new DataView(dbf.buffer);
  table.setUint32(4, 1, true);
  table.setUint16(8, 65, true);
  table.setUint16(10, 6, true);
  dbf.set(new TextEncoder().encode("kind"), 32);
  dbf[43] = 67;
  dbf[48] = 5;
  dbf[64] = 13;
  dbf.set(new TextEncoder().encode(" wood "), 65);
  return {
    "a.shp": shp,
    "a.dbf": dbf,
    "a.prj": new TextEncoder().encode('GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984"]]'),
  };
}

const file = (members: Record<string, Uint8Array>) => new File([new Uint8Array(zipSync(members))], "a.zip");

describe("shapefiles", () => {
  it("give places and values", async () => {
    const table = await readTable(file(shapefile()));
    expect(table.rows).toEqual([{ shapes: [{ kind: "point", at: [5.5, 50.5] }], values: { kind: "wood" } }]);
  });

  it("say what they lack, and are refused where they are damaged", async () => {
    const { "a.prj": _prj, ...rest } = shapefile();
    expect((await readTable(file(rest))).notes).toEqual(["no .prj: its coordinates are taken for degrees"]);
    const { "a.dbf": _dbf, ...none } = shapefile();
    await expect(readTable(file(none))).rejects.toThrow(/lacks a .dbf/);
    await expect(
      readTable(file({ ...rest, "a.prj": new TextEncoder().encode('PROJCS["CH1903+ / LV95"]') })),
    ).rejects.toThrow(/LV95; expected degrees/);
    await expect(readTable(file(shapefile(31)))).rejects.toThrow(/type 31/);
    for (const length of [0, 50, 110, 120]) {
      await expect(
        readTable(file({ ...shapefile(), "a.shp": (shapefile()["a.shp"] ?? new Uint8Array()).slice(0, length) })),
      ).rejects.toThrow(/damaged|0 shapes/);
    }
  });

  it("of others are read as Python reads them", async () => {
    const [from, out] = [process.env["TESSERA_PAGE_IN"], process.env["TESSERA_PAGE_OUT"]];
    if (!from || !out) return;
    const found: Record<string, unknown> = {};
    for (const name of readdirSync(from))
      found[name] = await readTable(new File([new Uint8Array(readFileSync(join(from, name)))], name));
    writeFileSync(join(out, "found.json"), JSON.stringify(found));
  });
});
