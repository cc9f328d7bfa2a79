export { ZonePart, centreOf, cover, inZone, partsOf, type Raster } from "./area";
export * from "./lattice";
export type * from "./types";
export * from "./utm";
