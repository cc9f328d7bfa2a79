import type { LonLat, Polygon, Window } from "../geo";

export interface View {
  readonly lon: number;
  readonly lat: number;
  readonly zoom: number;
}

/** Pixels of a window, `step` pixels of 10 m each: (height / step, width / step) and 1 or 4 values each. */
export interface Tile {
  readonly window: Window;
  readonly step: number;
  readonly data: Uint8Array<ArrayBuffer> | Uint8ClampedArray<ArrayBuffer> | Float32Array<ArrayBuffer>;
}

/** How values become colours. It can change as often as it likes: values stay on the graphics card. */
export type Paint =
  | { readonly kind: "rgba" } // Uint8ClampedArray, 4 values a pixel
  | { readonly kind: "classes"; readonly colours: readonly string[] } // Uint8Array, index of a colour; others are clear
  | {
      readonly kind: "scores"; // Float32Array; NaN is clear
      readonly low: number; // the first colour of the ramp
      readonly high: number; // and the last
      readonly threshold: number; // clear below
      readonly ramp: readonly string[];
    };

export interface RasterLayer {
  readonly id: string;
  readonly title: string;
  readonly paint: Paint;
  readonly tiles: readonly Tile[];
  readonly visible: boolean;
  readonly opacity: number; // 0 to 1
  readonly side: "both" | "left" | "right"; // of the swipe
}

/** Something with an outline or a place on the map, in a colour. */
export interface Mark {
  readonly id: string;
  readonly shape:
    { readonly kind: "point"; readonly at: LonLat } | { readonly kind: "polygon"; readonly rings: Polygon };
  readonly colour: string;
  readonly look: "label" | "proposed" | "chosen" | "area" | "extent" | "negative" | "dot";
}

export type DrawingTool = "point" | "polygon" | "rectangle" | "brush";

/** What was drawn. */
export type Drawn =
  | { readonly kind: "point"; readonly at: LonLat }
  | { readonly kind: "polygon"; readonly rings: Polygon; readonly box: boolean }
  | { readonly kind: "stroke"; readonly path: readonly LonLat[] };

export interface MapEvents {
  moved(view: View, box: readonly [number, number, number, number]): void;
  hovered(at: LonLat | undefined): void;
  cursor(at: LonLat): void; // of the keyboard
  drawn(drawn: Drawn): void;
  clicked(at: LonLat, marks: readonly string[]): void; // without a tool: ids of the marks there, the topmost first
  drafting(words: string): void; // for the live region
}

export interface PageMap {
  setLayers(layers: readonly RasterLayer[]): void;
  setMarks(marks: readonly Mark[]): void;
  setTool(tool: DrawingTool | undefined, colour: string, radius: number): void; // radius of the brush in metres
  setSwipe(share: number | undefined): void; // of the map's width that the left side takes
  setTheme(dark: boolean): void;
  setPadding(left: number, bottom: number): void; // what panels cover
  go(view: Partial<View>): void;
  fit(box: readonly [number, number, number, number], most?: number): void;
  cancelDrawing(): boolean; // false if there was nothing to cancel
  remove(): void;
}
