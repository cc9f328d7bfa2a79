import { PageError } from "../base";
import { fromLonLat, metresAt, PIXEL_SIZE, pixelAt, toLonLat, zoneOf, type LonLat, type Polygon } from "../geo";

const MOST_PIXELS = 4_000_000; // of the rectangle around a stroke

type Place = readonly [col: number, row: number];

/** A mask of pixels that a brush of `radius` pixels meets with their centres, on its way along the path. */
export function painted(
  path: readonly Place[],
  radius: number,
): { row: number; col: number; width: number; mask: Uint8Array } {
  const [cols, rows] = [path.map((each) => each[0]), path.map((each) => each[1])];
  const [left, top] = [cols, rows].map((list) => Math.floor(list.reduce((a, b) => Math.min(a, b), Infinity) - radius));
  const [right, bottom] = [cols, rows].map((list) =>
    Math.ceil(list.reduce((a, b) => Math.max(a, b), -Infinity) + radius),
  );
  const [col, row] = [left ?? 0, top ?? 0];
  const [width, height] = [(right ?? 0) - col, (bottom ?? 0) - row];
  if (!(width * height <= MOST_PIXELS))
    throw new PageError("refused", "A brush stroke over more than 20 km; expected a shorter one.");
  const mask = new Uint8Array(width * height);
  path.forEach((end, index) => {
    const [x0, y0] = path[index - 1] ?? end;
    const [x1, y1] = end;
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const from = (a: number, b: number, origin: number) => Math.max(0, Math.floor(Math.min(a, b) - radius) - origin);
    const to = (a: number, b: number, origin: number, most: number) =>
      Math.min(most, Math.ceil(Math.max(a, b) + radius) - origin);
    for (let j = from(y0, y1, row); j < to(y0, y1, row, height); j += 1)
      for (let i = from(x0, x1, col); i < to(x0, x1, col, width); i += 1) {
        const [x, y] = [col + i + 0.5, row + j + 0.5];
        const share =
          length === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length));
        if (Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)) <= radius) mask[j * width + i] = 1;
      }
    // a brush thinner than a pixel still paints the one that it is in
    const [i, j] = [Math.floor(x1) - col, Math.floor(y1) - row];
    if (i >= 0 && i < width && j >= 0 && j < height) mask[j * width + i] = 1;
  });
  return { row, col, width, mask };
}

/** Outlines of a mask along its pixels, the outside first and then holes. Pixels that meet at a corner belong together. */
export function traced(mask: Uint8Array, width: number): readonly (readonly Place[])[] {
  const height = mask.length / width;
  const set = (i: number, j: number) => i >= 0 && j >= 0 && i < width && j < height && mask[j * width + i] === 1;
  const corner = (i: number, j: number) => j * (width + 1) + i;
  const next = new Map<number, number[]>(); // edges with the mask on their right
  const edge = (i0: number, j0: number, i1: number, j1: number) =>
    next.set(corner(i0, j0), [...(next.get(corner(i0, j0)) ?? []), corner(i1, j1)]);
  for (let j = 0; j < height; j += 1)
    for (let i = 0; i < width; i += 1) {
      if (!set(i, j)) continue;
      if (!set(i, j - 1)) edge(i, j, i + 1, j);
      if (!set(i + 1, j)) edge(i + 1, j, i + 1, j + 1);
      if (!set(i, j + 1)) edge(i + 1, j + 1, i, j + 1);
      if (!set(i - 1, j)) edge(i, j + 1, i, j);
    }
  const rings: Place[][] = [];
  const place = (at: number): Place => [at % (width + 1), Math.floor(at / (width + 1))];
  for (const start of next.keys()) {
    while ((next.get(start)?.length ?? 0) > 0) {
      const ring: Place[] = [];
      let [at, way] = [start, 0];
      do {
        const ways = next.get(at) ?? [];
        // where two pixels meet at a corner, the turn to the left keeps them in one ring
        const left = way === 0 ? undefined : ways.find((to) => to - at === leftOf(way, width + 1));
        const to = left ?? ways[0];
        if (to === undefined) break;
        next.set(at, ways.toSpliced(ways.indexOf(to), 1));
        if (to - at !== way) ring.push(place(at));
        [way, at] = [to - at, to];
      } while (at !== start);
      rings.push(ring);
    }
  }
  const area = (ring: readonly Place[]) =>
    ring.reduce((sum, [x, y], index) => {
      const [nextX, nextY] = ring[(index + 1) % ring.length] ?? [x, y];
      return sum + x * nextY - nextX * y;
    }, 0);
  return rings.sort((a, b) => area(b) - area(a));
}

function leftOf(way: number, stride: number): number {
  return way === 1 ? -stride : way === -1 ? stride : way === stride ? 1 : -1;
}

/** The outline of the pixels of a brush stroke of a radius in metres. */
export function strokeRings(path: readonly LonLat[], radius: number): Polygon {
  const first = path[0];
  if (!first) return [];
  const zone = zoneOf(first[0]);
  const origin = pixelAt(first, zone);
  const [left, top] = metresAt(origin.row, origin.col);
  const places = path.map(([lon, lat]): Place => {
    const [x, y] = fromLonLat(lon, lat, zone);
    return [(x - left) / PIXEL_SIZE, (top - y) / PIXEL_SIZE];
  });
  const { row, col, width, mask } = painted(places, radius / PIXEL_SIZE);
  return traced(mask, width).map((ring) => {
    const points = ring.map(([i, j]): LonLat =>
      toLonLat(left + (col + i) * PIXEL_SIZE, top - (row + j) * PIXEL_SIZE, zone),
    );
    const start = points[0];
    return start ? [...points, start] : points;
  });
}
