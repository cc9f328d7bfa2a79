import { startCompute, startLearning, type Compute, type Learning } from "../compute";
import { openKeeper } from "../labels";

/** What the session works with. Tests give others. */
export interface Services {
  readonly compute: () => Promise<Compute>;
  readonly learning: () => Promise<Learning>;
  readonly keeper: typeof openKeeper;
}

/** Workers that start when they are first needed. */
export function pageServices(): Services {
  let compute: Promise<Compute> | undefined;
  let learning: Promise<Learning> | undefined;
  return {
    compute: () => {
      compute ??= startCompute();
      compute.catch(() => (compute = undefined)); // the next call tries again
      return compute;
    },
    learning: () => (learning ??= Promise.resolve(startLearning())),
    keeper: openKeeper,
  };
}
