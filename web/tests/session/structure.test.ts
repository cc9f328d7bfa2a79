import { beforeEach, describe, expect, it, vi } from "vitest";

import {
  choose,
  chooseGroup,
  choosePolygon,
  chooseRing,
  findGroups,
  groupsToClasses,
  growPicture,
  kindCounts,
  labelChosen,
  openStore,
  pointColourings,
  pointColours,
  pointKinds,
  proposeChosen,
  sampleArea,
  Session,
  setYear,
} from "../../src/session";
import { pixelAt } from "../../src/geo";
import { moved, paintPoints, toScreen, whole, zoomed, fromScreen } from "../../src/ui/structure/scatter";
import { calls, fakeServices, kindAt, place, WHOLE } from "./fake";

async function sampled(): Promise<Session> {
  const session = new Session(fakeServices());
  await openStore(session, { kind: "url", url: "http://localhost/store.zarr" });
  session.structuring.wanted = 2_000;
  await sampleArea(session);
  return session;
}

/** Around the cloud of a kind: see the fake. */
const around = (kind: number) =>
  [
    [10 * kind - 1, -1],
    [10 * kind + 2, -1],
    [10 * kind + 2, 3],
    [10 * kind - 1, 3],
  ] as const;

beforeEach(() => {
  calls.length = 0;
  vi.stubGlobal("innerWidth", 1280);
  vi.stubGlobal("devicePixelRatio", 1);
});

describe("a sample", () => {
  it("is shown along its axes, in the colours of the map", async () => {
    const session = await sampled();
    const { sample, drawing } = session.structuring;
    expect(sample?.pixels.length).toBe(2_000);
    expect(drawing?.points.length).toBe(4_000);
    expect(pointColourings(session)).toEqual(["colour"]);
    expect([...pointColours(session).subarray(0, 3)]).toEqual([200, 200, 200]);
    expect(pointKinds(session)).toBeUndefined();
  });

  it("has a lasso that chooses its pixels, which the map shows", async () => {
    const session = await sampled();
    await chooseRing(session, around(1));
    const { chosen, sample } = session.structuring;
    const right = sample?.pixels.flatMap((pixel, row) => (kindAt(pixel) === 1 ? [row] : []));
    expect([...chosen]).toEqual(right);
    expect(session.marks["structure"]?.length).toBe(chosen.length);
    await chooseRing(session, []);
    expect(session.structuring.chosen.length).toBe(0);
    expect(session.marks["structure"]).toEqual([]);
  });

  it("is chosen by a polygon on the map", async () => {
    const session = await sampled();
    const ring = [place(-0.5, -0.5), place(-0.5, 15.5), place(95.5, 15.5), place(95.5, -0.5), place(-0.5, -0.5)];
    await choosePolygon(session, [ring]);
    const { chosen, sample } = session.structuring;
    expect(chosen.length).toBeGreaterThan(200);
    const cols = Array.from(chosen, (row) => (sample?.pixels[row]?.col ?? 0) - WHOLE.col);
    expect([Math.min(...cols), Math.max(...cols)].map((each) => each >= 0 && each < 16)).toEqual([true, true]);
    expect(chosen.length).toBe(sample?.pixels.filter((pixel) => pixel.col - WHOLE.col < 16).length);
  });

  it("streams UMAP, and can be cancelled", async () => {
    const session = await sampled();
    const work = growPicture(session);
    expect(session.jobs.doing).toBe("working");
    await work;
    expect(session.structuring.how).toBe("umap");
    expect(session.structuring.drawing?.epoch).toBe(2);
    session.structuring.drawings = {};
    const other = growPicture(session);
    session.jobs.cancelAll();
    await other;
    expect(session.structuring.drawings.umap).toBeUndefined();
    expect(session.jobs.problem).toBeUndefined();
  });
});

