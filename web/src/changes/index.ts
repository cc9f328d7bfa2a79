export { distances, type Vectors } from "./distance";
export { DRIFT_LIMIT, measureDrift, type Drift } from "./drift";
export { FALSE_ALARMS, findThreshold, Histogram, type Threshold } from "./threshold";
export { meanOf, timeline, type Moment, type YearMean } from "./timeline";
export { countTransitions, type Transitions } from "./transitions";
