export { prepare, score, type Examples, type Scoring } from "./score";
