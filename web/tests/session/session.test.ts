import { beforeEach, describe, expect, it, vi } from "vitest";

import { boxOf } from "../../src/geo";
import {
  addExample,
  askedStore,
  compareWith,
  formatHash,
  hashState,
  learn,
  load,
  openStore,
  openUrl,
  parseHash,
  propose,
  readout,
  Session,
  setThreshold,
  setYear,
} from "../../src/session";
import { calls, fakeKeepers, fakeServices, kindAt, place, WHOLE } from "./fake";

const URL_ = "http://localhost/store.zarr";

async function opened(services = fakeServices()): Promise<Session> {
  const session = new Session(services);
  await openStore(session, { kind: "url", url: URL_ });
  return session;
}

beforeEach(() => {
  calls.length = 0;
  vi.stubGlobal("requestAnimationFrame", (then: () => void) => setTimeout(then, 0));
  vi.stubGlobal("cancelAnimationFrame", clearTimeout);
  vi.stubGlobal("innerWidth", 1280);
  vi.stubGlobal("devicePixelRatio", 1);
});

describe("opening", () => {
  it("shows the newest year, and colours at once where there is little", async () => {
    const session = await opened();
    expect(session.year).toBe(2023);
    expect(session.layers.map((each) => each.id)).toEqual(["colours-2023"]);
    expect(calls).toEqual(["load 2023", "colours"]);
    expect(session.jobs.doing).toBe("idle");
  });

  it("says what failed, and can be tried again", async () => {
    const session = new Session(fakeServices());
    await openStore(session, { kind: "url", url: "http://localhost/missing" });
    expect(session.jobs.problem?.message).toContain("gone");
    expect(session.jobs.problem?.retry).toBeDefined();
    expect(session.opener).toBe(true);
    await openUrl(session, "ftp://no");
    expect(session.jobs.problem?.message).toContain("expected one that begins with http");
  });

  it("finds the store in the address, or above the page", () => {
    const at = (href: string) => {
      const url = new URL(href);
      return askedStore({ href, search: url.search, hash: url.hash });
    };
    expect(at("http://h/x/page/")).toBe("http://h/x/");
    expect(at("http://h/x/page/?store=http://other/s.zarr")).toBe("http://other/s.zarr");
    expect(at("http://h/page/#store=http%3A%2F%2Fb%2Fs")).toBe("http://b/s");
    expect(at("http://h/tessera/")).toBeUndefined();
    expect(at("http://h/tessera/?store=javascript:1")).toBeUndefined();
  });
});

describe("blocks in memory", () => {
  it("are read once for a year and an area, and let go with the area", async () => {
    const session = await opened();
    await load(session);
    await load(session, 2022);
    await load(session);
    expect(calls.filter((each) => each.startsWith("load"))).toEqual(["load 2023", "load 2022"]);
    const [west, south, east, north] = boxOf(WHOLE);
    session.setArea({ kind: "box", box: [west, south, (west + east) / 2, north] });
    await load(session);
    expect(calls.filter((each) => each.startsWith("release")).sort()).toEqual(["release 2022", "release 2023"]);
  });

  it("are refused beyond the limit, before anything is read", async () => {
    const session = await opened();
    calls.length = 0;
    session.setArea({ kind: "box", box: [0, 40, 10, 50] });
    expect(session.tooMuch).toBe(true);
    expect(await load(session)).toBeUndefined();
    expect(session.jobs.problem?.message).toContain("Zoom in");
    expect(calls).toEqual([]);
  });
});

describe("finding", () => {
  it("scores the area, finds the example itself, and recounts without another score", async () => {
    const session = await opened();
    await addExample(session, place(10, 20), 1);
    expect(session.finding.best).toBeCloseTo(1, 5);
    const count = calls.length;
    setThreshold(session, 0.99);
    const few = session.finding.above;
    setThreshold(session, -1);
    expect(session.finding.above).toBe(session.finding.pixels);
    expect(few).toBeGreaterThan(0);
    expect(few).toBeLessThan(session.finding.pixels);
    expect(calls.length).toBe(count);
    expect(readout(session, place(10, 20))?.values[0]).toEqual(["Cosine", "1.000"]);
  });

  it("proposes labels that lie on what was found, and teach nothing yet", async () => {
    const session = await opened();
    session.labelling.addClass("stripe");
    await addExample(session, place(10, 20), 1);
    setThreshold(session, 0.9);
    propose(session);
    const { queue, counts } = session.labelling;
    expect(queue.length).toBeGreaterThan(3);
    expect(counts.get(1)).toBe(0);
    session.labelling.review("accepted");
    session.labelling.review("accepted");
    expect(session.labelling.counts.get(1)).toBe(1);
    session.labelling.reviewAll("rejected");
    expect(session.labelling.queue).toHaveLength(0);
    session.labelling.undo();
    expect(session.labelling.queue.length).toBeGreaterThan(2);
  });

  it("says in words that there is no data", async () => {
    const session = await opened();
    await addExample(session, place(-500, 0), 1);
    expect(session.jobs.problem?.message).toContain("no data");
    expect(session.finding.positives).toHaveLength(0);
  });
});