describe("what is chosen", () => {
  it("is labelled with the number of a class, as one group and one step", async () => {
    const session = await sampled();
    session.labelling.addClass("beech");
    session.labelling.addClass("oak");
    expect(labelChosen(session, 1)).toBe(false);
    await chooseRing(session, around(2));
    const count = session.structuring.chosen.length;
    expect(labelChosen(session, 1)).toBe(true);
    const { labels } = session.labelling.labels;
    expect(labels.length).toBe(Math.min(1_000, count));
    expect(new Set(labels.map((each) => each.group)).size).toBe(1);
    expect(new Set(labels.map((each) => `${each.source} ${each.classId}`))).toEqual(new Set(["lasso 2"]));
    for (const each of labels) if (each.shape.kind === "point") expect(kindAt(pixelAt(each.shape.at, 31))).toBe(2);
    expect(pointColourings(session)).toContain("label");
    session.structuring.colouring = "label";
    const kinds = pointKinds(session);
    expect(kinds && kindCounts(kinds, session.structuring.chosen)[1]).toMatchObject({
      name: "oak",
      count: labels.length,
    });
    session.labelling.undo();
    expect(session.labelling.labels.labels).toHaveLength(0);
  });

  it("says so where there is no such class, and labels nothing", async () => {
    const session = await sampled();
    await chooseRing(session, around(0));
    expect(labelChosen(session, 7)).toBe(true);
    expect(session.words).toContain("no class 8");
    expect(session.labelling.labels.labels).toHaveLength(0);
  });

  it("is proposed, and teaches nothing until it is accepted", async () => {
    const session = await sampled();
    session.labelling.addClass("beech");
    choose(session, [1, 2, 3]);
    proposeChosen(session);
    expect(session.labelling.queue).toHaveLength(3);
    expect(session.labelling.counts.get(1)).toBe(0);
    expect(session.panel).toBe("label");
  });
});

describe("groups", () => {
  it("become classes with proposals in one step", async () => {
    const session = await sampled();
    session.labelling.addClass("Group 2");
    session.structuring.k = 3;
    await findGroups(session);
    expect(session.structuring.groups).toBe(3);
    expect(session.structuring.colouring).toBe("group");
    chooseGroup(session, 1);
    for (const row of session.structuring.chosen)
      expect(kindAt(session.structuring.sample?.pixels[row] ?? pixelAt([0, 0]))).toBe(1);
    groupsToClasses(session);
    const { classes, labels } = session.labelling.labels;
    expect(classes.map((each) => each.name)).toEqual(["Group 2", "Group 1", "Group 3", "Group 4"]);
    expect(labels).toHaveLength(300);
    expect(labels.every((each) => each.review === "proposed" && each.source === "cluster")).toBe(true);
    session.labelling.undo();
    expect(session.labelling.labels.classes).toHaveLength(1);
  });

  it("label as a cluster what they chose", async () => {
    const session = await sampled();
    session.labelling.addClass("a");
    session.structuring.k = 3;
    await findGroups(session);
    chooseGroup(session, 0);
    labelChosen(session, 0);
    expect(session.labelling.labels.labels[0]?.source).toBe("cluster");
  });

  it("go with a new store, and a sample tells its year", async () => {
    const session = await sampled();
    await setYear(session, 2022);
    expect(session.structuring.sample?.year).toBe(2023);
    await openStore(session, { kind: "url", url: "http://localhost/other.zarr" });
    expect(session.structuring.sample).toBeUndefined();
  });
});

describe("the picture on the canvas", () => {
  const points = Float32Array.from([0, 0, 10, 0, 10, 5, 0, 5]);

  it("shows all points, and keeps the place that is zoomed at", () => {
    const sight = whole(points, 200, 100);
    for (let row = 0; row < 4; row += 1) {
      const [x, y] = toScreen(sight, [points[2 * row] ?? 0, points[2 * row + 1] ?? 0], 200, 100);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(200);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(100);
    }
    const [near, far] = [zoomed(sight, 3, [150, 20], 200, 100), sight].map((each) =>
      fromScreen(each, [150, 20], 200, 100),
    );
    expect(near?.[0]).toBeCloseTo(far?.[0] ?? NaN, 9);
    expect(near?.[1]).toBeCloseTo(far?.[1] ?? NaN, 9);
    const [x, y] = toScreen(moved(sight, 7, -3), fromScreen(sight, [50, 50], 200, 100), 200, 100);
    expect([Math.round(x), Math.round(y)]).toEqual([57, 47]);
  });

  it("draws what is chosen in full and the others faded", () => {
    const image = { width: 50, height: 50, data: new Uint8ClampedArray(50 * 50 * 4), colorSpace: "srgb" } as ImageData;
    const colours = Uint8ClampedArray.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]);
    paintPoints(image, points, colours, Int32Array.of(1), whole(points, 50, 50), 1);
    const seen = new Set(
      Array.from({ length: 2_500 }, (_, at) => [...image.data.subarray(4 * at, 4 * at + 4)].join()).filter(
        (each) => each !== "0,0,0,0",
      ),
    );
    expect(seen).toEqual(new Set(["255,0,0,60", "0,255,0,255", "0,0,255,60", "9,9,9,60"]));
  });
});
