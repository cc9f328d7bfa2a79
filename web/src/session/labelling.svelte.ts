import {
  addClass,
  addLabels,
  begin,
  changeLabels,
  counts,
  isColour,
  type Keeper,
  type Label,
  type LabelClass,
  type Labels,
  NOTHING,
  openKeeper,
  proposed,
  recolourClass,
  redo,
  removeClass,
  removeLabels,
  renameClass,
  step,
  undo,
} from "../labels";
import type { Drawn } from "../map";
import { strokeRings } from "./brush";

export type Saved = "no" | "saving" | "kept" | "failed";

/** Labels of the open store: each step can be undone and is kept in the browser. They belong to no year. */
export class Labelling {
  history = $state.raw(begin<Labels>(NOTHING));
  classId = $state<number | undefined>();
  chosen = $state<string | undefined>(); // id of a label
  saved = $state<Saved>("no");
  brush = $state(20); // metres
  readonly labels: Labels = $derived(this.history.now);
  readonly counts: ReadonlyMap<number, number> = $derived(counts(this.labels));
  readonly queue: readonly Label[] = $derived(proposed(this.labels));
  readonly active: LabelClass | undefined = $derived(
    this.labels.classes.find((each) => each.id === this.classId) ?? this.labels.classes[0],
  );
  private keeper: Keeper | undefined;
  private last = 0;
  private readonly tell: (words: string) => void;
  private readonly fail: (error: unknown) => void;

  constructor(tell: (words: string) => void, fail: (error: unknown) => void) {
    this.tell = tell;
    this.fail = fail;
  }

  /** Labels of a store, as this browser kept them. */
  async open(identity: string, keeper: typeof openKeeper = openKeeper): Promise<void> {
    // what was made before any store was open becomes the store's, unless it has labels already
    const loose = this.keeper ? NOTHING : this.labels;
    this.close();
    this.history = begin(NOTHING);
    try {
      const opened = await keeper(identity, (both) => {
        this.history = step(this.history, "labels from another tab", both(this.labels));
        this.tell("Labels that another tab saved were added.");
      });
      this.keeper = opened;
      const kept = await opened.load();
      if (kept) {
        this.history = begin(kept);
        this.saved = "kept";
      } else if (loose.classes.length > 0) this.step("labels from before", () => loose);
    } catch (error) {
      this.keeper = undefined;
      this.saved = "failed";
      this.fail(error);
    }
  }

  close(): void {
    this.keeper?.close();
    this.keeper = undefined;
    this.saved = "no";
  }

  /** One step. All changes of labels go through here. */
  step(name: string, next: (labels: Labels) => Labels): boolean {
    try {
      const history = step(this.history, name, next(this.labels));
      if (history === this.history) return true;
      this.history = history;
    } catch (error) {
      this.fail(error);
      return false;
    }
    void this.save();
    return true;
  }

  private async save(): Promise<void> {
    const { keeper } = this;
    if (!keeper) return;
    const turn = (this.last += 1);
    this.saved = "saving";
    try {
      const merged = await keeper.save(this.labels);
      if (merged) this.history = step(this.history, "labels from another tab", merged);
      if (turn === this.last) this.saved = "kept";
    } catch (error) {
      this.saved = "failed";
      this.fail(error);
    }
  }

  undo(): void {
    const name = this.history.past.at(-1)?.name;
    if (name === undefined) return this.tell("Nothing to undo.");
    this.history = undo(this.history);
    this.tell(`Undone: ${name}.`);
    void this.save();
  }

  redo(): void {
    const name = this.history.future[0]?.name;
    if (name === undefined) return this.tell("Nothing to redo.");
    this.history = redo(this.history);
    this.tell(`Done again: ${name}.`);
    void this.save();
  }

  addClass(name: string, colour?: string): void {
    const done = this.step(`class “${name.trim()}”`, (labels) => addClass(labels, name, colour));
    if (done) this.classId = this.labels.classes.at(-1)?.id;
  }

  renameClass(id: number, name: string): void {
    this.step("new name of a class", (labels) => renameClass(labels, id, name));
  }

  recolourClass(id: number, colour: string): void {
    if (isColour(colour)) this.step("new colour of a class", (labels) => recolourClass(labels, id, colour));
  }

  removeClass(id: number): void {
    this.step("class removed", (labels) => removeClass(labels, id));
  }

  choose(index: number): void {
    const found = this.labels.classes[index];
    if (!found) return this.tell(`There is no class ${index + 1}.`);
    this.classId = found.id;
    this.tell(`Class ${found.name}.`);
  }

  /** What was drawn becomes a label of the chosen class. */
  draw(drawn: Drawn): void {
    const active = this.active;
    if (!active) return this.tell("Add a class first.");
    const id = crypto.randomUUID();
    const label: Label =
      drawn.kind === "point"
        ? { id, shape: drawn, classId: active.id, source: "click" }
        : drawn.kind === "polygon"
          ? { id, shape: { kind: "polygon", rings: drawn.rings }, classId: active.id, source: "polygon", group: id }
          : {
              id,
              shape: { kind: "polygon", rings: strokeRings(drawn.path, this.brush) },
              classId: active.id,
              source: "brush",
              group: id,
            };
    const words = { point: "point", polygon: "polygon", stroke: "brush stroke" }[drawn.kind];
    if (this.add([label], `${words} of ${active.name}`)) this.tell(`A ${words} of ${active.name}. ${this.told()}`);
  }

  add(labels: readonly Label[], name: string): boolean {
    return this.step(name, (all) => addLabels(all, labels));
  }

  remove(ids: readonly string[]): void {
    if (ids.includes(this.chosen ?? "")) this.chosen = undefined;
    this.step(ids.length === 1 ? "label removed" : `${ids.length} labels removed`, (all) => removeLabels(all, ids));
  }

  reclass(ids: readonly string[], classId: number): void {
    this.step("labels to another class", (all) => changeLabels(all, ids, { classId }));
  }

  /** The next or previous proposed label becomes the chosen one. */
  browse(by: 1 | -1): Label | undefined {
    const at = this.queue.findIndex((each) => each.id === this.chosen);
    const count = this.queue.length;
    const next = this.queue[at < 0 ? (by > 0 ? 0 : count - 1) : (at + by + count) % count];
    if (next) this.chosen = next.id;
    else this.tell("There is no proposed label.");
    return next;
  }

  /** Accepts or rejects the chosen proposal, and goes on to the next. */
  review(answer: "accepted" | "rejected"): Label | undefined {
    const id = this.queue.find((each) => each.id === this.chosen)?.id;
    if (id === undefined) return this.browse(1);
    const next = this.browse(1);
    this.step(answer === "accepted" ? "proposal accepted" : "proposal rejected", (all) =>
      answer === "accepted" ? changeLabels(all, [id], { review: answer }) : removeLabels(all, [id]),
    );
    if (next?.id === id) this.chosen = undefined;
    this.tell(`${answer === "accepted" ? "Accepted" : "Rejected"}; ${this.queue.length} to go.`);
    return next?.id === id ? undefined : next;
  }

  reviewAll(answer: "accepted" | "rejected"): void {
    const ids = this.queue.map((each) => each.id);
    this.step(`all proposals ${answer}`, (all) =>
      answer === "accepted" ? changeLabels(all, ids, { review: answer }) : removeLabels(all, ids),
    );
  }

  private told(): string {
    const count = this.labels.labels.length;
    return count === 1 ? "1 label." : `${count} labels.`;
  }
}
