// The peer: zarrita reads one chunk at a time, four at once; codes become Float32; each chunk is one product of matrices.
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-webgl";

import * as tf from "@tensorflow/tfjs-core";
import * as zarr from "zarrita";

const AT_ONCE = 4;

export async function classify({ url, dims, group, time, labels, neighbours, backend, most }) {
  const began = performance.now();
  await tf.setBackend(backend);
  await tf.ready();
  const root = zarr.root(new zarr.FetchStore(`${url.replace(/\/$/, "")}/${group}`));
  const [codes, scales] = await Promise.all(
    ["embeddings", "scales"].map((name) => zarr.open.v3(root.resolve(name), { kind: "array" })),
  );
  const { row, col, height, width } = labels.window;
  const chunk = codes.chunks[2];
  const pieces = [];
  for (let down = Math.floor(row / chunk); down * chunk < row + height; down += 1)
    for (let right = Math.floor(col / chunk); right * chunk < col + width; right += 1)
      pieces.push({
        top: Math.max(row, down * chunk),
        bottom: Math.min(row + height, (down + 1) * chunk),
        left: Math.max(col, right * chunk),
        right: Math.min(col + width, (right + 1) * chunk),
      });
  const data = new Float32Array(height * width * dims).fill(NaN); // tze keeps the region as Float32
  const read = async ({ top, bottom, left, right }) => {
    const [rows, cols] = [zarr.slice(top, bottom), zarr.slice(left, right)];
    const [values, sizes] = await Promise.all([
      zarr.get(codes, [time, zarr.slice(0, dims), rows, cols]),
      zarr.get(scales, [time, rows, cols]),
    ]);
    const across = right - left;
    const [band, line, step] = values.stride;
    for (let k = 0; k < sizes.data.length; k += 1) {
      const at = ((top - row + Math.floor(k / across)) * width + left - col + (k % across)) * dims;
      const from = Math.floor(k / across) * line + (k % across) * step;
      for (let d = 0; d < dims; d += 1) data[at + d] = values.data[from + d * band] * sizes.data[k];
    }
  };
  const queue = pieces.slice(0, most ?? pieces.length);
  const count = queue.length;
  const rest = queue.slice();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = rest.shift(); next; next = rest.shift()) await read(next);
    }),
  );
  const done = performance.now();
  const map = new Uint8Array(height * width).fill(255);
  const known = labels.pixels.map((each) => (each.row - row) * width + each.col - col);
  const there = known.map((at) => !Number.isNaN(data[at * dims]));
  const vectors = known.filter((_, k) => there[k]);
  const targets = labels.classes.filter((_, k) => there[k]);
  const matrix = tf.tidy(() => unit(tf.tensor2d(vectors.map((at) => [...data.subarray(at * dims, (at + 1) * dims)]))));
  let first;
  for (const { top, bottom, left, right } of queue) {
    const [down, across] = [bottom - top, right - left];
    const part = new Float32Array(down * across * dims);
    for (let line = 0; line < down; line += 1) {
      const at = ((top - row + line) * width + left - col) * dims;
      part.set(data.subarray(at, at + across * dims), line * across * dims);
    }
    const best = tf.tidy(() => {
      const rows = unit(tf.tensor2d(part, [down * across, dims]));
      return tf.topk(tf.matMul(rows, matrix, false, true), neighbours).indices;
    });
    const near = await best.data();
    best.dispose();
    for (let k = 0; k < down * across; k += 1) {
      if (Number.isNaN(part[k * dims])) continue;
      const votes = new Map();
      for (let j = 0; j < neighbours; j += 1) {
        const target = targets[near[k * neighbours + j]];
        votes.set(target, (votes.get(target) ?? 0) + 1);
      }
      const [winner] = [...votes].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0];
      map[(top - row + Math.floor(k / across)) * width + left - col + (k % across)] = winner;
    }
    first ??= performance.now();
  }
  const end = performance.now();
  return {
    seconds: { read: done - began, first: first - began, all: end - began },
    share: count / pieces.length,
    memory: (await performance.measureUserAgentSpecificMemory()).bytes,
    map: [...map].map((each) => (each === 255 ? "." : String.fromCharCode(65 + each))).join(""),
  };
}

function unit(rows) {
  return tf.div(rows, tf.norm(rows, 2, 1, true));
}
