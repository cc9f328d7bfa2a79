export * from "./history";
export * from "./keep";
export * from "./merge";
export * from "./model";
export * from "./palette";
export * from "./parse";
export type * from "./types";
