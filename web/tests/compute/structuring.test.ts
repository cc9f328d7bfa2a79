import { describe, expect, it } from "vitest";

import { startStructure } from "../../src/compute";
import { serveCalls, type Port } from "../../src/compute/rpc";
import { structureCalls } from "../../src/compute/structuring";
import { clusters } from "../structure/clusters";

/** The worker's code in this thread, behind a real channel. */
function here(): Port & { terminate(): void } {
  const { port1, port2 } = new MessageChannel();
  serveCalls(port2, structureCalls());
  return Object.assign(port1 as Port, {
    terminate: () => {
      port1.close();
      port2.close();
    },
  });
}

describe("the structure worker", () => {
  it("streams pictures, finds groups, and can be cancelled", async () => {
    const structure = startStructure(here);
    const { rows, member } = clusters(300, 4, 16, 3);
    const epochs: number[] = [];
    await structure.umap(rows, { epochs: 40, every: 10 }, ({ epoch }) => epochs.push(epoch));
    expect(epochs).toEqual([0, 10, 20, 30, 40]);
    const found = await structure.kmeans(rows, 4, 1);
    expect(new Set([...found.member].map((group, i) => `${group} ${member[i]}`)).size).toBe(4);
    expect((await structure.principal(rows)).length).toBe(600);
    const stop = new AbortController();
    const run = structure.umap(rows, { epochs: 100_000 }, () => stop.abort(), { signal: stop.signal });
    await expect(run).rejects.toThrow(/cancel|abort/i);
    structure.close();
    await expect(structure.principal(rows)).rejects.toThrow(/closed/);
  });
});
