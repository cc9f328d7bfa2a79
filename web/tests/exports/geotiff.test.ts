// With TESSERA_PAGE_OUT, the files are left there for tests/page/test_page_files.py, which opens them with rasterio.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";

import { classMap, geoJson, polygonsOf, valuesOf, writeGeoTiff, type Saved } from "../../src/exports";
import type { Head } from "../../src/heads";

const head: Head = {
  head: "linear",
  kind: "classification",
  classes: ["wood & <meadow>", 'say "hi"', "Äcker 耕地"],
  values: [0, 3, 7],
  colours: ["#112233", "#ff8000", "#00ff80"],
  column: "class",
  inputs: [
    { year: 2023, dims: 8, model: { name: "nano", sha256: "ab".repeat(32), dims: 8, prefix_dims: [8] }, store: "s" },
  ],
  arrays: {},
  rest: {},
};
const window = { zone: 31, row: 377_000, col: 50_000, height: 600, width: 37 };
const index = Uint8Array.from({ length: 600 * 37 }, (_, i) => [0, 1, 2, 255][(i * 7 + Math.floor(i / 91)) % 4] ?? 255);
const scores = Float32Array.from({ length: 600 * 37 }, (_, i) => (i % 5 === 0 ? NaN : i / 1000));

function keep(files: readonly Saved[]): void {
  const out = process.env["TESSERA_PAGE_OUT"];
  if (!out) return;
  mkdirSync(out, { recursive: true });
  for (const { name, bytes } of files) writeFileSync(join(out, name), bytes);
}

/** Values of a tag of a little-endian TIFF. */
function tag(bytes: Uint8Array, wanted: number): number[] {
  const view = new DataView(bytes.buffer);
  const directory = view.getUint32(4, true);
  for (let i = 0; i < view.getUint16(directory, true); i++) {
    const at = directory + 2 + 12 * i;
    if (view.getUint16(at, true) !== wanted) continue;
    const [type, count] = [view.getUint16(at + 2, true), view.getUint32(at + 4, true)];
    const size = { 2: 1, 3: 2, 4: 4, 12: 8 }[type] ?? 1;
    const from = size * count <= 4 ? at + 8 : view.getUint32(at + 8, true);
    return Array.from({ length: count }, (_, j) =>
      type === 3
        ? view.getUint16(from + 2 * j, true)
        : type === 4
          ? view.getUint32(from + 4 * j, true)
          : type === 12
            ? view.getFloat64(from + 8 * j, true)
            : view.getUint8(from + j),
    );
  }
  return [];
}

describe("GeoTIFF", () => {
  it("holds the map's values, strip by strip", async () => {
    const values = valuesOf(index, head.values);
    const files = await classMap("map", { window, values }, head);
    keep(files);
    const bytes = files[0]?.bytes ?? new Uint8Array();
    const [offsets, counts] = [tag(bytes, 273), tag(bytes, 279)];
    const found = offsets.flatMap((offset, i) => [...inflateSync(bytes.subarray(offset, offset + (counts[i] ?? 0)))]);
    expect(Uint8Array.from(found)).toEqual(values);
    expect([tag(bytes, 256), tag(bytes, 257), tag(bytes, 262)]).toEqual([[37], [600], [3]]);
    expect(tag(bytes, 33922).slice(3, 5)).toEqual([(15 * 1024 + 50_000) * 10, (912 * 1024 - 377_000) * 10]);
    expect(tag(bytes, 34735).slice(-1)).toEqual([32631]);
    keep([{ name: "index.bin", bytes: values }]);
    keep([
      {
        name: "map.geojson",
        bytes: new TextEncoder().encode(
          geoJson(polygonsOf(values, window, new Map(head.values.map((v, i) => [v, head.classes[i] ?? ""])))),
        ),
      },
    ]);
  });

  it("holds numbers", async () => {
    const bytes = await writeGeoTiff({ window, values: scores }, { nodata: "nan", description: "similarity" });
    keep([{ name: "scores.tif", bytes }]);
    expect(tag(bytes, 258)).toEqual([32]);
    expect(tag(bytes, 339)).toEqual([3]);
  });

  it("ends when it is cancelled", async () => {
    await expect(
      writeGeoTiff({ window, values: scores }, { nodata: "nan", description: "" }, { signal: AbortSignal.abort() }),
    ).rejects.toThrow();
  });
});
