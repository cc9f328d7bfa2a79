import type { Mark } from "../map";
import type { Session } from "./session.svelte";

/** Labels as the map shows them. */
export function labelMarks(session: Session): readonly Mark[] {
  const { labels, chosen } = session.labelling;
  const colours = new Map(labels.classes.map((each) => [each.id, each.colour]));
  return labels.labels
    .filter((each) => each.review !== "rejected")
    .map((each) => ({
      id: each.id,
      shape: each.shape,
      colour: colours.get(each.classId) ?? "#888888",
      look: each.id === chosen ? "chosen" : each.review === "proposed" ? "proposed" : "label",
    }));
}
