export { startCompute, type ComputeSettings } from "./compute";
export type * from "./types";
export { startStructure, type Structure } from "./structuring";
