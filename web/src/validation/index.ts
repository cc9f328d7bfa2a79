export { AREA_CAUTION, hectares } from "./areas";
export { blocksOf, groupCentres, spatialBlocks } from "./blocks";
export { makeFolds } from "./folds";
export { intervalOf, partsOf } from "./intervals";
export { metricsOf } from "./metrics";
export { confusion, scoresOf, type Matrix, type Scores } from "./scores";
export { suggest, uncertainty, type Candidates, type Labelled, type Suggestion } from "./suggest";
export type * from "./types";
export { validate, type Task } from "./validate";
