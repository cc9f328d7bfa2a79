// A store of one zone whose pixels are of one of three kinds of land in stripes, and workers that are none.
import type { Compute, Learning, Loaded, StoreAddress, Structure } from "../../src/compute";
import { boxOf, contains, cover, lonLatOf, pixelAt, type Area, type Pixel, type Window } from "../../src/geo";
import type { Head } from "../../src/heads";
import { merge, type Keeper, type Labels } from "../../src/labels";
import type { Services } from "../../src/session/services";
import type { Block, Store } from "../../src/store";

export const DIMS = 16;
export const WHOLE: Window = { zone: 31, row: 372_000, col: 51_000, height: 96, width: 128 };
export const kindAt = (pixel: Pixel): number => Math.floor(pixel.col / 16) % 3;

function vector(pixel: Pixel): Int8Array {
  const kind = kindAt(pixel);
  return Int8Array.from({ length: DIMS }, (_, dim) => (dim % 3 === kind ? 100 : 5) + ((pixel.row * 7 + dim) % 3));
}

export function block(window: Window, pixels: readonly Pixel[]): Block {
  const codes = new Int8Array(pixels.length * DIMS);
  pixels.forEach((pixel, index) => codes.set(vector(pixel), index * DIMS));
  const scales = Float32Array.from(pixels, (pixel) => (contains(WHOLE, pixel) ? 0.01 : Infinity));
  return { window, dims: DIMS, codes, scales };
}

export const hasChanged = (pixel: Pixel): boolean => pixel.col - WHOLE.col < 16;

const pixelsOf = ({ zone, row, col, height, width }: Window): Pixel[] =>
  Array.from({ length: height * width }, (_, index) => ({
    zone,
    row: row + Math.floor(index / width),
    col: col + (index % width),
  }));

function cosine(a: Int8Array, b: Int8Array): number {
  let [dot, aa, bb] = [0, 0, 0];
  a.forEach((each, index) => {
    const other = b[index] ?? 0;
    [dot, aa, bb] = [dot + each * other, aa + each * each, bb + other * other];
  });
  return dot / Math.sqrt(aa * bb);
}

const plan = (area: Area) => cover(area, 64, () => [{ unit: 32, row: WHOLE.row, col: WHOLE.col, limits: WHOLE }]);

export function fakeStore(identity = "fake"): Store {
  return {
    name: "fake",
    identity,
    model: { name: "nano", sha256: "0".repeat(64), dims: DIMS, prefixDims: [DIMS] },
    years: [2022, 2023],
    zones: [31],
    etag: undefined,
    extent: () => Promise.resolve([boxOf(WHOLE)]),
    plan,
    read: (window) => Promise.resolve(block(window, pixelsOf(window))),
    points: (points) =>
      Promise.resolve(
        points.map((point) => {
          const pixel = pixelAt(point, 31);
          return { ...block({ ...pixel, height: 1, width: 1 }, [pixel]), pixel };
        }),
      ),
  };
}

export const calls: string[] = [];
let loads = 0;

function load(area: Area, year: number): Loaded {
  const windows = plan(area);
  const size = windows.reduce((sum, { height, width }) => sum + height * width, 0);
  return {
    id: (loads += 1),
    area,
    year,
    dims: DIMS,
    windows,
    pixels: size,
    valid: size,
    bytes: size * (DIMS + 4),
    classify: (head, got) => {
      calls.push("classify");
      const means = head.arrays["means"]?.data;
      if (!(means instanceof Int8Array)) throw new Error("no means");
      for (const window of windows) {
        const classes = Uint8Array.from(pixelsOf(window), (pixel) => {
          const scores = head.classes.map((_, k) => cosine(vector(pixel), means.subarray(k * DIMS, (k + 1) * DIMS)));
          return scores.indexOf(Math.max(...scores));
        });
        got({ window, classes, confidence: new Uint8Array(classes.length) });
      }
      return Promise.resolve();
    },
    score: (query, got) => {
      calls.push("score");
      for (const window of windows) {
        const scores = Float32Array.from(pixelsOf(window), (pixel) =>
          Math.max(
            ...Array.from(query.positive.scales, (_, k) =>
              cosine(vector(pixel), query.positive.codes.subarray(k * DIMS, (k + 1) * DIMS)),
            ),
          ),
        );
        got({ window, scores });
      }
      return Promise.resolve();
    },
    // the first stripe of kind 0 has changed in 2023, the others moved by a little
    distances: (other, got) => {
      calls.push("distances");
      for (const window of windows)
        got({
          window,
          scores: Float32Array.from(pixelsOf(window), (pixel) =>
            other.year === year ? 0 : hasChanged(pixel) ? 0.5 : 0.01 + ((pixel.row * 31 + pixel.col * 17) % 97) / 1e4,
          ),
        });
      return Promise.resolve();
    },
    colours: (_, got) => {
      calls.push("colours");
      for (const window of windows)
        got({ window, rgba: new Uint8ClampedArray(window.height * window.width * 4).fill(200) });
      return Promise.resolve();
    },
    gather: (pixels) => Promise.resolve(block({ ...WHOLE, height: pixels.length, width: 1 }, pixels)),
    sample: (count) => {
      calls.push("sample");
      const all = windows.flatMap(pixelsOf);
      const stride = Math.max(1, Math.floor(all.length / count));
      const pixels = all.filter((_, index) => index % stride === 0).slice(0, count);
      return Promise.resolve({ pixels, rows: block({ ...WHOLE, height: pixels.length, width: 1 }, pixels) });
    },
    release: () => void calls.push(`release ${year}`),
  };
}

