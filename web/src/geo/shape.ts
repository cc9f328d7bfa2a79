// A polygon on a zone's pixels: which pixel centres lie inside, row by row.
import { NORTH, PIXEL_SIZE, WEST } from "./lattice";
import { eachEdge, type Ring } from "./rings";
import { fromLonLat } from "./utm";

const BAND = 64; // rows; edges of 0.01 degree pass through few

/** Edges of one polygon in pixels of a zone's array (col, row), by bands of rows. */
export class Shape {
  readonly #edges: Float64Array; // u0, v0, u1, v1 each
  readonly #bands = new Map<number, number[]>();
  west = Infinity;
  east = -Infinity;
  north = Infinity;
  south = -Infinity;

  constructor(rings: readonly Ring[], zone: number) {
    const edges: number[] = [];
    for (const ring of rings) {
      const points: number[] = [];
      eachEdge(ring, (lon, lat) => {
        const [x, y] = fromLonLat(lon, lat, zone);
        points.push(x / PIXEL_SIZE - WEST, NORTH - y / PIXEL_SIZE);
      });
      for (let k = 0; k < points.length; k += 2) {
        const next = (k + 2) % points.length;
        const [u, v] = [points[k] ?? 0, points[k + 1] ?? 0];
        edges.push(u, v, points[next] ?? 0, points[next + 1] ?? 0);
        this.west = Math.min(this.west, u);
        this.east = Math.max(this.east, u);
        this.north = Math.min(this.north, v);
        this.south = Math.max(this.south, v);
      }
    }
    this.#edges = Float64Array.from(edges);
    for (let k = 0; k < edges.length; k += 4) {
      const [v0, v1] = [edges[k + 1] ?? 0, edges[k + 3] ?? 0];
      for (let band = Math.floor(Math.min(v0, v1) / BAND); band <= Math.floor(Math.max(v0, v1) / BAND); band++) {
        const kept = this.#bands.get(band);
        if (kept) kept.push(k);
        else this.#bands.set(band, [k]);
      }
    }
  }

  /** Call `span(first, end)` for each run of columns of a row whose pixel centres are inside, by the even-odd rule. */
  spans(row: number, span: (first: number, end: number) => void): void {
    const v = row + 0.5;
    const edges = this.#edges;
    const crossings: number[] = [];
    for (const k of this.#bands.get(Math.floor(v / BAND)) ?? []) {
      const [u0 = 0, v0 = 0, u1 = 0, v1 = 0] = [edges[k], edges[k + 1], edges[k + 2], edges[k + 3]];
      if (v0 <= v !== v1 <= v) crossings.push(u0 + ((v - v0) / (v1 - v0)) * (u1 - u0));
    }
    crossings.sort((a, b) => a - b);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      // centres c + 0.5 strictly between the crossings
      const first = Math.floor((crossings[k] ?? 0) + 0.5);
      const end = Math.ceil((crossings[k + 1] ?? 0) - 0.5);
      if (end > first) span(first, end);
    }
  }
}
