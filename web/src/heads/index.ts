export { MOST_BYTES, mapValues, readHead, writeHead } from "./file";
export { fitHead, type About, type Settings } from "./fit";
export { LEARNERS, learnerOf } from "./learners";
export { untested } from "./metrics";
export { predictor, type Classified, type Predictor } from "./predict";
export type * from "./types";
