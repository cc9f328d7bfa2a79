import type { Component } from "svelte";

import type { Session } from "../session";
import Change from "./change/Change.svelte";
import Classify from "./classify/Classify.svelte";
import Find from "./find/Find.svelte";
import Label from "./label/Label.svelte";
import Look from "./look/Look.svelte";
import type { IconName } from "./parts/icons";
import Share from "./share/Share.svelte";
import Structure from "./structure/Structure.svelte";

export interface Panel {
  readonly id: string; // in the URL's hash
  readonly title: string;
  readonly icon: IconName;
  readonly component: Component<{ session: Session }>;
}

/** The panels, in the order of their tabs. A new one is a folder here, an entry, and its actions in session/. */
export const PANELS: readonly Panel[] = [
  { id: "look", title: "Look", icon: "look", component: Look },
  { id: "find", title: "Find", icon: "find", component: Find },
  { id: "label", title: "Label", icon: "label", component: Label },
  { id: "classify", title: "Classify", icon: "classify", component: Classify },
  { id: "structure", title: "Structure", icon: "structure", component: Structure },
  { id: "change", title: "Change", icon: "change", component: Change },
  { id: "share", title: "Share", icon: "share", component: Share },
];
