/** Longitude and latitude, degrees, WGS 84. */
export type LonLat = readonly [lon: number, lat: number];

/** West, south, east, north, degrees. */
export type Box = readonly [west: number, south: number, east: number, north: number];

/** A rectangle of pixels of one zone's array: row 0 in the north, as `shards/layout.py` has it; ends are not included. */
export interface Window {
  readonly zone: number;
  readonly row: number;
  readonly col: number;
  readonly height: number;
  readonly width: number;
}

/** One pixel of a zone's array. */
export interface Pixel {
  readonly zone: number;
  readonly row: number;
  readonly col: number;
}

/** Rings of lon/lat, the first outside and the others holes, as in GeoJSON. */
export type Polygon = readonly (readonly LonLat[])[];

/** What the user looks at: a box or polygons, in any number of zones. */
export type Area =
  { readonly kind: "box"; readonly box: Box } | { readonly kind: "polygons"; readonly polygons: readonly Polygon[] };