describe("classifying", () => {
  it("maps each stripe as its label, in the year that is shown", async () => {
    const session = await opened();
    const { labelling } = session;
    [0, 1, 2].forEach((kind) => labelling.addClass(`kind ${kind}`));
    for (const col of [4, 20, 36]) {
      labelling.choose(kindAt({ zone: 31, row: WHOLE.row, col: WHOLE.col + col }));
      labelling.draw({ kind: "point", at: place(8, col) });
    }
    await learn(session);
    expect(session.jobs.problem).toBeUndefined();
    expect(session.classifying.fitted?.count).toBe(3);
    const layer = session.layer("map-2023");
    expect(layer?.tiles.length).toBeGreaterThan(1);
    for (const { window, data } of layer?.tiles ?? [])
      data.forEach((each, index) =>
        expect(each).toBe(kindAt({ zone: 31, row: window.row, col: window.col + (index % window.width) })),
      );
    expect(session.classifying.areas.reduce((a, b) => a + b, 0)).toBe(session.classifying.pixels);
  });

  it("asks for labels of two classes", async () => {
    const session = await opened();
    session.labelling.addClass("one");
    session.labelling.draw({ kind: "point", at: place(8, 4) });
    await learn(session);
    expect(session.jobs.problem?.message).toContain("two or more");
  });
});

describe("labels", () => {
  it("stay when the year changes and come back after a reload", async () => {
    const services = fakeServices(fakeKeepers());
    const session = await opened(services);
    session.labelling.addClass("beech");
    session.labelling.draw({ kind: "point", at: place(1, 1) });
    session.labelling.draw({ kind: "stroke", path: [place(4, 4), place(4, 9)] });
    await setYear(session, 2022);
    expect(session.labelling.labels.labels).toHaveLength(2);
    expect(session.layers.map((each) => each.id)).toEqual(["colours-2022"]);
    const again = await opened(services);
    expect(again.labelling.labels).toEqual(session.labelling.labels);
  });

  it("of two tabs are both kept", async () => {
    const services = fakeServices(fakeKeepers());
    const [one, other] = [await opened(services), await opened(services)];
    one.labelling.addClass("beech");
    await vi.waitFor(() => expect(one.labelling.saved).toBe("kept"));
    other.labelling.step("class", () => ({ classes: [{ id: 7, name: "oak", colour: "#009e73" }], labels: [] }));
    await vi.waitFor(() => expect(other.labelling.saved).toBe("kept"));
    expect(new Set(other.labelling.labels.classes.map((each) => each.name))).toEqual(new Set(["beech", "oak"]));
  });

  it("undo and redo every step", async () => {
    const session = await opened();
    const { labelling } = session;
    labelling.addClass("a");
    labelling.draw({ kind: "point", at: place(1, 1) });
    labelling.renameClass(1, "b");
    labelling.recolourClass(1, "#d55e00");
    labelling.removeClass(1);
    const states = [labelling.labels];
    for (let count = 0; count < 5; count += 1) {
      labelling.undo();
      states.push(labelling.labels);
    }
    expect(labelling.labels).toEqual({ classes: [], labels: [] });
    for (let count = 4; count >= 0; count -= 1) {
      labelling.redo();
      expect(labelling.labels).toEqual(states[count]);
    }
  });
});

describe("sharing", () => {
  it("keeps the layers off that the link says are off, and lets them be shown again", async () => {
    const session = new Session(fakeServices());
    await openStore(session, { kind: "url", url: URL_ }, { hidden: ["colours-2023"] });
    expect(session.layer("colours-2023")?.visible).toBe(false);
    session.changeLayer("colours-2023", { visible: true });
    await setYear(session, 2022);
    await setYear(session, 2023);
    expect(session.layer("colours-2022")).toBeUndefined();
    expect(hashState(session).hidden).toBeUndefined();
  });

  it("carries what is seen to another browser, labels excepted", async () => {
    const session = await opened();
    session.labelling.addClass("beech", "#882255");
    await addExample(session, place(10, 20), 1);
    setThreshold(session, 0.75);
    await compareWith(session, 2022);
    const said = parseHash(formatHash(hashState(session)));
    const other = new Session(fakeServices());
    await openStore(other, { kind: "url", url: said.store ?? "" }, said);
    expect(other.year).toBe(2023);
    expect(other.finding.threshold).toBe(0.75);
    expect(other.labelling.labels.classes).toMatchObject([{ name: "beech", colour: "#882255" }]);
    expect(other.finding.positives).toHaveLength(1);
    expect(other.layer("scores")).toBeDefined();
    expect(said.compare).toBe(2022);
    expect(JSON.stringify(other.area)).toContain(JSON.stringify(said.area).slice(8, 20));
  });
});
