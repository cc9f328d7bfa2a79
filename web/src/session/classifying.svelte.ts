import type { LonLat } from "../geo";
import type { Head, HeadKind, Samples } from "../heads";
import type { Report } from "../validation";

export interface Fitted {
  readonly head: Head;
  readonly samples: Samples;
  readonly count: number; // of samples
  readonly outside: number; // labels without data
}

/** A place where a label would help. */
export interface Next {
  readonly id: string;
  readonly at: LonLat;
  readonly unsure: number; // 0 to 1
}

/** The learner, its settings and what came of it. */
export class Classifying {
  learner = $state<HeadKind>("linear");
  settings = $state.raw<Readonly<Record<string, number | boolean>>>({});
  fitted = $state.raw<Fitted | undefined>();
  report = $state.raw<Report | undefined>(); // of the tests of what was fitted
  next = $state.raw<readonly Next[]>([]); // where to label next
  pixels = $state(0); // classified
  areas = $state.raw<readonly number[]>([]); // pixels of each class
  year = $state<number | undefined>(); // of the map
}
