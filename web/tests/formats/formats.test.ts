import fc from "fast-check";
import { strToU8, zipSync } from "fflate";
import { describe, expect, it } from "vitest";

import { adopt, candidates, className, labelsToGeoJson, labelsToRows, readTable, type Table } from "../../src/formats";
import { NOTHING } from "../../src/labels";
import { fromLonLat } from "../../src/geo";

function file(name: string, content: string | Uint8Array): File {
  const bytes = typeof content === "string" ? strToU8(content) : content;
  return new File([new Uint8Array(bytes)], name);
}

const point = (lon: number, lat: number, properties: unknown = {}) => ({
  type: "Feature",
  geometry: { type: "Point", coordinates: [lon, lat] },
  properties,
});
const collection = (...features: unknown[]) => JSON.stringify({ type: "FeatureCollection", features });

describe("GeoJSON", () => {
  it("gives points, polygons with holes, parts and columns", async () => {
    const square = (a: number, b: number) => [
      [a, a],
      [b, a],
      [b, b],
      [a, b],
      [a, a],
    ];
    const table = await readTable(
      file(
        "a.geojson",
        collection(
          point(5, 50, { class: "wood", n: 1, deep: { x: 1 } }),
          {
            type: "Feature",
            geometry: { type: "Polygon", coordinates: [square(0, 9), square(2, 3)] },
            properties: { class: "field" },
          },
          {
            type: "Feature",
            geometry: { type: "MultiPolygon", coordinates: [[square(0, 1)], [square(4, 5)]] },
            properties: null,
          },
          {
            type: "Feature",
            geometry: {
              type: "LineString",
              coordinates: [
                [0, 0],
                [1, 1],
              ],
            },
            properties: {},
          },
          { type: "Feature", geometry: null, properties: {} },
        ),
      ),
    );
    expect(table.columns).toEqual(["class", "n"]);
    expect(table.rows.map(({ shapes }) => shapes.map(({ kind }) => kind))).toEqual([
      ["point"],
      ["polygon"],
      ["polygon", "polygon"],
    ]);
    expect(table.notes).toEqual(["1 lines left out", "1 features without a geometry left out"]);
  });

  it("in UTM by its old crs member is turned into degrees", async () => {
    const [x, y] = fromLonLat(5.1, 50.2, 31);
    const crs = { type: "name", properties: { name: "urn:ogc:def:crs:EPSG::32631" } };
    const table = await readTable(
      file("a.json", JSON.stringify({ type: "FeatureCollection", crs, features: [point(x, y)] })),
    );
    const shape = table.rows[0]?.shapes[0];
    expect(shape?.kind === "point" && shape.at[0]).toBeCloseTo(5.1, 7);
  });

  it.each([
    ["metres", collection(point(657920, 5619200)), /as if it were in metres/],
    ["exchanged axes", collection(point(50, 120)), /exchanged/],
    ["text", "{]", /not valid JSON/],
    ["another object", '{"a":1}', /expected a FeatureCollection/],
    [
      "another crs",
      JSON.stringify({
        type: "FeatureCollection",
        features: [],
        crs: { type: "name", properties: { name: "EPSG:2056" } },
      }),
      /EPSG:2056; .*Save it in EPSG:4326/,
    ],
    [
      "no numbers",
      collection({ type: "Feature", geometry: { type: "Point", coordinates: ["a", 1] } }),
      /no pair of numbers/,
    ],
    ["NaN by overflow", collection(point(1e999, 5)), /no pair of numbers|no number/],
  ])("with %s is refused in words", async (_, content, expected) => {
    await expect(readTable(file("a.geojson", content))).rejects.toThrow(expected);
  });

  it("with more places than a page takes is refused", async () => {
    const many = Array.from(
      { length: 200_001 },
      () => '{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]}}',
    );
    await expect(
      readTable(file("a.geojson", `{"type":"FeatureCollection","features":[${many.join(",")}]}`)),
    ).rejects.toThrow(/200,000 places/);
  });
});

describe("CSV", () => {
  it("reads lon and lat, quotes, a byte order mark, other separators", async () => {
    const table = await readTable(file("a.csv", '\ufefflat;lon;class;note\r\n50;5;"a ""b""; c";\r\n51;6;x;NA\r\n'));
    expect(table.rows.map(({ values }) => values["class"])).toEqual(['a "b"; c', "x"]);
    expect(table.columns).toEqual(["class", "note"]);
    expect(table.rows[1]?.values["note"]).toBeNull();
    expect(table.rows[0]?.shapes).toEqual([{ kind: "point", at: [5, 50] }]);
  });

  it("reads x and y of a named system", async () => {
    const [x, y] = fromLonLat(-5.1, -30.2, 30);
    const table = await readTable(file("a.csv", `x,y,epsg,c\n${x},${y + 1e7},32730,a\n`));
    const shape = table.rows[0]?.shapes[0];
    expect(shape?.kind === "point" && shape.at[1]).toBeCloseTo(-30.2, 7);
  });

  it.each([
    ["no place", "a,b\n1,2\n", /expected columns lon and lat/],
    ["x and y alone", "x,y\n1,2\n", /expected a column "epsg"/],
    ["a short line", "lon,lat,c\n1,2\n", /line 2, has 2 fields; the header has 3/],
    ["an open quote", 'lon,lat,c\n1,2,"a\n', /does not close/],
    ["a text for a place", "lon,lat\neast,2\n", /no number for its place/],
    ["nothing", "", /is empty/],
    ["a column twice", "lon,lat,c,c\n1,2,3,4\n", /twice/],
  ])("with %s is refused in words", async (_, content, expected) => {
    await expect(readTable(file("a.csv", content))).rejects.toThrow(expected);
  });

  it("reads back what is written", async () => {
    const text = fc
      .string({ unit: "grapheme", maxLength: 12 })
      .filter((each) => each.trim() === each && className(each) === each && !/^(na|nan|null|none|#n\/a)$/i.test(each));
    const quote = (each: string) => `"${each.replaceAll('"', '""')}"`;
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (names) => {
        const table = await readTable(
          file("a.csv", `lon,lat,c\n${names.map((each) => `1,2,${quote(each)}\n`).join("")}`),
        );
        expect(table.rows.map(({ values }) => values["c"])).toEqual(names);
      }),
    );
  });
});

