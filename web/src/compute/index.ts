export { startCompute, type ComputeSettings } from "./compute";
export type * from "./types";
