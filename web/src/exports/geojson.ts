import type { LonLat, Polygon, Window } from "../geo";
import { patches, toPolygon } from "./outlines";

const HECTARES = 0.01; // a pixel of 10 m

export type Properties = Readonly<Record<string, string | number | boolean | null>>;

export interface Feature {
  readonly type: "Feature";
  readonly geometry:
    | { readonly type: "Point"; readonly coordinates: LonLat }
    | { readonly type: "Polygon"; readonly coordinates: Polygon };
  readonly properties: Properties;
}

/** A GeoJSON file (RFC 7946), coordinates to 1 cm. */
export function geoJson(features: readonly Feature[]): string {
  const places = (_: string, value: unknown) =>
    typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(7)) : value;
  return JSON.stringify({ type: "FeatureCollection", features: [] }).replace(
    "[]",
    () => `[\n${features.map((feature) => JSON.stringify(feature, places)).join(",\n")}\n]`,
  );
}

/** The patches of a map as polygons with their class and hectares. */
export function polygonsOf(
  values: Uint8Array,
  window: Window,
  names: ReadonlyMap<number, string>,
  leastHectares = 0,
): readonly Feature[] {
  return patches(values, window.height, window.width, 255, Math.max(1, Math.ceil(leastHectares / HECTARES - 1e-9))).map(
    (patch) => ({
      type: "Feature",
      geometry: { type: "Polygon", coordinates: toPolygon(patch, window) },
      properties: {
        class: names.get(patch.value) ?? String(patch.value),
        value: patch.value,
        hectares: Math.round(patch.pixels * HECTARES * 100) / 100,
      },
    }),
  );
}
