import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  addClass,
  addLabels,
  begin,
  changeLabels,
  counts,
  inkOn,
  merge,
  nextColour,
  NOTHING,
  PALETTE,
  parseLabels,
  redo,
  removeClass,
  removeLabels,
  renameClass,
  settled,
  step,
  undo,
  type Label,
  type Labels,
} from "../../src/labels";

const point = (id: string, classId: number, extra: Partial<Label> = {}): Label => ({
  id,
  shape: { kind: "point", at: [5, 50] },
  classId,
  source: "click",
  ...extra,
});
const two = addClass(addClass(NOTHING, "forest"), "water");

describe("classes", () => {
  it("get colours of the palette and keys in their order", () => {
    expect(two.classes).toEqual([
      { id: 1, name: "forest", colour: PALETTE[0], key: "1" },
      { id: 2, name: "water", colour: PALETTE[1], key: "2" },
    ]);
    expect(removeClass(two, 1).classes).toEqual([{ id: 2, name: "water", colour: PALETTE[1], key: "1" }]);
    expect(nextColour([PALETTE[0], PALETTE[2]])).toBe(PALETTE[1]);
  });

  it("refuse a name that is there, and keep an id over a new name", () => {
    expect(() => addClass(two, " Forest ")).toThrow("There is a class “forest” already");
    expect(() => addClass(two, "\u0000 \n")).toThrow("without a name");
    expect(renameClass(two, 1, "Forest").classes[0]).toMatchObject({ id: 1, name: "Forest" });
  });

  it("take their labels with them", () => {
    const labels = addLabels(two, [point("a", 1), point("b", 2)]);
    expect(removeClass(labels, 1).labels.map((each) => each.id)).toEqual(["b"]);
    expect(() => addLabels(two, [point("a", 9)])).toThrow("choose a class");
  });

  it("have ink that is read on every colour of the palette", () => {
    expect(PALETTE.map(inkOn)).toContain("#ffffff");
    expect(inkOn("#f0e442")).toBe("#000000");
  });
});

describe("proposals", () => {
  it("teach only once they are accepted", () => {
    const labels = addLabels(two, [point("a", 1, { review: "proposed" }), point("b", 1)]);
    expect(settled(labels).map((each) => each.id)).toEqual(["b"]);
    expect(counts(changeLabels(labels, ["a"], { review: "accepted" })).get(1)).toBe(2);
    expect(counts(changeLabels(labels, ["a"], { review: "rejected" })).get(1)).toBe(1);
  });
});

describe("history", () => {
  it("undoes every step and does each again, in any order", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(9), fc.constantFrom("undo", "redo")), { maxLength: 60 }), (moves) => {
        let history = begin<number>(-1);
        let states = [-1];
        let at = 0;
        for (const move of moves) {
          if (move === "undo") [history, at] = [undo(history), Math.max(0, at - 1)];
          else if (move === "redo") [history, at] = [redo(history), Math.min(states.length - 1, at + 1)];
          else {
            const next = step(history, "set", Number(move));
            if (next !== history) [states, at] = [[...states.slice(0, at + 1), Number(move)], at + 1];
            history = next;
          }
          expect(history.now).toBe(states[at]);
          expect(history.past.length).toBe(at);
          expect(history.future.length).toBe(states.length - 1 - at);
        }
      }),
    );
  });
});

describe("two tabs", () => {
  const base = addLabels(two, [point("a", 1), point("b", 2)]);

  it("keep what each of them did", () => {
    const mine = addLabels(removeLabels(base, ["a"]), [point("mine", 1)]);
    const theirs = changeLabels(addLabels(base, [point("theirs", 2)]), ["b"], { classId: 1 });
    const both = merge(base, mine, theirs);
    expect(new Set(both.labels.map((each) => each.id))).toEqual(new Set(["b", "mine", "theirs"]));
    expect(both.labels.find((each) => each.id === "b")?.classId).toBe(1);
  });

  it("never leave a label without its class", () => {
    const both = merge(base, removeClass(base, 1), addLabels(base, [point("late", 1)]));
    expect(both.labels.map((each) => each.id)).toContain("late");
    expect(() => parseLabels(structuredClone(both))).not.toThrow();
  });

  it("make nothing of nothing new", () => {
    expect(merge(base, base, base)).toEqual(base);
  });
});

describe("kept labels", () => {
  const good: Labels = addLabels(two, [
    point("a", 1, { review: "proposed", group: "g" }),
    {
      id: "p",
      classId: 2,
      source: "polygon",
      shape: {
        kind: "polygon",
        rings: [
          [
            [0, 0],
            [1, 0],
            [1, 1],
            [0, 0],
          ],
        ],
      },
    },
  ]);

  it("come back as they were", () => {
    expect(parseLabels(JSON.parse(JSON.stringify(good)))).toEqual(good);
  });

  it("are refused in words where they are not ours", () => {
    for (const [value, words] of [
      [null, "no object"],
      [{ classes: [{ id: 1, name: "a", colour: "red" }], labels: [] }, "without a colour"],
      [{ classes: [], labels: [point("a", 1)] }, "not there"],
      [{ ...good, labels: [point("a", 1), point("a", 1)] }, "two labels"],
      [{ ...good, labels: [{ ...point("a", 1), shape: { kind: "point", at: [500, 0] } }] }, "500"],
    ] as const)
      expect(() => parseLabels(value)).toThrow(words);
    fc.assert(
      fc.property(fc.anything(), (value) => {
        try {
          parseLabels(value);
        } catch (error) {
          expect(String(error)).toContain("Kept labels cannot be read");
        }
      }),
    );
  });
});
