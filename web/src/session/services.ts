import { PageError } from "../base";
import type { Compute, Learning } from "../compute";
import { openKeeper } from "../labels";

/** What the session works with. Tests give others. */
export interface Services {
  readonly compute: () => Promise<Compute>;
  readonly learning: () => Promise<Learning>;
  readonly keeper: typeof openKeeper;
}

const missing = (what: string) => Promise.reject(new PageError("refused", `This page was built without ${what}.`));

/** Until the workers are there. */
export const noServices: Services = {
  compute: () => missing("a reader of stores"),
  learning: () => missing("learners"),
  keeper: openKeeper,
};
