// Ours: blocks go to workers and are classified where they are.
import { startCompute, startLearning } from "../../web/src/compute";

export async function classify({ url, area, year, dims, labels, neighbours }) {
  const began = performance.now();
  const compute = await startCompute();
  const store = await compute.open({ kind: "url", url });
  const loaded = await compute.load({ kind: "box", box: area }, year, dims);
  const read = performance.now();
  const block = await loaded.gather(labels.pixels);
  const learning = startLearning();
  const samples = {
    dims,
    codes: block.codes,
    scales: block.scales,
    target: Int32Array.from(labels.classes),
    groups: Int32Array.from(labels.classes, (_, k) => k),
    places: Float64Array.from(labels.pixels.flatMap(({ zone, row, col }) => [zone, col * 10, -row * 10])),
  };
  const about = {
    classes: labels.names,
    colours: labels.names.map(() => "#123456"),
    column: "class",
    input: {
      year,
      dims,
      model: {
        name: store.model.name,
        sha256: store.model.sha256,
        dims: store.model.dims,
        prefix_dims: store.model.prefixDims,
      },
      store: store.name,
    },
  };
  const head = await learning.fit(samples, "knn", about, { neighbours }, 0);
  let first;
  const parts = [];
  await loaded.classify(head, ({ window, classes }) => {
    first ??= performance.now();
    parts.push({ window, classes });
  });
  const end = performance.now();
  const memory = await used();
  const map = mosaic(parts, labels.window);
  learning.close();
  compute.close();
  const seconds = { read: read - began, first: first - began, all: end - began };
  return { seconds, pixels: loaded.valid, memory, map, kernels: compute.kernels };
}

/** Bytes of the page and its workers, by the browser's own count. */
async function used() {
  return (await performance.measureUserAgentSpecificMemory()).bytes;
}

/** The classes of a window, as text of one sign a pixel: 255 is a dot. */
function mosaic(parts, { row, col, height, width }) {
  const all = new Uint8Array(height * width).fill(255);
  for (const { window, classes } of parts)
    for (let k = 0; k < classes.length; k += 1) {
      const [down, right] = [window.row + Math.floor(k / window.width) - row, window.col + (k % window.width) - col];
      if (down >= 0 && down < height && right >= 0 && right < width) all[down * width + right] = classes[k];
    }
  return [...all].map((each) => (each === 255 ? "." : String.fromCharCode(65 + each))).join("");
}
