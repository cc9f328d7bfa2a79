import { metresAt, toLonLat, type LonLat, type Polygon, type Window } from "../geo";

/** One connected patch of a class: pixels that share a side. */
export interface Patch {
  readonly value: number;
  readonly pixels: number;
  readonly rings: readonly (readonly (readonly [row: number, col: number])[])[]; // corners of pixels; the first is outside
}

/**
 * The patches of a raster, traced along the edges of pixels: neighbours share their border exactly, holes are holes, no
 * ring touches itself but at a corner. `nodata` is left out, and patches below `least` pixels.
 */
export function patches(values: Uint8Array, height: number, width: number, nodata = 255, least = 1): readonly Patch[] {
  const { part, size, first } = components(values, width);
  const rings = new Map<number, (readonly (readonly [number, number])[])[]>();
  const done = new Uint8Array(height * width); // bit 0: the upper edge was walked; bit 1: the lower edge
  const at = (row: number, col: number) =>
    row < 0 || col < 0 || row >= height || col >= width ? -1 : (part[row * width + col] as number);
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      const mine = at(row, col);
      if (values[row * width + col] === nodata || (size[mine] as number) < least) continue;
      const here = row * width + col;
      const seen = (bit: number) => ((done[here] as number) & bit) !== 0;
      const follow = (edge: "upper" | "lower") => {
        const ring = walk(row, col, edge, mine, at, done, width);
        const known = rings.get(mine);
        if (known) known.push(ring);
        else rings.set(mine, [ring]);
      };
      if (at(row - 1, col) !== mine && !seen(1)) follow("upper");
      if (at(row + 1, col) !== mine && !seen(2)) follow("lower");
    }
  }
  return [...rings].map(([index, all]) => {
    // the outer ring encloses the others, so that its box is the largest
    const outer = all.reduce((best, ring) => (Math.abs(area(ring)) > Math.abs(area(best)) ? ring : best));
    return {
      value: values[first[index] as number] as number,
      pixels: size[index] as number,
      rings: [outer, ...all.filter((ring) => ring !== outer)],
    };
  });
}

/** Corners of pixels in degrees, as GeoJSON wants them: closed, the outer ring against the clock, holes with it. */
export function toPolygon(patch: Patch, window: Window): Polygon {
  return patch.rings.map((ring, i) => {
    const way = area(ring) > 0 === (i === 0) ? ring : ring.toReversed();
    const corners = way.map(([row, col]): LonLat =>
      toLonLat(...metresAt(window.row + row, window.col + col), window.zone),
    );
    return [...corners, corners[0] as LonLat];
  });
}

/** The signed area of a ring in pixels: above 0 against the clock on a map with north up. */
function area(ring: readonly (readonly [number, number])[]): number {
  let sum = 0;
  ring.forEach(([row, col], i) => {
    const [next, beside] = ring[(i + 1) % ring.length] as readonly [number, number];
    sum += beside * row - col * next;
  });
  return sum / 2;
}

/** Connected parts of equal value (pixels that share a side): the part of each pixel, its size, its first pixel. */
function components(values: Uint8Array, width: number): { part: Int32Array; size: Int32Array; first: Int32Array } {
  const parent = Int32Array.from(values, (_, i) => i);
  const find = (i: number): number => {
    let root = i;
    while (parent[root] !== root) root = parent[root] as number;
    while (parent[i] !== root) [i, parent[i]] = [parent[i] as number, root];
    return root;
  };
  for (let i = 0; i < values.length; i++) {
    if (i % width > 0 && values[i] === values[i - 1]) join(i, i - 1);
    if (i >= width && values[i] === values[i - width]) join(i, i - width);
  }
  const part = new Int32Array(values.length);
  const size: number[] = [];
  const first: number[] = [];
  const names = new Int32Array(values.length).fill(-1);
  for (let i = 0; i < values.length; i++) {
    const root = find(i);
    if (names[root] === -1) {
      names[root] = size.length;
      size.push(0);
      first.push(i);
    }
    const name = names[root] as number;
    part[i] = name;
    size[name] = (size[name] as number) + 1;
  }
  return { part, size: Int32Array.from(size), first: Int32Array.from(first) };

  function join(i: number, j: number): void {
    const [a, b] = [find(i), find(j)];
    parent[Math.max(a, b)] = Math.min(a, b);
  }
}

/** Steps along a border with the patch on the right: east, south, west, north, as (row, column). */
const STEPS = [
  [0, 1],
  [1, 0],
  [0, -1],
  [-1, 0],
] as const;

function walk(
  row: number,
  col: number,
  edge: "upper" | "lower",
  mine: number,
  at: (row: number, col: number) => number,
  done: Uint8Array,
  width: number,
): readonly (readonly [number, number])[] {
  // along an upper edge the patch lies below an eastward step; along a lower edge above a westward one
  let way = edge === "upper" ? 0 : 2;
  let [y, x] = edge === "upper" ? [row, col] : [row + 1, col + 1];
  const start = [y, x, way] as const;
  const ring: [number, number][] = [];
  do {
    if (way === 0) done[y * width + x] = (done[y * width + x] as number) | 1;
    if (way === 2) done[(y - 1) * width + x - 1] = (done[(y - 1) * width + x - 1] as number) | 2;
    const [dy, dx] = STEPS[way] as readonly [number, number];
    y += dy;
    x += dx;
    // the pixels ahead on the right and on the left of the way
    const [right, left] = ahead(y, x, way);
    const before = way;
    if (at(...right) !== mine) way = (way + 1) % 4;
    else if (at(...left) === mine) way = (way + 3) % 4;
    if (way !== before) ring.push([y, x]);
  } while (y !== start[0] || x !== start[1] || way !== start[2]);
  return ring;
}

function ahead(y: number, x: number, way: number): [[number, number], [number, number]] {
  if (way === 0)
    return [
      [y, x],
      [y - 1, x],
    ];
  if (way === 1)
    return [
      [y, x - 1],
      [y, x],
    ];
  if (way === 2)
    return [
      [y - 1, x - 1],
      [y, x - 1],
    ];
  return [
    [y - 1, x],
    [y - 1, x - 1],
  ];
}
