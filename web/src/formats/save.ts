import type { LonLat } from "../geo";
import type { Label, Labels } from "../labels";

/** How exact places leave the page. */
export type Places = "exact" | "coarse" | "none";

const COARSE = 0.01; // degrees, about 1 km: a plot cannot be found again

/** Labels as GeoJSON, with class, colour, group and source. Coarse: the middle of each, rounded to 0.01 degrees. */
export function labelsToGeoJson(labels: Labels, places: Places = "exact"): string {
  const features = settledOf(labels).map((label) => {
    const own = labels.classes.find(({ id }) => id === label.classId);
    return JSON.stringify(
      {
        type: "Feature",
        geometry: geometryOf(label, places),
        properties: {
          class: own?.name ?? String(label.classId),
          colour: own?.colour ?? null,
          group: label.group ?? null,
          source: label.source,
        },
      },
      (_, value: unknown) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(7)) : value),
    );
  });
  return `{"type":"FeatureCollection","features":[\n${features.join(",\n")}\n]}\n`;
}

/** The middle of each label, for a CSV: lon, lat, class; places as above. */
export function labelsToRows(
  labels: Labels,
  places: Places = "exact",
): readonly (readonly [number | null, number | null, string])[] {
  return settledOf(labels).map((label) => {
    const name = labels.classes.find(({ id }) => id === label.classId)?.name ?? String(label.classId);
    if (places === "none") return [null, null, name];
    const [lon, lat] = places === "coarse" ? coarse(middle(label)) : middle(label);
    return [Number(lon.toFixed(7)), Number(lat.toFixed(7)), name];
  });
}

function settledOf(labels: Labels): readonly Label[] {
  return labels.labels.filter(({ review }) => review === undefined || review === "accepted");
}

function geometryOf(label: Label, places: Places): unknown {
  if (places === "none") return null;
  if (places === "coarse") return { type: "Point", coordinates: coarse(middle(label)) };
  const { shape } = label;
  return shape.kind === "point"
    ? { type: "Point", coordinates: shape.at }
    : { type: "Polygon", coordinates: shape.rings };
}

function coarse([lon, lat]: LonLat): LonLat {
  const round = (value: number) => Number((Math.round(value / COARSE) * COARSE).toFixed(2));
  return [round(lon), round(lat)];
}

function middle({ shape }: Label): LonLat {
  if (shape.kind === "point") return shape.at;
  const ring = (shape.rings[0] ?? []).slice(0, -1);
  const sum = ring.reduce(([x, y], [lon, lat]) => [x + lon, y + lat], [0, 0]);
  return [(sum[0] ?? 0) / Math.max(1, ring.length), (sum[1] ?? 0) / Math.max(1, ring.length)];
}
