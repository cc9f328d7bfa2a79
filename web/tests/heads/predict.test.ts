import { describe, expect, it } from "vitest";

import { predictor, readHead, writeHead, type Head } from "../../src/heads";
import type { Kernels } from "../../src/kernels";
import { js, wasm } from "../kernels/made";
import { bytesOf, keptOf, NAMES } from "./kept";

const KERNELS: readonly [string, Kernels][] = [
  ["wasm", wasm],
  ["js", js],
];

function closest(found: ArrayLike<number>, want: ArrayLike<number>): number {
  let most = 0;
  for (let at = 0; at < want.length; at++) {
    const [one, other] = [found[at] ?? NaN, want[at] ?? NaN];
    if (Number.isNaN(one) !== Number.isNaN(other)) return Infinity;
    if (!Number.isNaN(one)) most = Math.max(most, Math.abs(one - other) / Math.max(1, Math.abs(other)));
  }
  return found.length === want.length ? most : Infinity;
}

describe.each(NAMES)("the head %s of Python", (name) => {
  const head = readHead(bytesOf(name), name);
  const kept = keptOf(name);
  const network = head.head === "mlp";

  it.each(KERNELS)("predicts the same in %s", async (_, kernels) => {
    const predicts = predictor(head, kernels);
    if (!head.classes.length) {
      const found = await predicts.numbers(kept.parts);
      if (network) expect(closest(found, kept.numbers)).toBeLessThan(1e-5);
      else expect(found).toEqual(kept.numbers);
      return;
    }
    const { classes, confidence } = await predicts.classify(kept.parts);
    const map = classes.map((found) => head.values[found] ?? 255);
    expect(map).toEqual(kept.map);
    const probabilities = await predicts.probabilities(kept.parts);
    expect(closest(probabilities, kept.probabilities ?? [])).toBeLessThan(network ? 1e-5 : 1e-6);
    classes.forEach((found, p) => {
      const sure = probabilities[p * head.classes.length + found] ?? NaN;
      if (found === 255) expect(confidence[p]).toBe(255);
      else expect(Math.abs((confidence[p] ?? 0) - sure * 254)).toBeLessThan(0.51);
    });
  });

  it("is written as it was read", () => {
    expect(readHead(writeHead(head), name)).toEqual(head);
    expect(JSON.parse(new TextDecoder().decode(writeHead(head)))).toEqual(
      JSON.parse(new TextDecoder().decode(bytesOf(name))),
    );
  });
});

describe("a predictor", () => {
  const head = readHead(bytesOf("linear"), "linear");
  const { parts } = keptOf("linear");
  const [part] = parts;
  const tiled = (times: number) => ({
    dims: 128,
    codes: Int8Array.from({ length: times * 400 * 128 }, (_, at) => part?.codes[at % (400 * 128)] ?? 0),
    scales: Float32Array.from({ length: times * 400 }, (_, at) => part?.scales[at % 400] ?? 0),
  });

  it("leaves out what is outside", async () => {
    const inside = new Uint8Array(400).map((_, p) => p % 2);
    const whole = await predictor(head, wasm).classify(parts);
    const half = await predictor(head, wasm).classify(parts, inside);
    half.classes.forEach((found, p) => expect(found).toBe(p % 2 ? whole.classes[p] : 255));
  });

  it("reads the first codes of longer vectors", async () => {
    const short: Head = readHead(bytesOf("prototype"), "prototype");
    const first = parts.map((one) => ({
      dims: 16,
      scales: one.scales,
      codes: Int8Array.from({ length: 400 * 16 }, (_, at) => one.codes[Math.floor(at / 16) * 128 + (at % 16)] ?? 0),
    }));
    expect(await predictor(short, wasm).classify(parts)).toEqual(await predictor(short, js).classify(first));
  });

  it("tells how far it is, and ends when it is cancelled", async () => {
    const far: number[] = [];
    const stop = new AbortController();
    const running = {
      signal: stop.signal,
      progress: (done: number) => {
        far.push(done);
        if (far.length === 2) stop.abort();
      },
    };
    await expect(predictor(head, wasm).classify([tiled(50)], undefined, running)).rejects.toThrow();
    expect(far).toEqual([4096, 8192]);
  });

  it("refuses vectors of other dims in words", async () => {
    await expect(predictor(head, js).classify([])).rejects.toThrow(/the head reads 128/);
    await expect(predictor(readHead(bytesOf("mlp-numbers"), "m"), js).classify(parts)).rejects.toThrow(/numbers/);
  });
});
