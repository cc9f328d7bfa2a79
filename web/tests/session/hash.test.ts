import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatHash, parseHash, storeUrl, type HashState } from "../../src/session/hash";

const round = (digits: number) => (value: number) => Number(value.toFixed(digits));
const lon = fc.double({ min: -180, max: 180, noNaN: true }).map(round(6));
const lat = fc.double({ min: -85, max: 85, noNaN: true }).map(round(6));
const name = fc.stringMatching(/^[A-Za-zäß ~&=#%+|é]{1,20}$/).filter((each) => each.trim() !== "");

const state: fc.Arbitrary<HashState> = fc.record(
  {
    store: fc.constant("https://example.org/a%20b/store.zarr?x=1&y=2#no"),
    year: fc.integer({ min: 1970, max: 2200 }),
    compare: fc.integer({ min: 1970, max: 2200 }),
    view: fc.record({
      lon: lon.map(round(5)),
      lat: lat.map(round(5)),
      zoom: fc.double({ min: 0, max: 19, noNaN: true }).map(round(2)),
    }),
    panel: fc.constantFrom("look", "find", "label"),
    area: fc.constant({ kind: "box", box: [5.1, 50.2, 5.3, 50.4] } as const),
    threshold: fc.double({ min: -1, max: 1, noNaN: true }).map(round(3)),
    like: fc.array(fc.tuple(lon, lat), { minLength: 1, maxLength: 5 }),
    classes: fc.array(
      fc.record({
        name: name.map((each) => each.replaceAll("|", "/").trim()),
        colour: fc.constantFrom("#0072b2", "#e69f00"),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  },
  { requiredKeys: [] },
);

describe("a link", () => {
  it("says again what it was told", () => {
    const clean = (value: unknown) =>
      JSON.parse(JSON.stringify(value, (_, each: unknown) => (Object.is(each, -0) ? 0 : each)));
    fc.assert(
      fc.property(state, (each) => {
        expect(clean(parseHash(`#${formatHash(each)}`))).toEqual(clean(each));
      }),
    );
  });

  it("is believed only within bounds", () => {
    expect(parseHash("#year=99999&at=500,0,3&area=3,0,1,0&threshold=1e9&panel=<script>&like=1,2;x")).toEqual({});
    expect(parseHash("#store=javascript:alert(1)&year=2020")).toEqual({ year: 2020 });
    expect(parseHash(`#year=2020&x=${"y".repeat(20_000)}`)).toEqual({});
    expect(parseHash("#classes=0072b2~%3Cimg%20src%3Dx%3E|zzz~a")).toEqual({
      classes: [{ name: "<img src=x>", colour: "#0072b2" }],
    });
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseHash(text);
      }),
    );
  });

  it("takes no store with a password or of another kind", () => {
    expect(storeUrl("https://user:secret@example.org/")).toBeUndefined();
    expect(storeUrl("file:///etc/passwd")).toBeUndefined();
    expect(storeUrl("../store.zarr", "https://example.org/page/")).toBe("https://example.org/store.zarr");
  });
});
