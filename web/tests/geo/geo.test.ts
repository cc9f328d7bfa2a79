import { readFileSync } from "node:fs";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  type Area,
  COLS,
  ROWS,
  type Window,
  type ZonePart,
  boxOf,
  cover,
  fromLonLat,
  inZone,
  lonLatOf,
  metresAt,
  partsOf,
  pixelAt,
  toLonLat,
  zoneOf,
} from "../../src/geo";

const fixture = <Value>(name: string): Value =>
  JSON.parse(readFileSync(join(import.meta.dirname, "../fixtures/geo", name), "utf8")) as Value;

type Row = [number, number, number, number, number];
interface Part {
  readonly window: Window;
  readonly inside: number;
  readonly mask: string;
}

const utm = fixture<{ forward: Row[]; inverse: Row[]; pixels: Row[] }>("utm.json");
const areas = fixture<{ area: Area; parts: Part[]; whole?: Part }[]>("areas.json");

describe("UTM", () => {
  it("equals PROJ within a millimetre, both ways", () => {
    for (const [lon, lat, zone, x, y] of utm.forward) {
      const [east, north] = fromLonLat(lon, lat, zone);
      expect(Math.hypot(east - x, north - y)).toBeLessThan(1e-6);
    }
    for (const [x, y, zone, lon, lat] of utm.inverse) {
      const [a, b] = toLonLat(x, y, zone);
      const turn = a - lon - 360 * Math.round((a - lon) / 360);
      expect(Math.hypot(turn * Math.cos((lat * Math.PI) / 180), b - lat) * 111e3).toBeLessThan(1e-3);
    }
  });

  it("goes there and back anywhere on the lattice", () => {
    const zone = fc.integer({ min: 1, max: 60 });
    const row = fc.double({ min: 0, max: ROWS, noNaN: true });
    const col = fc.double({ min: 0, max: COLS, noNaN: true });
    fc.assert(
      fc.property(zone, row, col, (number, r, c) => {
        const [x, y] = metresAt(r, c);
        const back = fromLonLat(...toLonLat(x, y, number), number);
        expect(Math.hypot(back[0] - x, back[1] - y)).toBeLessThan(1e-3);
      }),
    );
  });

  it("gives each point the pixel that Python gives it", () => {
    for (const [lon, lat, zone, row, col] of utm.pixels) {
      expect(pixelAt([lon, lat])).toEqual({ zone, row, col });
    }
  });

  it("knows the pixel whose centre it gives", () => {
    fc.assert(
      fc.property(fc.double({ min: -180, max: 180, noNaN: true }), fc.double({ min: -79, max: 83 }), (lon, lat) => {
        const pixel = pixelAt([lon, lat]);
        expect(pixelAt(lonLatOf(pixel), pixel.zone)).toEqual(pixel);
      }),
    );
  });

  it("gives 180 E to zone 60", () => {
    expect([zoneOf(-180), zoneOf(0), zoneOf(180)]).toEqual([1, 31, 60]);
  });
});

describe("areas", () => {
  const check = (part: ZonePart, expected: Part) => {
    expect(part.window).toEqual(expected.window);
    const mask = part.mask(part.window);
    const size = part.window.height * part.window.width;
    const bits = Buffer.from(expected.mask, "base64");
    let wrong = 0;
    for (let k = 0; k < size; k++) {
      if ((mask?.[k] ?? 1) !== (((bits[k >> 3] ?? 0) >> (k & 7)) & 1)) wrong++;
    }
    expect(wrong).toBe(0);
  };

  it.each(areas.map((entry, k) => [k, entry] as const))("%i has the windows and pixels of Python", (_, entry) => {
    const parts = partsOf(entry.area);
    expect(parts.map((part) => part.zone)).toEqual(entry.parts.map((part) => part.window.zone));
    parts.forEach((part, k) => {
      const expected = entry.parts[k];
      if (expected) check(part, expected);
    });
    if (entry.whole) check(inZone(entry.area, entry.whole.window.zone), entry.whole);
  });

  it.each(areas.map((entry, k) => [k, entry] as const))(
    "%i is covered by windows, each pixel once",
    (_, { area, parts }) => {
      const windows = cover(area, 64, () => [{ unit: 8, row: 0, col: 0 }]);
      for (const part of partsOf(area)) {
        const mine = windows.filter((window) => window.zone === part.zone);
        const inside = mine.reduce((sum, window) => {
          const mask = part.mask(window);
          const count = mask ? mask.reduce((all, each) => all + each, 0) : window.height * window.width;
          expect(count).toBeGreaterThan(0);
          return sum + count;
        }, 0);
        expect(inside).toBe(parts.find((each) => each.window.zone === part.zone)?.inside);
      }
      for (const { row, col, height, width } of windows) {
        expect([row % 8, col % 8, height % 8, width % 8]).toEqual([0, 0, 0, 0]);
        expect(Math.floor(row / 64)).toBe(Math.floor((row + height - 1) / 64));
        expect(Math.floor(col / 64)).toBe(Math.floor((col + width - 1) / 64));
      }
    },
  );

  it("are planned from the centre outwards", () => {
    const windows = cover({ kind: "box", box: [5, 50, 5.2, 50.1] }, 256, () => [{ unit: 32, row: 0, col: 0 }]);
    const centre = pixelAt([5.1, 50.05]);
    const away = windows.map(({ row, col, height, width }) =>
      Math.hypot(row + height / 2 - centre.row, col + width / 2 - centre.col),
    );
    // distances are those of centres in metres, so that zones compare; the pixel of the centre is rounded
    away.slice(1).forEach((value, k) => expect(value).toBeGreaterThan((away[k] ?? 0) - 2));
    expect(away[0]).toBeLessThan(182);
  });

  it.each([
    [{ kind: "box", box: [5, 51, 6, 50] }, "south is not below north"],
    [{ kind: "box", box: [5, 51, 5, 52] }, "west and east"],
    [{ kind: "box", box: [100, 1, -100, 2] }, "choose a smaller one"],
    [{ kind: "box", box: [10, 1, 9, 2] }, "west and east"],
    [{ kind: "box", box: [5, 85, 6, 86] }, "beyond UTM"],
    [{ kind: "box", box: [-180, -60, 180, 80] }, "choose a smaller one"],
    [{ kind: "polygons", polygons: [] }, "no polygon"],
    [{ kind: "polygons", polygons: [[[[5, 50], [6, NaN], [6, 51]]]] }, "expected longitude and latitude"], // prettier-ignore
  ] as [Area, string][])("%j is refused in words", (area, message) => {
    expect(() => cover(area, 256, () => [{ unit: 32, row: 0, col: 0 }])).toThrow(message);
  });

  it("have boxes that contain what they were made from", () => {
    const window = { zone: 60, row: 900_000, col: 66_000, height: 400, width: 3600 };
    const [west, south, east, north] = boxOf(window);
    expect(west).toBeLessThan(east);
    expect(south).toBeLessThan(north);
    expect(east).toBeGreaterThan(180);
  });
});
