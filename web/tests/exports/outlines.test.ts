import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { csv, geoJson, joinClasses, patches, polygonsOf, toPolygon, type Patch } from "../../src/exports";
import { fromLonLat } from "../../src/geo";

function raster(rows: readonly string[]): { values: Uint8Array; height: number; width: number } {
  const width = rows[0]?.length ?? 0;
  return {
    values: Uint8Array.from(rows.join(""), (each) => (each === "." ? 255 : Number(each))),
    height: rows.length,
    width,
  };
}

/** Pixels whose centre lies in a patch's rings, by the even-odd rule. */
function painted(patch: Patch, height: number, width: number): Uint8Array {
  const out = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      let inside = false;
      for (const ring of patch.rings) {
        ring.forEach(([ay, ax], i) => {
          const [by, bx] = ring[(i + 1) % ring.length] ?? [0, 0];
          if (ay > row + 0.5 !== by > row + 0.5 && col + 0.5 < ((bx - ax) * (row + 0.5 - ay)) / (by - ay) + ax)
            inside = !inside;
        });
      }
      if (inside) out[row * width + col] = 1;
    }
  }
  return out;
}

describe("outlines", () => {
  it("of a ring have a hole, which another patch fills", () => {
    const { values, height, width } = raster(["000", "010", "000"]);
    const found = patches(values, height, width);
    expect(found.map(({ value, pixels, rings }) => [value, pixels, rings.length])).toEqual([
      [0, 8, 2],
      [1, 1, 1],
    ]);
    expect(new Set(found[0]?.rings[1]?.map(String))).toEqual(new Set(found[1]?.rings[0]?.map(String)));
  });

  it("part pixels that meet at a corner", () => {
    const { values, height, width } = raster(["0.", ".0"]);
    expect(patches(values, height, width).map(({ pixels }) => pixels)).toEqual([1, 1]);
  });

  it("have corners only where they turn", () => {
    const { values, height, width } = raster(["000", "000"]);
    expect(patches(values, height, width)[0]?.rings[0]?.length).toBe(4);
  });

  it("cover each pixel of any raster once", () => {
    const any = fc.integer({ min: 1, max: 9 }).chain((width) =>
      fc.array(fc.array(fc.constantFrom(0, 1, 2, 255), { minLength: width, maxLength: width }), {
        minLength: 1,
        maxLength: 9,
      }),
    );
    fc.assert(
      fc.property(any, (rows) => {
        const values = Uint8Array.from(rows.flat());
        const [height, width] = [rows.length, rows[0]?.length ?? 0];
        const seen = new Uint8Array(values.length).fill(255);
        for (const patch of patches(values, height, width)) {
          const inside = painted(patch, height, width);
          expect(inside.reduce((sum, each) => sum + each, 0)).toBe(patch.pixels);
          inside.forEach((each, i) => {
            if (each) {
              expect(seen[i]).toBe(255);
              seen[i] = patch.value;
            }
          });
        }
        expect(seen).toEqual(values);
      }),
      { numRuns: 300 },
    );
  });

  it("leave out small patches", () => {
    const { values, height, width } = raster(["0001", "0000"]);
    expect(patches(values, height, width, 255, 2).map(({ value }) => value)).toEqual([0]);
  });

  it("lie where the pixels are, the outer ring against the clock", () => {
    const window = { zone: 31, row: 400_000, col: 30_000, height: 1, width: 2 };
    const [patch] = patches(Uint8Array.of(3, 3), 1, 2);
    const ring = toPolygon(patch as Patch, window)[0] ?? [];
    const metres = ring.map(([lon, lat]) => fromLonLat(lon, lat, 31));
    const area = metres.reduce((sum, [x, y], i) => {
      const [nx, ny] = metres[(i + 1) % metres.length] ?? [0, 0];
      return sum + (x * ny - nx * y) / 2;
    }, 0);
    expect(area).toBeCloseTo(200, 3);
    expect(ring[0]).toEqual(ring.at(-1));
  });

  it("are features with hectares and names", () => {
    const window = { zone: 31, row: 400_000, col: 30_000, height: 2, width: 2 };
    const features = polygonsOf(Uint8Array.of(0, 0, 0, 255), window, new Map([[0, "<b>wood</b>"]]));
    expect(features[0]?.properties).toEqual({ class: "<b>wood</b>", value: 0, hectares: 0.03 });
    expect(JSON.parse(geoJson(features)).features.length).toBe(1);
    expect(JSON.parse(geoJson([])).features).toEqual([]);
  });
});

describe("parts", () => {
  it("are joined by zone, with gaps", () => {
    const tile = (zone: number, row: number, col: number, value: number) => ({
      window: { zone, row, col, height: 1, width: 2 },
      values: Uint8Array.of(value, value),
    });
    const [one, two] = joinClasses([tile(31, 5, 5, 1), tile(32, 0, 0, 9), tile(31, 6, 7, 2)], 255);
    expect(one?.window).toEqual({ zone: 31, row: 5, col: 5, height: 2, width: 4 });
    expect([...(one?.values ?? [])]).toEqual([1, 1, 255, 255, 255, 255, 2, 2]);
    expect([...(two?.values ?? [])]).toEqual([9, 9]);
  });

  it("that are too far apart are refused in words", () => {
    const tile = (row: number) => ({
      window: { zone: 31, row, col: row / 100, height: 1, width: 1 },
      values: Uint8Array.of(1),
    });
    expect(() => joinClasses([tile(0), tile(1_800_000)], 255)).toThrow(/choose a smaller area/);
  });
});

describe("csv", () => {
  it("quotes, and disarms formulas", () => {
    expect(
      csv(
        ["a", "b"],
        [
          ["x,y", 1.5],
          ['say "hi"', null],
          ["=cmd()", NaN],
          ["-1", -1],
        ],
      ),
    ).toBe('a,b\r\n"x,y",1.5\r\n"say ""hi""",\r\n\'=cmd(),\r\n\'-1,-1\r\n');
  });
});
