const HECTARES = 0.01; // of a pixel of 10 m

/** What to say beside areas that were counted. */
export const AREA_CAUTION =
  "These areas count pixels. What a map misses and what it adds seldom balance, so the area of a class may be " +
  "quite another one. For figures that will be quoted, label a random sample of the map and use tessera report --sample.";

/** Hectares of each class by its pixels; 255 is no data. */
export function hectares(parts: Iterable<Uint8Array>, classes: number): Float64Array {
  const counts = new Float64Array(256);
  for (const part of parts) for (const one of part) counts[one] = (counts[one] as number) + 1;
  return counts.subarray(0, classes).map((pixels) => pixels * HECTARES);
}
