export { startCompute, type ComputeSettings } from "./compute";
export { startLearning } from "./learning";
export type * from "./types";
export { startStructure, type Structure } from "./structuring";
