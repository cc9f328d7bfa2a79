import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { painted, traced } from "../../src/session/brush";

const place = fc.tuple(fc.double({ min: -30, max: 30, noNaN: true }), fc.double({ min: -30, max: 30, noNaN: true }));

describe("a brush", () => {
  it("paints each pixel whose centre it meets", () => {
    const { mask, width, row, col } = painted([[0.5, 0.5]], 1.2);
    const at = (i: number, j: number) => mask[(j - row) * width + i - col] ?? 0;
    expect([at(0, 0), at(1, 0), at(0, 1), at(-1, 0), at(1, 1), at(2, 0)]).toEqual([1, 1, 1, 1, 0, 0]);
  });

  it("has outlines whose area is that of its pixels, in one piece", () => {
    fc.assert(
      fc.property(
        fc.array(place, { minLength: 1, maxLength: 8 }),
        fc.double({ min: 0.1, max: 6, noNaN: true }),
        (path, radius) => {
          const { mask, width } = painted(path, radius);
          const rings = traced(mask, width);
          const area = rings.map((ring) =>
            ring.reduce((sum, [x, y], index) => {
              const [a, b] = ring[(index + 1) % ring.length] ?? [x, y];
              return sum + (x * b - a * y) / 2;
            }, 0),
          );
          expect(area.reduce((a, b) => a + b, 0)).toBeCloseTo(
            mask.reduce((a, b) => a + b, 0),
            6,
          );
          if (radius >= 1) expect(area.filter((each) => each > 0).length).toBe(1);
          for (const ring of rings) expect(ring.length).toBeGreaterThanOrEqual(4);
        },
      ),
    );
  });

  it("refuses a stroke over a country", () => {
    expect(() =>
      painted(
        [
          [0, 0],
          [90_000, 90_000],
        ],
        2,
      ),
    ).toThrow("shorter");
  });
});
