// UMAP of the same vectors, ours and umap-js; how far each keeps neighbours is counted on a part of them, alike for both.
import { UMAP } from "umap-js";

import { startCompute, startStructure } from "../../web/src/compute";
import { trustworthiness } from "../../web/src/structure";

const COUNTED = 2000; // neighbours are ranked among all these, n^2

export async function umaps({ url, area, year, dims, count, epochs, which }) {
  const compute = await startCompute();
  await compute.open({ kind: "url", url });
  const loaded = await compute.load({ kind: "box", box: area }, year, dims);
  const { rows: block } = await loaded.sample(count, 1);
  const rows = { dims, codes: block.codes, scales: block.scales };
  compute.close();
  const began = performance.now();
  let points;
  let first;
  if (which === "ours") {
    const structure = startStructure();
    await structure.umap(rows, { epochs, neighbours: 15, seed: 0 }, (picture) => {
      first ??= performance.now() - began;
      points = picture.points;
    });
    structure.close();
  } else {
    const vectors = Array.from({ length: count }, (_, k) =>
      Array.from(rows.codes.subarray(k * dims, (k + 1) * dims), (code) => code * rows.scales[k]),
    );
    const made = await new UMAP({ nComponents: 2, nNeighbors: 15, nEpochs: epochs }).fitAsync(vectors);
    points = Float32Array.from(made.flat());
    first = performance.now() - began;
  }
  const seconds = performance.now() - began;
  const stride = Math.max(1, Math.floor(count / COUNTED));
  const some = Array.from({ length: Math.min(count, COUNTED) }, (_, k) => k * stride);
  const part = {
    dims,
    codes: Int8Array.from(some.flatMap((k) => [...rows.codes.subarray(k * dims, (k + 1) * dims)])),
    scales: Float32Array.from(some, (k) => rows.scales[k]),
  };
  const places = Float32Array.from(some.flatMap((k) => [points[2 * k], points[2 * k + 1]]));
  return { seconds: { first, all: seconds }, trust: trustworthiness(part, places, 15) };
}
