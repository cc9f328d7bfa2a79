const HECTARES = 0.01; // a pixel of 10 m
const NO_DATA = 255;

/** What became of each class: hectares from the class in the row to that in the column, counted pixels. */
export interface Transitions {
  readonly classes: number;
  readonly hectares: Float64Array; // (classes, classes)
  readonly left: number; // hectares without a class in one of the years
}

/** Count the pixels of two maps of the same places; add parts by passing what came before. */
export function countTransitions(
  before: Uint8Array,
  after: Uint8Array,
  classes: number,
  sum?: Transitions,
): Transitions {
  const hectares = sum
    ? Float64Array.from(sum.hectares, (value) => Math.round(value / HECTARES))
    : new Float64Array(classes ** 2);
  let left = Math.round((sum?.left ?? 0) / HECTARES);
  for (let i = 0; i < before.length; i++) {
    const [from, to] = [before[i] as number, after[i] as number];
    if (from === NO_DATA && to === NO_DATA) continue;
    if (from >= classes || to >= classes) left++;
    else hectares[from * classes + to] = (hectares[from * classes + to] as number) + 1;
  }
  return { classes, hectares: hectares.map((count) => count * HECTARES), left: left * HECTARES };
}
