import type { LonLat } from "../geo";
import type { DrawingTool, Drawn } from "./types";

/** A shape that is being drawn. `at` is where the pointer or the keyboard's cursor is. */
export interface Draft {
  readonly tool: DrawingTool;
  readonly points: readonly LonLat[];
  readonly at?: LonLat;
  readonly held: boolean; // a button or a finger is down
}

export type Move =
  | { readonly type: "press" | "move" | "release" | "click"; readonly at: LonLat }
  | { readonly type: "finish" } // Enter twice, double click, or the first corner again
  | { readonly type: "back" } // one corner less
  | { readonly type: "cancel" };

export interface Outcome {
  readonly draft: Draft;
  readonly drawn?: Drawn;
}

export function blank(tool: DrawingTool): Draft {
  return { tool, points: [], held: false };
}

const same = (a: LonLat | undefined, b: LonLat | undefined) => a !== undefined && a[0] === b?.[0] && a[1] === b[1];

function box(a: LonLat, b: LonLat): Drawn | undefined {
  const [west, east] = a[0] < b[0] ? [a[0], b[0]] : [b[0], a[0]];
  const [south, north] = a[1] < b[1] ? [a[1], b[1]] : [b[1], a[1]];
  if (west === east || south === north) return undefined;
  const ring: LonLat[] = [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
  return { kind: "polygon", rings: [ring], box: true };
}

function outcome(tool: DrawingTool, drawn: Drawn | undefined): Outcome {
  return drawn ? { draft: blank(tool), drawn } : { draft: blank(tool) };
}

function polygon(draft: Draft): Outcome {
  const points = draft.points.filter((point, index) => !same(point, draft.points[index - 1]));
  const first = points[0];
  if (!first || points.length < 3) return { draft };
  return outcome("polygon", { kind: "polygon", rings: [[...points, first]], box: false });
}

function click(draft: Draft, at: LonLat): Outcome {
  const first = draft.points[0];
  switch (draft.tool) {
    case "point":
      return outcome("point", { kind: "point", at });
    case "rectangle":
      return first ? outcome("rectangle", box(first, at)) : { draft: { ...draft, points: [at], at } };
    case "polygon": {
      const last = draft.points.at(-1);
      if (same(at, last) || same(at, first)) return polygon(draft);
      return { draft: { ...draft, points: [...draft.points, at], at } };
    }
    case "brush": // the keyboard's way: one click starts the stroke, the next ends it
      if (draft.points.length === 0) return { draft: { ...draft, points: [at], at } };
      return outcome("brush", { kind: "stroke", path: draft.points });
  }
}

function press(draft: Draft, at: LonLat): Outcome {
  if (draft.tool === "rectangle" && draft.points.length === 0)
    return { draft: { ...draft, points: [at], at, held: true } };
  if (draft.tool === "brush") return { draft: { ...draft, points: [at], at, held: true } };
  return { draft };
}

function release(draft: Draft, at: LonLat): Outcome {
  if (!draft.held) return { draft };
  const first = draft.points[0];
  if (draft.tool === "brush") return outcome("brush", { kind: "stroke", path: draft.points });
  // a rectangle that was dragged is done; one that was only clicked waits for its other corner
  const done = first && !same(first, at) ? box(first, at) : undefined;
  return done ? outcome("rectangle", done) : { draft: { ...draft, held: false } };
}

/** The next state of a drawing. It is the same for mouse, finger and keyboard. */
export function draw(draft: Draft, move: Move): Outcome {
  switch (move.type) {
    case "press":
      return press(draft, move.at);
    case "release":
      return release(draft, move.at);
    case "click":
      return click(draft, move.at);
    case "move": {
      const trails = draft.tool === "brush" && draft.points.length > 0 && !same(draft.points.at(-1), move.at);
      return { draft: { ...draft, at: move.at, points: trails ? [...draft.points, move.at] : draft.points } };
    }
    case "finish":
      if (draft.tool === "polygon") return polygon(draft);
      if (draft.tool === "brush" && draft.points.length > 0)
        return outcome("brush", { kind: "stroke", path: draft.points });
      return { draft };
    case "back":
      return { draft: { ...draft, points: draft.tool === "polygon" ? draft.points.slice(0, -1) : [] } };
    case "cancel":
      return { draft: blank(draft.tool) };
  }
}
