import type { Head, HeadKind } from "../heads";

export interface Fitted {
  readonly head: Head;
  readonly count: number; // of samples
  readonly outside: number; // labels without data
}

/** The learner, its settings and what came of it. */
export class Classifying {
  learner = $state<HeadKind>("linear");
  settings = $state.raw<Readonly<Record<string, number | boolean>>>({});
  fitted = $state.raw<Fitted | undefined>();
  pixels = $state(0); // classified
  areas = $state.raw<readonly number[]>([]); // pixels of each class
  year = $state<number | undefined>(); // of the map
}
