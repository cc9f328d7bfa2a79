// Rings of polygons in degrees: unwrapped over the date line, cut to a zone's strip, with short edges.
import { PageError } from "../base";
import type { Area, LonLat } from "./types";
import { LAT_MAX, LAT_MIN } from "./utm";

/** Longest edge before projection, degrees: as `_DENSIFY_DEGREES` of src/tessera/geo/area.py, so that pixels are equal. */
const DENSIFY = 0.01;
/** Degrees over the date line that a box may span: more means that two longitudes are in the wrong order. */
const WIDEST = 180;

export type Ring = readonly LonLat[];

/** Polygons of an area, each with rings whose longitudes run on over the date line. */
export function ringsOf(area: Area): readonly (readonly Ring[])[] {
  if (area.kind === "box") return [[boxRing(area.box)]];
  const polygons = area.polygons.map((polygon) => {
    const [first, ...others] = polygon.map((ring) => unwrap(ring));
    if (first === undefined) return [];
    const middle = middleOf(first);
    return [first, ...others.map((ring) => shift(ring, 360 * Math.round((middle - middleOf(ring)) / 360)))];
  });
  if (!polygons.some((rings) => (rings[0]?.length ?? 0) >= 3)) {
    throw new PageError("input", "the area has no polygon; expected at least three different corners");
  }
  return polygons;
}

function boxRing(box: readonly [number, number, number, number]): Ring {
  const [west, south, east, north] = box;
  const name = `box ${box.map((value) => Number(value.toFixed(5))).join(", ")}`;
  if (!box.every(Number.isFinite) || Math.max(Math.abs(west), Math.abs(east)) > 540 || Math.abs(south) > 90) {
    throw new PageError("input", `${name}; expected west, south, east, north in degrees`);
  }
  if (south >= north || north > 90) {
    throw new PageError("input", `${name}: south is not below north; expected west, south, east, north in degrees`);
  }
  const end = east > west ? east : east + 360;
  if (east === west || (east < west && end - west > WIDEST) || end - west > 360) {
    throw new PageError("input", `${name}: west and east do not fit; west > east crosses the date line`);
  }
  return [
    [end, south],
    [end, north],
    [west, north],
    [west, south],
  ];
}

function unwrap(ring: Ring): LonLat[] {
  let turn = 0;
  const out: LonLat[] = [];
  ring.forEach(([lon, lat], k) => {
    if (!Number.isFinite(lon) || !Number.isFinite(lat) || Math.abs(lon) > 540 || Math.abs(lat) > 90) {
      throw new PageError("input", `a corner at ${lon}, ${lat}; expected longitude and latitude in degrees`);
    }
    const step = lon - (ring[k - 1]?.[0] ?? lon);
    if (Math.abs(step) > 180 && Math.abs(step) < 360) turn -= 360 * Math.sign(step);
    out.push([lon + turn, lat]);
  });
  const [first, last] = [out[0], out.at(-1)];
  if (out.length > 1 && first && last && first[0] === last[0] && first[1] === last[1]) out.pop();
  return out;
}

function middleOf(ring: Ring): number {
  let [least, most] = [Infinity, -Infinity];
  for (const [lon] of ring) {
    least = Math.min(least, lon);
    most = Math.max(most, lon);
  }
  return (least + most) / 2;
}

const shift = (ring: Ring, by: number): Ring => (by === 0 ? ring : ring.map(([lon, lat]) => [lon + by, lat]));

/** The parts of a polygon's rings in a strip of longitudes, all turned into it; none where they do not meet it. */
export function cutToStrip(rings: readonly Ring[], west: number, east: number): readonly Ring[] {
  const [outer] = rings;
  if (outer === undefined) return [];
  let [least, most] = [Infinity, -Infinity];
  for (const [lon] of outer) {
    least = Math.min(least, lon);
    most = Math.max(most, lon);
  }
  const parts: Ring[] = [];
  for (let turn = -720; turn <= 720; turn += 360) {
    if (most + turn <= west || least + turn >= east) continue;
    for (const ring of rings) {
      const cut = [
        [0, west, 1],
        [0, east, -1],
        [1, LAT_MIN, 1],
        [1, LAT_MAX, -1],
      ].reduce((left, [axis, at, sign]) => clip(left, axis === 0 ? 0 : 1, at ?? 0, sign ?? 1), shift(ring, turn));
      if (cut.length >= 3) parts.push(cut);
    }
  }
  return parts;
}

/** Sutherland and Hodgman: edges along the cut come in pairs that cancel, since pixels are filled by the even-odd rule. */
function clip(ring: Ring, axis: 0 | 1, at: number, sign: number): Ring {
  if (ring.every((point) => (point[axis] - at) * sign >= 0)) return ring;
  const out: LonLat[] = [];
  ring.forEach((point, k) => {
    const last = ring[k === 0 ? ring.length - 1 : k - 1] ?? point;
    const [here, there] = [(point[axis] - at) * sign, (last[axis] - at) * sign];
    if (here >= 0 !== there >= 0) {
      const share = there / (there - here);
      const other = axis === 0 ? 1 : 0;
      const value = last[other] + share * (point[other] - last[other]);
      out.push(axis === 0 ? [at, value] : [value, at]);
    }
    if (here >= 0) out.push(point);
  });
  return out;
}

/** Call `edge` for each edge of a ring, none longer than 0.01 degree: straight in degrees is then straight in metres. */
export function eachEdge(ring: Ring, point: (lon: number, lat: number) => void): void {
  ring.forEach(([lon, lat], k) => {
    const [nextLon, nextLat] = ring[k + 1] ?? ring[0] ?? [lon, lat];
    const length = Math.hypot(nextLon - lon, nextLat - lat);
    const count = Math.max(1, Math.ceil(length / DENSIFY));
    for (let j = 0; j < count; j++) point(lon + (j / count) * (nextLon - lon), lat + (j / count) * (nextLat - lat));
  });
}
