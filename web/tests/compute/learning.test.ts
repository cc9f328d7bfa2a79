import { describe, expect, it } from "vitest";

import { learningCalls, type LearningCalls } from "../../src/compute/learning";
import { Caller, serveCalls } from "../../src/compute/rpc";
import type { Samples } from "../../src/heads";
import { numbers, wasm } from "../kernels/made";

const about = {
  classes: ["crop", "wood"],
  colours: ["#123456", "#654321"],
  column: "class",
  input: { year: 2024, dims: 8, store: "", model: { name: "m", sha256: "ab".repeat(32), dims: 8, prefix_dims: [8] } },
};

/** Two classes far apart, in groups of four that lie kilometres apart. */
function labels(count: number): Samples {
  const next = numbers(4);
  const target = Int32Array.from({ length: count }, (_, row) => (row >> 2) % 2);
  return {
    dims: 8,
    codes: Int8Array.from({ length: count * 8 }, (_, at) => (target[at >> 3] ? 60 : -60) + Math.floor(next() * 40)),
    scales: new Float32Array(count).fill(0.01),
    target,
    groups: Int32Array.from({ length: count }, (_, row) => row >> 2),
    places: Float64Array.from({ length: count * 2 }, (_, at) => (at % 2 ? 50 : 5) + 0.2 * (at >> 3)),
  };
}

function worker(): Caller<LearningCalls> {
  const { port1, port2 } = new MessageChannel();
  serveCalls(
    port2,
    learningCalls(() => Promise.resolve(wasm)),
  );
  return new Caller<LearningCalls>(port1);
}

describe("the worker that learns", () => {
  it("tests a head, and tells how far it is", async () => {
    const far: number[] = [];
    const task = { samples: labels(80), head: "linear", about };
    const report = await worker().call("validate", task, { progress: (done) => far.push(done) });
    expect(report.macroF1.value).toBe(1);
    expect(report.unit).toBe("block");
    expect(far.at(-1)).toBe(10);
  });

  it("suggests where to label next", async () => {
    const samples = labels(80);
    const caller = worker();
    const head = await caller.call("fit", { samples, head: "linear", about, settings: {}, seed: 0 });
    const places = Float64Array.from({ length: 160 }, (_, at) => (at % 2 ? 0 : (at >> 1) * 200));
    const { codes, scales, dims } = samples;
    const labelled = { codes: codes.slice(0, 16), scales: scales.slice(0, 2), places: new Float64Array(4).fill(-1e6) };
    const found = await caller.call("suggest", {
      candidates: { dims, codes, scales, places },
      labelled,
      head,
      count: 3,
    });
    expect(found).toHaveLength(3);
    // both labels are of the first class, so the other one comes first
    expect(samples.target[found[0]?.index ?? 0]).toBe(1);
  });
});
