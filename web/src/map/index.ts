export { createMap, type MapOptions } from "./map";
export type * from "./types";
