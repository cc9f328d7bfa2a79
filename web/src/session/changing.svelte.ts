import type { Drift, Moment, Transitions } from "../changes";

/** What became of each class, and what it was counted with. */
export interface Became {
  readonly transitions: Transitions;
  readonly classes: readonly string[];
  readonly colours: readonly string[];
  readonly years: readonly [from: number, to: number];
  readonly learnt: number | null; // the year that the head learnt from
  readonly drift: Drift | undefined;
}

/** A place or a polygon over all years. */
export interface Line {
  readonly name: string;
  readonly moments: readonly Moment[];
}

/** Two years of one area, and places over all years. */
export class Changing {
  from = $state<number | undefined>();
  to = $state<number | undefined>();
  years = $state.raw<readonly [from: number, to: number] | undefined>(); // of what is shown
  threshold = $state(0);
  most = $state(1); // end of the ramp and of the slider
  found = $state(""); // how the threshold was found, in words
  pixels = $state(0); // with data in both years
  changed = $state(0); // above the threshold
  became = $state.raw<Became | undefined>();
  line = $state.raw<Line | undefined>();

  clear(): void {
    [this.from, this.to, this.years, this.found] = [undefined, undefined, undefined, ""];
    [this.pixels, this.changed, this.became, this.line] = [0, 0, undefined, undefined];
  }
}
