export { csv } from "./csv";
export { geoJson, polygonsOf, type Feature, type Properties } from "./geojson";
export { writeGeoTiff, type About } from "./geotiff";
export { classMap, valuesOf, type Saved } from "./maps";
export { joinClasses, joinNumbers, type Mosaic, type Tile } from "./mosaic";
export { patches, toPolygon, type Patch } from "./outlines";
export { readProject, writeProject, type Project } from "./project";