const compute: Compute = {
  kernels: "js",
  open: (address: StoreAddress) =>
    address.kind === "url" && address.url.includes("missing")
      ? Promise.reject(new Error("gone"))
      : Promise.resolve(fakeStore(address.kind === "url" ? address.url : "other")),
  load: (area, year) => {
    calls.push(`load ${year}`);
    return Promise.resolve(load(area, year));
  },
  close: () => undefined,
};

const learning: Learning = {
  close: () => undefined,
  validate: () => Promise.reject(new DOMException("cancelled", "AbortError")),
  suggest: ({ candidates }) => Promise.resolve([{ index: candidates.scales.length - 1, unsure: 0.5, gain: 0.1 }]),
  fit: (samples, kind, { classes, colours }) => {
    const means = new Int8Array(classes.length * DIMS);
    samples.target.forEach((target, row) =>
      means.set(samples.codes.subarray(row * DIMS, (row + 1) * DIMS), target * DIMS),
    );
    const head: Head = {
      head: kind === "prototype" ? "prototype" : "linear",
      kind: "classification",
      classes,
      values: classes.map((_, index) => index),
      colours,
      column: "class",
      inputs: [],
      arrays: { means: { dtype: "int8", shape: [classes.length, DIMS], data: means } },
      rest: {},
    };
    return Promise.resolve(head);
  },
};

/** Two tabs of one browser share what is kept. */
export function fakeKeepers(): (
  identity: string,
  changed: (both: (mine: Labels) => Labels) => void,
) => Promise<Keeper> {
  const kept = new Map<string, Labels>();
  return (identity) => {
    let seen: Labels = { classes: [], labels: [] };
    return Promise.resolve({
      load: () => {
        seen = kept.get(identity) ?? seen;
        return Promise.resolve(kept.get(identity));
      },
      save: (labels) => {
        const there = kept.get(identity);
        const next = there === undefined || there === seen ? labels : merge(seen, labels, there);
        kept.set(identity, next);
        seen = next;
        return Promise.resolve(next === labels ? undefined : next);
      },
      close: () => undefined,
    });
  };
}

/** A picture in which each kind of land is a cloud around a place of its own: 0, 10 and 20 to the right. */
const kindOfRow = ({ codes, dims }: { codes: Int8Array; dims: number }, row: number) =>
  [0, 1, 2].find((kind) => (codes[row * dims + kind] ?? 0) > 50) ?? 0;

const structure: Structure = {
  principal: (rows) =>
    Promise.resolve(
      Float32Array.from({ length: 2 * rows.scales.length }, (_, index) =>
        index % 2 === 0 ? 10 * kindOfRow(rows, index / 2) + (index % 7) / 10 : (index % 11) / 10,
      ),
    ),
  umap: async (rows, _, got, running) => {
    for (const epoch of [0, 1, 2]) {
      await Promise.resolve();
      running?.signal?.throwIfAborted();
      running?.progress?.(epoch, 2, "epochs");
      got({ points: new Float32Array(2 * rows.scales.length).fill(epoch), epoch, epochs: 2 });
    }
  },
  kmeans: (rows, groups) =>
    Promise.resolve({
      centres: { dims: rows.dims, codes: new Int8Array(groups * rows.dims), scales: new Float32Array(groups).fill(1) },
      member: Int32Array.from(rows.scales, (_, row) => Math.min(groups - 1, kindOfRow(rows, row))),
    }),
  close: () => void calls.push("structure closed"),
};

export function fakeServices(keeper = fakeKeepers()): Services {
  return {
    compute: () => Promise.resolve(compute),
    learning: () => Promise.resolve(learning),
    structure: () => structure,
    keeper,
  };
}

export const place = (row: number, col: number) => lonLatOf({ zone: 31, row: WHOLE.row + row, col: WHOLE.col + col });
