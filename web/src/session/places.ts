import worldUrl from "world-atlas/countries-110m.json?url";
import type { GeometryCollection, Topology } from "topojson-specification";

import type { Box, LonLat } from "../geo";

export interface Place {
  readonly name: string;
  readonly what: "coordinates" | "city" | "country";
  readonly at: LonLat;
  readonly box?: Box; // of a country
}

const PART =
  /^([NSEW])?\s*([-+\u2212]?\d+(?:\.\d+)?)\s*°?\s*(?:(\d+(?:\.\d+)?)\s*['′]\s*)?(?:(\d+(?:\.\d+)?)\s*["″]\s*)?([NSEW])?[\s,;]*/i;

/** "50.7, 5.25", "5.25E 50.7N", "50° 42′ N 5° 15′ E": latitude first, where the letters do not say otherwise. */
export function parseCoordinates(text: string): LonLat | undefined {
  let rest = text.trim().slice(0, 100);
  const read: { value: number; letter: string }[] = [];
  while (rest !== "" && read.length < 3) {
    const found = PART.exec(rest);
    if (!found) return undefined;
    const whole = Number((found[2] ?? "").replace("\u2212", "-"));
    const part = Number(found[3] ?? 0) / 60 + Number(found[4] ?? 0) / 3600;
    const letter = (found[1] ?? found[5] ?? "").toUpperCase();
    const sign = (/^[-\u2212]/.test(found[2] ?? "") ? -1 : 1) * (/[SW]/.test(letter) ? -1 : 1);
    read.push({ value: (Math.abs(whole) + part) * sign, letter });
    rest = rest.slice(found[0].length);
  }
  const [first, second] = read;
  if (!first || !second || read.length !== 2) return undefined;
  const turned = /[EW]/.test(first.letter) || /[NS]/.test(second.letter);
  const [lat, lon] = turned ? [second.value, first.value] : [first.value, second.value];
  return Math.abs(lat) <= 90 && Math.abs(lon) <= 180 ? [lon, lat] : undefined;
}

const plain = (text: string) =>
  text
    .normalize("NFD")
    .replace(/\p{Diacritic}/gu, "")
    .toLowerCase();

/** Places whose name, or a word of it, begins so; the shortest first. */
export function matching(places: readonly Place[], text: string, most = 8): readonly Place[] {
  const wanted = plain(text.trim());
  if (wanted === "") return [];
  const rank = (place: Place) => {
    const name = plain(place.name);
    if (name.startsWith(wanted)) return 0;
    return name.includes(` ${wanted}`) || name.includes(`-${wanted}`) ? 1 : 2;
  };
  return places
    .map((place) => ({ place, rank: rank(place) }))
    .filter((each) => each.rank < 2)
    .sort((a, b) => a.rank - b.rank || a.place.name.length - b.place.name.length)
    .slice(0, most)
    .map((each) => each.place);
}

type World = Topology<{ countries: GeometryCollection<{ name: string }> }>;

/** The box of a country's largest part: France without its islands, the United States without Alaska. */
export function countriesOf(features: readonly GeoJSON.Feature<GeoJSON.Geometry, { name: string }>[]): Place[] {
  return features.flatMap(({ geometry, properties }) => {
    const parts =
      geometry.type === "Polygon"
        ? [geometry.coordinates]
        : geometry.type === "MultiPolygon"
          ? geometry.coordinates
          : [];
    const boxes = parts.map((rings): Box => {
      const points = rings[0] ?? [];
      const [lons, lats] = [points.map((each) => each[0] ?? 0), points.map((each) => each[1] ?? 0)];
      return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
    });
    const size = ([west, south, east, north]: Box) => (east - west) * (north - south);
    const box = boxes.sort((a, b) => size(b) - size(a))[0];
    if (!box || !properties.name) return [];
    return [{ name: properties.name, what: "country", at: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], box }];
  });
}

let known: Promise<readonly Place[]> | undefined;

/** Countries of Natural Earth and large cities: bundled, so that no one is told what is looked for. */
export function allPlaces(): Promise<readonly Place[]> {
  known ??= (async () => {
    const [{ default: cities }, { feature }, answer] = await Promise.all([
      import("./cities.json"),
      import("topojson-client"),
      fetch(worldUrl),
    ]);
    const world: World = await answer.json();
    const list = cities.flatMap(([name, lon, lat]): Place[] =>
      typeof name === "string" && typeof lon === "number" && typeof lat === "number"
        ? [{ name, what: "city", at: [lon, lat] }]
        : [],
    );
    return [...list, ...countriesOf(feature(world, world.objects.countries).features)];
  })();
  known.catch(() => (known = undefined));
  return known;
}
