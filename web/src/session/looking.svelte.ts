import type { Loaded } from "../compute";

export type Colours = "principal" | readonly [number, number, number];

/** What the Look panel is set to, and the blocks that are in memory. */
export class Looking {
  colours = $state.raw<Colours>("principal");
  loaded = $state.raw<Readonly<Record<number, Loaded>>>({}); // by year, all of one area
  compare = $state<number | undefined>(); // the year on the right of the swipe
  pixels = $state(0); // of what was coloured last
  preview = $state(false); // the store has a stored preview
}
