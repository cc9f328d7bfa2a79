import { PageError } from "../base";
import type { LonLat, Polygon } from "../geo";
import { MOST_CORNERS, MOST_ROWS } from "./types";

/** Counts what a file holds and refuses it beyond the limits. */
export class Counter {
  private corners = 0;
  private rows = 0;
  private readonly where: string;

  constructor(where: string) {
    this.where = where;
  }

  row(): void {
    if (++this.rows > MOST_ROWS) {
      throw new PageError(
        "refused",
        `${this.where} has more than ${MOST_ROWS.toLocaleString("en")} places; use tessera in Python, or a part of the file`,
      );
    }
  }

  corner(count = 1): void {
    this.corners += count;
    if (this.corners > MOST_CORNERS) {
      throw new PageError(
        "refused",
        `${this.where} has more than ${MOST_CORNERS.toLocaleString("en")} corners; simplify it, or use tessera in Python`,
      );
    }
  }
}

/** A ring as it is kept: closed, with three corners or more; undefined of fewer. */
export function closed(ring: readonly LonLat[]): readonly LonLat[] | undefined {
  const first = ring[0];
  const last = ring.at(-1);
  if (!first || !last) return undefined;
  const whole = first[0] === last[0] && first[1] === last[1] ? ring : [...ring, first];
  return whole.length >= 4 ? whole : undefined;
}

/** Rings with their outer one first; undefined where that has no area. */
export function polygon(rings: readonly (readonly LonLat[])[]): Polygon | undefined {
  const [outer, ...holes] = rings.map(closed);
  return outer ? [outer, ...holes.filter((ring) => ring !== undefined)] : undefined;
}
