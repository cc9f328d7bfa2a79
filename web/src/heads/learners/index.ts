import type { HeadKind, Learner } from "../types";
import { refuse, shown } from "../values";
import { forest } from "./forest";
import { knn } from "./knn";
import { linear } from "./linear";
import { mlp } from "./mlp";
import { prototype } from "./prototype";

/** What the page learns itself; others are read from files. */
export const LEARNERS: readonly Learner[] = [prototype, knn, linear, forest, mlp];

export function learnerOf(name: HeadKind | string): Learner {
  const found = LEARNERS.find((learner) => learner.head === name);
  return found ?? refuse(`head ${shown(name)}; expected one of ${LEARNERS.map((learner) => learner.head).join(", ")}`);
}
