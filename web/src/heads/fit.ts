import type { Running } from "../base";
import { learnerOf } from "./learners";
import { mapValues } from "./file";
import { untested } from "./metrics";
import type { Head, HeadInput, Samples } from "./types";

/** What a head is called and reads, besides its labels. */
export interface About {
  readonly classes: readonly string[];
  readonly colours: readonly string[]; // "#rrggbb" of each class
  readonly column: string;
  readonly input: HeadInput;
  readonly provenance?: Readonly<Record<string, unknown>>;
}

export type Settings = Readonly<Record<string, number | boolean>>;

/** Learn a head from labels; classes are all of `about`, each with a label. It says that it was not tested. */
export async function fitHead(
  samples: Samples,
  head: string,
  about: About,
  settings: Settings = {},
  seed = 0,
  running?: Running,
): Promise<Head> {
  const learner = learnerOf(head);
  const own = { ...learner.defaults, ...settings };
  const arrays = await learner.fit(samples, about.classes.length, own, seed, running);
  const labels = about.classes.map((_, index) => samples.target.filter((one) => one === index).length);
  return {
    head: learner.head,
    kind: "classification",
    classes: about.classes,
    values: mapValues(about.classes),
    colours: about.colours,
    column: about.column,
    inputs: [about.input],
    arrays,
    rest: {
      span: null,
      trust: null,
      applicability: null,
      metrics: untested(about.classes, labels, new Set(samples.groups).size),
      provenance: { made_by: "tessera page", seed, settings: own, ...about.provenance },
    },
  };
}
