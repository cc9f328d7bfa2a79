export { adopt, type Adopted } from "./adopt";
export { candidates, className, type Candidate } from "./columns";
export { readTable } from "./read";
export { labelsToGeoJson, labelsToRows, type Places } from "./save";
export * from "./types";
export { unpack } from "./zip";
