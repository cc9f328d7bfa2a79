import type { LonLat } from "../../geo";
import type { Label } from "../../labels";

/** A place in the middle of a label, to look at and to write down. */
export function centre({ shape }: Label): LonLat {
  if (shape.kind === "point") return shape.at;
  const ring = shape.rings[0] ?? [];
  const lons = ring.map((each) => each[0]);
  const lats = ring.map((each) => each[1]);
  return [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
}
