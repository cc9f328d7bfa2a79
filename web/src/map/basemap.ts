import type { StyleSpecification } from "maplibre-gl";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import coarseUrl from "world-atlas/countries-110m.json?url";
import fineUrl from "world-atlas/countries-50m.json?url";

export interface Scheme {
  readonly water: string;
  readonly land: string;
  readonly border: string;
  readonly coast: string;
}

export const SCHEMES: Readonly<Record<"light" | "dark", Scheme>> = {
  light: { water: "#dbe7ea", land: "#f5f4ee", border: "#c3c4b8", coast: "#a9b9b8" },
  dark: { water: "#0e1518", land: "#1b2322", border: "#38433f", coast: "#46544f" },
};

export const FINE_FROM = 3.2; // zoom from which the finer outlines are fetched

const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };

/** A style that needs no other host: no glyphs, no sprites, no tiles. */
export function style(dark: boolean): StyleSpecification {
  const scheme = SCHEMES[dark ? "dark" : "light"];
  return {
    version: 8,
    sources: {
      land: { type: "geojson", data: EMPTY, tolerance: 0.1 },
      borders: { type: "geojson", data: EMPTY, tolerance: 0.1 },
    },
    layers: [
      { id: "water", type: "background", paint: { "background-color": scheme.water } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": scheme.land, "fill-antialias": false } },
      {
        id: "coast",
        type: "line",
        source: "land",
        paint: { "line-color": scheme.coast, "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.4, 8, 1.2] },
      },
      {
        id: "borders",
        type: "line",
        source: "borders",
        paint: { "line-color": scheme.border, "line-width": ["interpolate", ["linear"], ["zoom"], 0, 0.4, 8, 1.4] },
      },
    ],
  };
}

export interface Outlines {
  readonly land: GeoJSON.GeoJSON;
  readonly borders: GeoJSON.GeoJSON;
}

type World = Topology<{ countries: GeometryCollection<{ name: string }>; land: GeometryCollection }>;

/** Natural Earth's land and borders, bundled with the page. */
export async function outlines(fine: boolean): Promise<Outlines> {
  const answer = await fetch(fine ? fineUrl : coarseUrl);
  if (!answer.ok) throw new Error(`outlines: ${answer.status}`);
  const world: World = await answer.json();
  return {
    land: unrolled(feature(world, world.objects.land)),
    borders: mesh(world, world.objects.countries, (a, b) => a !== b),
  };
}

/** Rings that cross 180 degrees go on beyond it, and a ring around a pole is closed at the pole: a flat map fills them. */
export function unrolled(world: GeoJSON.FeatureCollection): GeoJSON.FeatureCollection {
  const ring = (points: GeoJSON.Position[]): GeoJSON.Position[] => {
    let turn = 0;
    const flat = points.map(([lon = 0, lat = 0], index) => {
      const before = points[index - 1]?.[0] ?? lon;
      if (Math.abs(lon - before) > 180) turn += lon < before ? 360 : -360;
      return [lon + turn, lat];
    });
    const [first, last] = [flat[0], flat.at(-1)];
    if (turn === 0 || !first || !last) return flat;
    const pole = (first[1] ?? 0) < 0 ? -90 : 90;
    return [...flat, [last[0] ?? 0, pole], [first[0] ?? 0, pole], first];
  };
  const features = world.features.map((each) => {
    const { geometry } = each;
    if (geometry.type === "Polygon")
      return { ...each, geometry: { ...geometry, coordinates: geometry.coordinates.map(ring) } };
    if (geometry.type === "MultiPolygon")
      return { ...each, geometry: { ...geometry, coordinates: geometry.coordinates.map((part) => part.map(ring)) } };
    return each;
  });
  return { ...world, features };
}
