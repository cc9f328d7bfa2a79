export { MOST_BYTES, mapValues, readHead, writeHead } from "./file";
export { predictor, type Classified, type Predictor } from "./predict";
export type * from "./types";
