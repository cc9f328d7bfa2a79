import type { Query } from "../compute";
import type { LonLat, Pixel } from "../geo";

export interface Example {
  readonly id: string;
  readonly at: LonLat;
  readonly pixel: Pixel;
  readonly codes: Int8Array;
  readonly scale: number;
}

/** What is looked for, and what was found. */
export class Finding {
  positives = $state.raw<readonly Example[]>([]);
  negatives = $state.raw<readonly Example[]>([]);
  how = $state<Query["how"]>("best");
  threshold = $state(0.8);
  isChosen = false; // the user set the threshold
  range = $state.raw<readonly [low: number, high: number]>([0, 1]); // of the colours and of the slider
  pixels = $state(0); // with a score
  above = $state(0); // at or above the threshold
  best = $state<number | undefined>(); // the highest score
}