describe("archives", () => {
  it("with two files of labels, a bomb or garbage are refused", async () => {
    const csv = strToU8("lon,lat\n1,2\n");
    await expect(readTable(file("a.zip", zipSync({ "a.csv": csv, "b.csv": csv })))).rejects.toThrow(
      /2 files of labels/,
    );
    await expect(readTable(file("a.zip", zipSync({ "a.csv": new Uint8Array(80 * 1024 ** 2) })))).rejects.toThrow(
      /unpacks to more/,
    );
    await expect(readTable(file("a.zip", Uint8Array.of(0x50, 0x4b, 3, 4, 9, 9, 9)))).rejects.toThrow(/zip archive/);
    expect((await readTable(file("a.zip", zipSync({ "x/a.csv": csv, "__MACOSX/a.csv": csv })))).rows.length).toBe(1);
  });

  it("are asked for where only a part is given", async () => {
    await expect(readTable(file("a.shp", "x"))).rejects.toThrow(/zip .shp, .dbf and .prj together/);
    await expect(readTable(file("a.gpkg", "x"))).rejects.toThrow(/Export it as GeoJSON/);
    await expect(readTable(file("a.docx", "x"))).rejects.toThrow(/no known kind/);
  });
});

describe("columns", () => {
  const table: Table = {
    name: "t",
    columns: ["id", "Class", "same"],
    rows: ["a", "b", "a", null].map((value, i) => ({
      shapes: [{ kind: "point", at: [i, i] }],
      values: { id: i, Class: value, same: 1 },
    })),
    notes: ["1 lines left out"],
  };

  it("are offered by how likely they hold classes", () => {
    expect(candidates(table).map(({ column }) => column)).toEqual(["Class", "same", "id"]);
    expect(candidates(table)[0]).toEqual({ column: "Class", classes: ["a", "b"], missing: 1 });
  });

  it("write 1, 1.0 and '1' alike", () => {
    expect([1, "1", "1.0", "01", true, NaN, "", null].map(className)).toEqual([
      "1",
      "1",
      "1",
      "01",
      "true",
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("become labels, one group a place, and known classes are used again", () => {
    const first = adopt(NOTHING, table, "Class", "s");
    expect(first.added).toBe(3);
    expect(first.notes).toEqual(["1 lines left out", '1 places without a class in "Class" left out']);
    const again = adopt(first.labels, table, "Class", "t");
    expect(again.labels.classes.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(new Set(again.labels.labels.map(({ group }) => group)).size).toBe(6);
  });
});

describe("labels out", () => {
  const { labels } = adopt(
    NOTHING,
    {
      name: "t",
      columns: ["c"],
      rows: [
        {
          shapes: [
            {
              kind: "polygon",
              rings: [
                [
                  [5.001, 50.002],
                  [5.009, 50.002],
                  [5.009, 50.008],
                  [5.001, 50.002],
                ],
              ],
            },
          ],
          values: { c: "<b>x</b>" },
        },
        { shapes: [{ kind: "point", at: [5.12345678901, 50.1] }], values: { c: "y" } },
      ],
      notes: [],
    },
    "c",
    "s",
  );

  it("keep their places, or not, as is wanted", () => {
    const of = (places: "exact" | "coarse" | "none") => JSON.parse(labelsToGeoJson(labels, places)).features;
    expect(of("exact")[0].geometry.type).toBe("Polygon");
    expect(of("coarse")[0].geometry).toEqual({ type: "Point", coordinates: [5.01, 50] });
    expect(of("none")[1].geometry).toBeNull();
    expect(labelsToRows(labels)[1]).toEqual([5.1234568, 50.1, "y"]);
    expect(labelsToRows(labels, "none")[1]).toEqual([null, null, "y"]);
  });

  it("come back as they were", async () => {
    const back = await readTable(file("b.geojson", labelsToGeoJson(labels)));
    expect(adopt(NOTHING, back, "class", "u").labels.labels.map(({ shape }) => shape)[0]).toEqual(
      labels.labels[0]?.shape,
    );
  });
});
