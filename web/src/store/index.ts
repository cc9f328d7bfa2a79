export { openStore } from "./open";
export { isValid } from "./source";
export type * from "./types";
