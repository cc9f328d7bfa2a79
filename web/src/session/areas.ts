import type { Area, Box } from "../geo";

const RADIUS = 6_371_007.2; // of the sphere with the area of the Earth, metres
const rad = Math.PI / 180;

/** Hectares of an area on the sphere, within half a percent: for limits and for people, not for reports. */
export function hectares(area: Area): number {
  if (area.kind === "box") {
    const [west, south, east, north] = area.box;
    return (RADIUS ** 2 * (east - west) * rad * (Math.sin(north * rad) - Math.sin(south * rad))) / 1e4;
  }
  const ring = (points: readonly (readonly [number, number])[]) =>
    Math.abs(
      points.reduce((sum, [lon, lat], index) => {
        const [nextLon, nextLat] = points[(index + 1) % points.length] ?? [lon, lat];
        return sum + ((nextLon - lon) * rad * (Math.sin(lat * rad) + Math.sin(nextLat * rad))) / 2;
      }, 0),
    );
  const whole = area.polygons.reduce(
    (sum, rings) => sum + rings.reduce((part, points, index) => part + (index === 0 ? 1 : -1) * ring(points), 0),
    0,
  );
  return (whole * RADIUS ** 2) / 1e4;
}

/** What an area takes in memory: a code a dim and a scale for each pixel of 10 m. */
export function bytesOf(area: Area, dims: number): number {
  return hectares(area) * 100 * (dims + 4);
}

export function boxOfArea(area: Area): Box {
  if (area.kind === "box") return area.box;
  const points = area.polygons.flatMap((rings) => rings[0] ?? []);
  const [lons, lats] = [points.map((each) => each[0]), points.map((each) => each[1])];
  const least = (list: number[]) => list.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (list: number[]) => list.reduce((a, b) => Math.max(a, b), -Infinity);
  return [least(lons), least(lats), most(lons), most(lats)];
}

export function meet(a: Box, b: Box): Box | undefined {
  const box: Box = [Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3])];
  return box[0] < box[2] && box[1] < box[3] ? box : undefined;
}

/** The least box around boxes. */
export function around(boxes: readonly Box[]): Box | undefined {
  const [first, ...more] = boxes;
  return more.reduce(
    (all: Box | undefined, box) =>
      all && [Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3])],
    first,
  );
}

export function sameArea(a: Area | undefined, b: Area | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b));
}
