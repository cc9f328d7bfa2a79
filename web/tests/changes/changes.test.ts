import { describe, expect, it } from "vitest";

import { countTransitions, distances, findThreshold, Histogram, meanOf, timeline } from "../../src/changes";
import { javascriptKernels } from "../../src/kernels";
import { principalAxes } from "../../src/structure";
import axes from "../fixtures/structure/axes.json";
import told from "../fixtures/structure/changes.json";

const bytes = (text: string | undefined) => Uint8Array.from(Buffer.from(text ?? "", "base64")).buffer;
const year = (k: number) => ({
  dims: told.dims,
  codes: new Int8Array(bytes(told.codes[k])),
  scales: new Float32Array(bytes(told.scales[k])),
});

describe("distances between years", () => {
  const found = distances(year(0), year(1), javascriptKernels());

  it("are Python's bits", () => {
    expect(new Uint32Array(found.buffer)).toEqual(new Uint32Array(bytes(told.distances)));
    expect([...found.subarray(3, 6)]).toEqual([NaN, NaN, NaN]);
    expect(found[7]).toBe(0);
    expect(found[8]).toBe(1);
  });

  it("are no data outside the area", () => {
    const inside = new Uint8Array(found.length).fill(1);
    inside[0] = 0;
    expect(distances(year(0), year(1), javascriptKernels(), inside)[0]).toBeNaN();
  });

  it("have Python's thresholds", () => {
    const [all, same] = [new Histogram(), new Histogram()];
    all.add(found);
    same.add(found, (i) => i % 5 === 1);
    expect(findThreshold(all).distance).toBeCloseTo(told.robust, 6);
    expect(findThreshold(all, same).distance).toBeCloseTo(told.same, 9);
    expect(findThreshold(all).text).toMatch(/0.99 quantile of the lower log-normal part of 1,497 distances/);
    expect(findThreshold(all, same).text).toMatch(/rests on few pixels/);
    expect(() => findThreshold(new Histogram())).toThrow(/no pixel has data in both years/);
  });
});

describe("principal axes", () => {
  it("are Python's", () => {
    const found = principalAxes(
      { dims: axes.dims, codes: new Int8Array(bytes(axes.codes)), scales: new Float32Array(bytes(axes.scales)) },
      3,
    );
    axes.axes.forEach((value, i) => expect(found.axes[i]).toBeCloseTo(value, 6));
    axes.variances.forEach((value, i) => expect((found.variances[i] ?? 0) / value).toBeCloseTo(1, 6));
    axes.mean.forEach((value, i) => expect(found.mean[i]).toBeCloseTo(value, 7));
  });
});

describe("transitions", () => {
  it("count hectares over parts", () => {
    const first = countTransitions(Uint8Array.of(0, 0, 1, 255, 255), Uint8Array.of(0, 1, 1, 1, 255), 2);
    expect([...first.hectares]).toEqual([0.01, 0.01, 0, 0.01]);
    expect(first.left).toBe(0.01);
    const both = countTransitions(Uint8Array.of(1), Uint8Array.of(0), 2, first);
    expect([...both.hectares]).toEqual([0.01, 0.01, 0.01, 0.01]);
  });
});

describe("a line over the years", () => {
  it("leaves years without data open", () => {
    const one = meanOf(2019, Int8Array.of(1, 0, 3, 0), Float32Array.of(0.5, 0.5), 2);
    const gap = meanOf(2020, Int8Array.of(1, 1), Float32Array.of(NaN), 2);
    const turned = meanOf(2021, Int8Array.of(0, 9), Float32Array.of(0.1), 2);
    const line = timeline([one, gap, turned]);
    expect(line.map(({ pixels }) => pixels)).toEqual([2, 0, 1]);
    expect(line[0]).toMatchObject({ fromFirst: 0, fromBefore: NaN });
    expect(line[1]?.fromFirst).toBeNaN();
    expect(line[2]).toMatchObject({ fromFirst: 1, fromBefore: 1 });
  });
});
