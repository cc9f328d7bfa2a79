import type { LonLat, Polygon } from "../geo";

export interface LabelClass {
  readonly id: number; // stays when it is renamed
  readonly name: string;
  readonly colour: string; // "#rrggbb"
  readonly key?: string; // "1" to "9"
}

export type Shape =
  { readonly kind: "point"; readonly at: LonLat } | { readonly kind: "polygon"; readonly rings: Polygon };

export interface Label {
  readonly id: string;
  readonly shape: Shape;
  readonly classId: number; // of LabelClass
  readonly group?: string; // labels that validation never splits: one polygon, one brush stroke, one grown patch
  readonly source: "click" | "polygon" | "brush" | "import" | "grown" | "lasso" | "cluster";
  readonly review?: "proposed" | "accepted" | "rejected";
}

export interface Labels {
  readonly classes: readonly LabelClass[];
  readonly labels: readonly Label[];
}
