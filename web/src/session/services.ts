import { startCompute, startLearning, startStructure, type Compute, type Learning, type Structure } from "../compute";
import { openKeeper } from "../labels";

/** What the session works with. Tests give others. */
export interface Services {
  readonly compute: () => Promise<Compute>;
  readonly learning: () => Promise<Learning>;
  readonly structure: () => Structure;
  readonly keeper: typeof openKeeper;
}

/** Workers that start when they are first needed. */
export function pageServices(): Services {
  let compute: Promise<Compute> | undefined;
  let learning: Promise<Learning> | undefined;
  let structure: Structure | undefined;
  return {
    compute: () => {
      compute ??= startCompute();
      compute.catch(() => (compute = undefined)); // the next call tries again
      return compute;
    },
    learning: () => (learning ??= Promise.resolve(startLearning())),
    structure: () => (structure ??= startStructure()),
    keeper: openKeeper,
  };
}
