import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { bytesOf, hectares, meet, sameArea } from "../../src/session/areas";
import cities from "../../src/session/cities.json";
import { hotkey } from "../../src/session/hotkeys";
import { addTiles, changeLayer, countAbove, moveLayer, putLayer, valueAt, type Layers } from "../../src/session/layers";
import { matching, parseCoordinates, type Place } from "../../src/session/places";
import type { RasterLayer } from "../../src/map";

const press = (key: string, extra: object = {}) =>
  hotkey({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...extra });

describe("keys", () => {
  it("choose classes, undo and redo", () => {
    expect(press("3")).toEqual({ does: "class", index: 2 });
    expect(press("u")).toEqual({ does: "undo" });
    expect(press("z", { ctrlKey: true })).toEqual({ does: "undo" });
    expect(press("Z", { ctrlKey: true, shiftKey: true })).toEqual({ does: "redo" });
    expect(press("z", { metaKey: true })).toEqual({ does: "undo" });
    expect(press("¡", { altKey: true, code: "Digit1" })).toEqual({ does: "panel", index: 0 });
    expect(press("?", { shiftKey: true })).toEqual({ does: "keys" });
  });

  it("leave the browser's own alone", () => {
    for (const key of ["c", "v", "r", "1"]) expect(press(key, { ctrlKey: true })).toBeUndefined();
    expect(press("Tab")).toBeUndefined();
  });
});

describe("areas", () => {
  it("have the hectares of the sphere", () => {
    const box = { kind: "box", box: [5, 50, 5.1, 50.1] } as const;
    const ring = {
      kind: "polygons",
      polygons: [
        [
          [
            [5, 50],
            [5.1, 50],
            [5.1, 50.1],
            [5, 50.1],
            [5, 50],
          ],
        ],
      ],
    } as const;
    expect(hectares(box)).toBeCloseTo(7940, -2);
    expect(hectares(ring) / hectares(box)).toBeCloseTo(1, 5);
    expect(bytesOf(box, 128)).toBeCloseTo(hectares(box) * 100 * 132, 0);
    expect(sameArea(box, { kind: "box", box: [5, 50, 5.1, 50.1] })).toBe(true);
    expect(meet([0, 0, 2, 2], [1, 1, 3, 3])).toEqual([1, 1, 2, 2]);
    expect(meet([0, 0, 1, 1], [2, 2, 3, 3])).toBeUndefined();
  });
});

describe("layers", () => {
  const layer = (id: string): RasterLayer => ({
    id,
    title: id,
    paint: { kind: "rgba" },
    tiles: [],
    visible: true,
    opacity: 1,
    side: "both",
  });

  it("keep what the user set when their pixels are new", () => {
    let layers: Layers = putLayer(putLayer([], layer("a")), layer("b"));
    layers = changeLayer(layers, "a", { visible: false, opacity: 0.3 });
    layers = putLayer(layers, { ...layer("a"), title: "new" });
    expect(layers.map((each) => [each.id, each.title, each.visible, each.opacity])).toEqual([
      ["a", "new", false, 0.3],
      ["b", "b", true, 1],
    ]);
    expect(moveLayer(layers, "a", 1).map((each) => each.id)).toEqual(["b", "a"]);
    expect(moveLayer(layers, "b", 1)).toBe(layers);
  });

  it("tell the value of a pixel and count those above a threshold", () => {
    const tile = {
      window: { zone: 31, row: 10, col: 20, height: 2, width: 2 },
      step: 1,
      data: new Float32Array([0.1, 0.9, NaN, 0.5]),
    };
    const layers = addTiles([layer("s")], "s", [tile]);
    const first = layers[0];
    expect(first && valueAt(first, { zone: 31, row: 11, col: 21 })).toEqual([0.5]);
    expect(first && valueAt(first, { zone: 32, row: 11, col: 21 })).toBeUndefined();
    expect(countAbove(first, 0.5)).toBe(2);
  });
});

describe("places", () => {
  it("reads coordinates as people write them, latitude first", () => {
    for (const text of [
      "50.7, 5.25",
      "50.7 5.25",
      "50.7N 5.25E",
      "5.25 E, 50.7 N",
      "50° 42' N 5° 15' E",
      `50°42'0"N, 5°15'0"E`,
    ]) {
      const [lon, lat] = parseCoordinates(text) ?? [];
      expect(lon, text).toBeCloseTo(5.25, 9);
      expect(lat, text).toBeCloseTo(50.7, 9);
    }
    expect(parseCoordinates("33.9 S, 18.4 E")).toEqual([18.4, -33.9]);
    for (const text of ["Paris", "50.7", "95, 5", "1 2 3", "", "50.7, 5.25 x"])
      expect(parseCoordinates(text)).toBeUndefined();
  });

  it("are found by any word of their name, without accents", () => {
    const place = (name: string): Place => ({ name, what: "city", at: [0, 0] });
    const all = ["São Paulo", "Port Moresby", "Porto", "La Paz"].map(place);
    const names = (text: string) => matching(all, text).map((each) => each.name);
    expect(names("sao")).toEqual(["São Paulo"]);
    expect(names("port")).toEqual(["Porto", "Port Moresby"]);
    expect(names("paz")).toEqual(["La Paz"]);
    expect(names("  ")).toEqual([]);
  });

  it("lie on land: each city within 40 km of it", async () => {
    const { feature } = await import("topojson-client");
    const world = JSON.parse(readFileSync("node_modules/world-atlas/land-50m.json", "utf8"));
    const land = feature(world, world.objects.land) as unknown as GeoJSON.FeatureCollection<GeoJSON.MultiPolygon>;
    const rings = land.features.flatMap((each) => each.geometry.coordinates.map((polygon) => polygon[0] ?? []));
    const inside = (lon: number, lat: number) =>
      rings.some((ring) => {
        let is = false;
        ring.forEach(([x = 0, y = 0], index) => {
          const [a = 0, b = 0] = ring[(index + 1) % ring.length] ?? [];
          if (y > lat !== b > lat && lon < ((a - x) * (lat - y)) / (b - y) + x) is = !is;
        });
        return is;
      });
    const near = (lon: number, lat: number) =>
      inside(lon, lat) ||
      [0.1, 0.35].some((far) =>
        [0, 45, 90, 135, 180, 225, 270, 315].some((angle) =>
          inside(lon + far * Math.cos(angle), lat + far * Math.sin(angle)),
        ),
      );
    expect(cities.filter(([, lon, lat]) => !near(Number(lon), Number(lat))).map(([name]) => name)).toEqual([]);
  });
});
