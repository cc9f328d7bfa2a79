import { beforeEach, describe, expect, it, vi } from "vitest";

import { measureDrift } from "../../src/changes";
import {
  CHANGE,
  changeYears,
  driftWarning,
  followPlace,
  measureChange,
  openStore,
  Session,
  setChangeThreshold,
} from "../../src/session";
import { calls, DIMS, fakeServices, place, WHOLE } from "./fake";

async function opened(): Promise<Session> {
  const session = new Session(fakeServices());
  await openStore(session, { kind: "url", url: "http://localhost/store.zarr" });
  return session;
}

beforeEach(() => {
  calls.length = 0;
  vi.stubGlobal("innerWidth", 1280);
  vi.stubGlobal("devicePixelRatio", 1);
});

describe("change between two years", () => {
  it("is measured once, and another threshold only counts again", async () => {
    const session = await opened();
    const { changing } = session;
    expect(changeYears(session)).toEqual([2022, 2023]);
    await measureChange(session);
    expect(session.jobs.problem).toBeUndefined();
    expect(changing.found).toContain("quantile");
    expect(session.layer(CHANGE)?.paint.kind).toBe("scores");
    const before = calls.length;
    setChangeThreshold(session, 0.3);
    expect(changing.changed).toBe(16 * WHOLE.height);
    setChangeThreshold(session, 0.5); // above, not at: as Python
    expect(changing.changed).toBe(0);
    setChangeThreshold(session, 0);
    expect(changing.changed).toBe(changing.pixels);
    expect(calls.length).toBe(before);
  });

  it("tells with a head what became of each class, in hectares", async () => {
    const session = await opened();
    const means = new Int8Array(3 * DIMS);
    for (let at = 0; at < means.length; at += 1) means[at] = (at % DIMS) % 3 === Math.floor(at / DIMS) ? 100 : 5;
    session.classifying.fitted = {
      head: {
        head: "prototype",
        kind: "classification",
        classes: ["a", "b", "c"],
        values: [0, 1, 2],
        colours: ["#0072b2", "#e69f00", "#009e73"],
        column: "class",
        inputs: [],
        arrays: { means: { dtype: "int8", shape: [3, DIMS], data: means } },
        rest: {},
      },
      samples: {
        dims: DIMS,
        codes: new Int8Array(0),
        scales: new Float32Array(0),
        target: new Int32Array(0),
        groups: new Int32Array(0),
        places: new Float64Array(0),
      },
      count: 0,
      outside: 0,
    };
    await measureChange(session);
    const { became, found } = session.changing;
    expect(found).toContain("same class");
    const hectares = became?.transitions.hectares ?? new Float64Array(0);
    expect(hectares.reduce((a, b) => a + b, 0)).toBeCloseTo((WHOLE.height * WHOLE.width) / 100, 6);
    expect(hectares.filter((_, at) => at % 4 !== 0).every((each) => each === 0)).toBe(true);
    expect(became?.drift?.shift).toBe(0);
    expect(became && driftWarning(became)).toBe("");
  });
});

describe("a place over the years", () => {
  it("has a moment a year, as a pixel and as a polygon", async () => {
    const session = await opened();
    await followPlace(session, { kind: "point", at: place(3, 3) });
    expect(session.changing.line?.moments.map(({ year, pixels }) => [year, pixels])).toEqual([
      [2022, 1],
      [2023, 1],
    ]);
    expect(session.changing.line?.moments[1]?.fromFirst).toBeCloseTo(0, 6);
    const ring = [place(0, 0), place(0, 4), place(4, 4), place(4, 0), place(0, 0)];
    await followPlace(session, { kind: "polygon", rings: [ring] });
    expect(session.changing.line?.moments[0]?.pixels).toBeGreaterThan(8);
  });

  it("says in words that there is no data", async () => {
    const session = await opened();
    await followPlace(session, { kind: "point", at: place(-900, 3) });
    expect(session.jobs.problem?.message).toContain("no data");
  });
});

describe("drift of stable places", () => {
  it("is the shift over the spread of the class", () => {
    const rows = 400;
    const codes = Int8Array.from({ length: rows * 2 }, (_, at) => ((at >> 1) % 2 === 0 ? 10 : -10));
    const moved = codes.map((code) => code + 10);
    const scales = new Float32Array(rows).fill(1);
    const vectors = (part: Int8Array) => ({ codes: part, scales, dims: 2 });
    const drift = measureDrift(vectors(codes), vectors(moved), new Int32Array(rows), 1);
    // moved by 10 in both dims, spread 100 in each: sqrt((200 - 1) / 200)
    expect(drift?.shift).toBeCloseTo(Math.sqrt(199 / 200), 9);
    expect(measureDrift(vectors(codes), vectors(moved), new Int32Array(rows).fill(-1), 1)).toBeUndefined();
    const became = { classes: ["a"], colours: [], years: [2020, 2024], learnt: 2020, drift } as const;
    const transitions = { classes: 1, hectares: new Float64Array(1), left: 0 };
    expect(driftWarning({ ...became, transitions })).toContain("a head of 2020 misreads");
  });
});
