import { describe, expect, it } from "vitest";

import type { LonLat } from "../../src/geo";
import { blank, draw, type Draft, type Move } from "../../src/map/drawing";
import { mapKey } from "../../src/map/keyboard";
import { mercator, meshOf, placed } from "../../src/map/tiles";
import type { DrawingTool, Drawn } from "../../src/map";

function run(tool: DrawingTool, moves: readonly Move[]): { draft: Draft; drawn: Drawn[] } {
  let draft = blank(tool);
  const drawn: Drawn[] = [];
  for (const move of moves) {
    const outcome = draw(draft, move);
    draft = outcome.draft;
    if (outcome.drawn) drawn.push(outcome.drawn);
  }
  return { draft, drawn };
}
const at = (lon: number, lat: number): { at: LonLat } => ({ at: [lon, lat] });

describe("drawing", () => {
  it("closes a polygon on its first corner, on its last one, and on Enter", () => {
    const corners: Move[] = [at(0, 0), at(1, 0), at(1, 1)].map((each) => ({ type: "click", ...each }));
    for (const end of [{ type: "click", ...at(0, 0) }, { type: "click", ...at(1, 1) }, { type: "finish" }] as const) {
      const { drawn, draft } = run("polygon", [...corners, end]);
      expect(drawn).toEqual([
        {
          kind: "polygon",
          box: false,
          rings: [
            [
              [0, 0],
              [1, 0],
              [1, 1],
              [0, 0],
            ],
          ],
        },
      ]);
      expect(draft.points).toEqual([]);
    }
    expect(run("polygon", [...corners.slice(0, 2), { type: "finish" }]).drawn).toEqual([]);
    expect(run("polygon", [...corners, { type: "back" }]).draft.points).toHaveLength(2);
  });

  it("makes the same rectangle by a drag, by two clicks and by keys", () => {
    const drag = run("rectangle", [
      { type: "press", ...at(2, 2) },
      { type: "move", ...at(1, 1) },
      { type: "release", ...at(0, 0) },
    ]);
    const clicks = run("rectangle", [
      { type: "click", ...at(2, 2) },
      { type: "move", ...at(1, 1) },
      { type: "click", ...at(0, 0) },
    ]);
    const touch = run("rectangle", [
      { type: "press", ...at(2, 2) },
      { type: "release", ...at(2, 2) },
      { type: "click", ...at(0, 0) },
    ]);
    expect(drag.drawn).toHaveLength(1);
    expect(clicks.drawn).toEqual(drag.drawn);
    expect(touch.drawn).toEqual(drag.drawn);
    expect(
      run("rectangle", [
        { type: "click", ...at(2, 2) },
        { type: "click", ...at(2, 0) },
      ]).drawn,
    ).toEqual([]);
  });

  it("keeps a stroke's path, and cancels without a trace", () => {
    const moves: Move[] = [
      { type: "press", ...at(0, 0) },
      { type: "move", ...at(1, 0) },
      { type: "move", ...at(1, 0) },
    ];
    expect(run("brush", [...moves, { type: "release", ...at(1, 0) }]).drawn).toEqual([
      {
        kind: "stroke",
        path: [
          [0, 0],
          [1, 0],
        ],
      },
    ]);
    expect(run("brush", [...moves, { type: "cancel" }, { type: "release", ...at(1, 0) }])).toEqual({
      draft: blank("brush"),
      drawn: [],
    });
    expect(
      run("brush", [
        { type: "click", ...at(0, 0) },
        { type: "move", ...at(1, 0) },
        { type: "click", ...at(1, 0) },
      ]).drawn,
    ).toHaveLength(1);
  });
});

describe("keys of the map", () => {
  const press = (key: string, shiftKey = false) =>
    mapKey({ key, shiftKey, ctrlKey: false, metaKey: false, altKey: false });

  it("move a cursor and click", () => {
    expect(press("ArrowUp")).toEqual({ does: "step", x: 0, y: -1 });
    expect(press("ArrowRight", true)).toEqual({ does: "step", x: 8, y: 0 });
    expect(press("Enter")).toEqual({ does: "click" });
    expect(press("Enter", true)).toEqual({ does: "finish" });
    expect(press("1")).toBeUndefined();
  });
});

describe("windows on the map", () => {
  it("lie where their pixels are, to a thousandth of a pixel, whatever the number of cells", () => {
    const window = { zone: 31, row: 350_000, col: 20_000, height: 1024, width: 1024 };
    const [coarse, fine] = [meshOf(window, 8), meshOf(window, 64)];
    const metre = 1 / 40_075_016.7;
    let worst = 0;
    for (let j = 0; j < 64; j += 1)
      for (let i = 0; i < 64; i += 1) {
        const of = (mesh: typeof fine, n: number, u: number, v: number) => {
          const index = 4 * (v * (n + 1) + u);
          return [mesh.vertices[index] ?? 0, mesh.vertices[index + 1] ?? 0];
        };
        const [u, v] = [Math.floor(i / 8), Math.floor(j / 8)];
        const corner = (a: number, b: number) => of(coarse, 8, u + a, v + b);
        const [p, q] = [(i % 8) / 8, (j % 8) / 8];
        const mix = [0, 1].map((axis) => {
          const [o, a, b] = [corner(0, 0)[axis] ?? 0, corner(1, 0)[axis] ?? 0, corner(0, 1)[axis] ?? 0];
          return o + (a - o) * p + (b - o) * q;
        });
        const exact = of(fine, 64, i, j);
        if (p + q <= 1)
          worst = Math.max(worst, Math.hypot((mix[0] ?? 0) - (exact[0] ?? 0), (mix[1] ?? 0) - (exact[1] ?? 0)));
      }
    expect((worst * coarse.size) / metre).toBeLessThan(0.5); // metres on the equator, of pixels of 10 m
  });

  it("keep float64 until the last step", () => {
    const matrix = Array.from({ length: 16 }, (_, index) => index + 1);
    const [x, y] = mercator(5.25, 50.7);
    const result = placed(matrix, [x, y], 0.5);
    expect(result[12]).toBeCloseTo(1 * x + 5 * y + 13, 5);
    expect(result[0]).toBe(0.5);
  });
});
