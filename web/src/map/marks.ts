import type { GeoJSONSource, LayerSpecification, Map as MapLibre } from "maplibre-gl";

import type { LonLat } from "../geo";
import type { Draft } from "./drawing";
import type { Mark } from "./types";

const EMPTY: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
const isLook = (...looks: Mark["look"][]): ["in", ["get", string], ["literal", string[]]] => [
  "in",
  ["get", "look"],
  ["literal", looks],
];

/** Layers of what is drawn on the map; each is on top of the one before. */
const LAYERS: readonly LayerSpecification[] = [
  {
    id: "marks-fill",
    type: "fill",
    source: "marks",
    filter: ["all", ["==", ["geometry-type"], "Polygon"], ["!", isLook("area", "extent")]],
    paint: { "fill-color": ["get", "colour"], "fill-opacity": ["case", isLook("proposed"), 0.15, 0.35] },
  },
  {
    id: "marks-casing",
    type: "line",
    source: "marks",
    filter: ["all", ["==", ["geometry-type"], "Polygon"], ["!", isLook("extent")]],
    paint: { "line-color": "#ffffff", "line-width": ["case", isLook("chosen"), 6, 4], "line-opacity": 0.85 },
  },
  {
    id: "marks-line",
    type: "line",
    source: "marks",
    filter: ["all", ["==", ["geometry-type"], "Polygon"], ["!", isLook("proposed")]],
    paint: {
      "line-color": ["get", "colour"],
      "line-width": ["case", isLook("chosen"), 3, isLook("extent"), 1, 2],
    },
  },
  {
    id: "marks-dashed",
    type: "line",
    source: "marks",
    filter: ["all", ["==", ["geometry-type"], "Polygon"], isLook("proposed")],
    paint: { "line-color": ["get", "colour"], "line-width": 2, "line-dasharray": [2, 1.5] },
  },
  {
    id: "marks-points",
    type: "circle",
    source: "marks",
    filter: ["==", ["geometry-type"], "Point"],
    paint: {
      "circle-color": ["case", isLook("proposed", "negative"), "#ffffff", ["get", "colour"]],
      "circle-radius": ["case", isLook("chosen"), 8, isLook("dot"), 3.5, 6],
      "circle-stroke-color": ["case", isLook("proposed", "negative"), ["get", "colour"], "#ffffff"],
      "circle-stroke-width": ["case", isLook("proposed", "negative", "chosen"), 3, isLook("dot"), 1, 2],
    },
  },
  {
    id: "draft-fill",
    type: "fill",
    source: "draft",
    filter: ["==", ["geometry-type"], "Polygon"],
    paint: { "fill-color": ["get", "colour"], "fill-opacity": 0.2 },
  },
  {
    id: "draft-brush",
    type: "line",
    source: "draft",
    filter: ["==", ["get", "part"], "brush"],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: { "line-color": ["get", "colour"], "line-width": ["get", "width"], "line-opacity": 0.45 },
  },
  {
    id: "draft-line",
    type: "line",
    source: "draft",
    filter: ["==", ["get", "part"], "line"],
    paint: { "line-color": ["get", "colour"], "line-width": 2, "line-dasharray": [2, 1] },
  },
  {
    id: "draft-points",
    type: "circle",
    source: "draft",
    filter: ["==", ["geometry-type"], "Point"],
    paint: {
      "circle-color": "#ffffff",
      "circle-radius": 4,
      "circle-stroke-color": ["get", "colour"],
      "circle-stroke-width": 2,
    },
  },
];

export const PICKED = ["marks-points", "marks-fill"]; // layers of labels that a click finds

export function addMarkLayers(map: MapLibre): void {
  for (const source of ["marks", "draft"]) map.addSource(source, { type: "geojson", data: EMPTY, tolerance: 0.1 });
  for (const layer of LAYERS) map.addLayer(layer);
}

function setData(map: MapLibre, source: string, features: GeoJSON.Feature[]): void {
  const found = map.getSource<GeoJSONSource>(source);
  void found?.setData({ type: "FeatureCollection", features });
}

const mutable = (points: readonly LonLat[]): number[][] => points.map(([lon, lat]) => [lon, lat]);

export function showMarks(map: MapLibre, marks: readonly Mark[]): void {
  setData(
    map,
    "marks",
    marks.map(({ id, shape, colour, look }) => ({
      type: "Feature",
      properties: { id, colour, look },
      geometry:
        shape.kind === "point"
          ? { type: "Point", coordinates: [...shape.at] }
          : { type: "Polygon", coordinates: shape.rings.map(mutable) },
    })),
  );
}

/** @param width of the brush on the screen */
export function showDraft(map: MapLibre, draft: Draft | undefined, colour: string, width: number): void {
  if (!draft) return setData(map, "draft", []);
  const features: GeoJSON.Feature[] = [];
  const add = (part: string, geometry: GeoJSON.Geometry) =>
    features.push({ type: "Feature", properties: { part, colour, width }, geometry });
  const first = draft.points[0];
  const reach = draft.at ? [...draft.points, draft.at] : draft.points;
  if (draft.tool === "brush") {
    const path = reach.length === 1 ? [...reach, ...reach] : reach;
    if (path.length > 0) add("brush", { type: "LineString", coordinates: mutable(path) });
  } else if (draft.tool === "rectangle" && first && draft.at) {
    const [[a, b], [c, d]] = [first, draft.at];
    const ring = [
      [a, b],
      [c, b],
      [c, d],
      [a, d],
      [a, b],
    ];
    add("fill", { type: "Polygon", coordinates: [ring] });
    add("line", { type: "LineString", coordinates: ring });
  } else if (draft.tool === "polygon" && first) {
    if (reach.length > 2) add("fill", { type: "Polygon", coordinates: [mutable([...reach, first])] });
    add("line", { type: "LineString", coordinates: mutable(reach.length > 2 ? [...reach, first] : reach) });
    for (const point of draft.points) add("corner", { type: "Point", coordinates: [...point] });
  }
  setData(map, "draft", features);
}
