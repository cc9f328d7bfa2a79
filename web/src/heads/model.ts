import {
  MOST_DIMS,
  type BoostingArrays,
  type ForestArrays,
  type KnnArrays,
  type LinearArrays,
  type MlpArrays,
  type TreeArrays,
} from "../kernels";
import { lengthOf, named, take, targetOf } from "./arrays";
import type { Head } from "./types";
import { refuse } from "./values";

/** What the kernels take, of a head whose arrays were checked as docs/head-format.md says. */
export type Model =
  | { readonly run: "linear"; readonly arrays: LinearArrays }
  | { readonly run: "knn"; readonly arrays: KnnArrays }
  | { readonly run: "forest"; readonly arrays: ForestArrays }
  | { readonly run: "boosting"; readonly arrays: BoostingArrays }
  | { readonly run: "mlp"; readonly arrays: MlpArrays };

const PARTS = 64;
const LARGEST = 1e200; // of a linear head's numbers; products with codes then stay finite
const LARGEST_LEAF = 1e30;
const MOST_TREES = 10_000;
const MOST_DEPTH = 128;
const [LAYERS, WIDTH] = [8, 2048];
const MOST_NEIGHBOURS = 1000; // each costs time at each pixel

export type Fields = Pick<Head, "head" | "classes" | "inputs" | "arrays">;

export function modelOf(head: Fields): Model {
  const widths = head.inputs.map((input) => input.dims);
  const dims = widths.reduce((sum, width) => sum + width, 0);
  if (widths.some((width) => width > MOST_DIMS)) {
    refuse(`an input of ${Math.max(...widths)} dims; this page reads at most ${MOST_DIMS}`);
  }
  const columns = Math.max(1, head.classes.length);
  switch (head.head) {
    case "linear":
    case "prototype":
      return { run: "linear", arrays: linear(head, widths, dims, columns) };
    case "knn":
      return { run: "knn", arrays: knn(head, widths, dims) };
    case "forest":
      return { run: "forest", arrays: forest(head, dims, columns) };
    case "boosting":
      return { run: "boosting", arrays: boosting(head, dims, columns) };
    case "mlp":
      return { run: "mlp", arrays: mlp(head, dims, columns) };
  }
}

/** Heads of codes name the dims of each part; they are those of the inputs. */
function expectParts({ arrays, head }: Fields, widths: readonly number[]): void {
  if (arrays["mean"]) {
    refuse(`a ${head} head of an earlier release, which standardises features; fit it again with tessera fit`);
  }
  const found = take(arrays, "widths", "int32", [lengthOf(arrays, "widths")]);
  if (found.length > PARTS || found.join() !== widths.join()) {
    refuse(`parts of ${found.join(" + ")} dims and inputs of ${widths.join(" + ")}; expected the same`);
  }
}

function linear(head: Fields, widths: readonly number[], dims: number, classes: number): LinearArrays {
  const { arrays } = head;
  expectParts(head, widths);
  named(arrays, ["widths", "weights", "scale", "bias"]);
  const weights = take(arrays, "weights", "int16", [classes, dims]);
  const scale = take(arrays, "scale", "float64", [classes, widths.length]);
  const bias = take(arrays, "bias", "float64", [classes]);
  if (scale.some((one) => one < 0 || one > LARGEST) || bias.some((one) => Math.abs(one) > LARGEST)) {
    refuse(`a scale below 0, or a number above ${LARGEST}; expected scales of 0 or more`);
  }
  return { classes, weights, scale, bias };
}

function knn(head: Fields, widths: readonly number[], dims: number): KnnArrays {
  const { arrays } = head;
  expectParts(head, widths);
  const weighted = arrays["vote"] !== undefined;
  named(arrays, ["widths", "codes", "scales", "target", "neighbours", ...(weighted ? ["vote"] : [])]);
  if (weighted && take(arrays, "vote", "int32", [1])[0] !== 1)
    refuse("a vote that is not 1; expected 1, or no such array");
  const count = lengthOf(arrays, "codes");
  const codes = take(arrays, "codes", "int8", [count, dims]);
  const scales = take(arrays, "scales", "float32", [count, widths.length]);
  if (!scales.every((one) => one > 0)) refuse("a scale of 0 or less; expected above 0");
  const target = targetOf(arrays, count, head.classes.length);
  const neighbours = take(arrays, "neighbours", "int32", [1])[0] ?? 0;
  if (neighbours < 1 || neighbours > count)
    refuse(`${neighbours} neighbours of ${count} labels; expected 1 to ${count}`);
  if (neighbours > MOST_NEIGHBOURS) refuse(`${neighbours} neighbours; this page takes at most ${MOST_NEIGHBOURS}`);
  return { classes: head.classes.length, neighbours, weighted, codes, scales, target };
}

function forest(head: Fields, dims: number, classes: number): ForestArrays {
  const { arrays } = head;
  named(arrays, ["features", "sizes", "feature", "threshold", "leaf", "values"]);
  const { leaves, ...trees } = treesOf(arrays, dims);
  const leaf = take(arrays, "leaf", "int32", [leaves]);
  const rows = lengthOf(arrays, "values");
  const values = take(arrays, "values", "float64", [rows, classes]);
  if (leaf.some((row) => row < 0 || row >= rows)) refuse(`a leaf outside the ${rows} values`);
  if (head.classes.length && values.some((one) => one < 0 || one > 1 + 1e-9)) refuse("a probability outside 0 to 1");
  return { ...trees, classes, leaf, values };
}

function boosting(head: Fields, dims: number, classes: number): BoostingArrays {
  const { arrays } = head;
  named(arrays, ["features", "sizes", "adds", "feature", "threshold", "values"]);
  const { leaves, ...trees } = treesOf(arrays, dims);
  const values = take(arrays, "values", "float64", [leaves]);
  const adds = take(arrays, "adds", "int32", [trees.sizes.length]);
  if (adds.some((column) => column < 0 || column >= classes)) {
    refuse(`a tree that adds to a class outside 0 to ${classes - 1}`);
  }
  if (values.some((one) => Math.abs(one) > LARGEST_LEAF)) refuse(`a leaf that adds more than ${LARGEST_LEAF}`);
  return { ...trees, classes, adds, values };
}

/** Trees whose nodes are a binary tree in the order of breadth: no link leads back, none is deeper than 128 levels. */
function treesOf(arrays: Head["arrays"], dims: number): TreeArrays & { readonly leaves: number } {
  const features = take(arrays, "features", "int32", [1])[0];
  if (features !== dims) refuse(`trees of ${features} features and inputs of ${dims} dims; expected the same`);
  const sizes = take(arrays, "sizes", "int32", [lengthOf(arrays, "sizes")]);
  const nodes = lengthOf(arrays, "feature");
  const feature = take(arrays, "feature", "int16", [nodes]);
  const threshold = take(arrays, "threshold", "float32", [nodes]);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (!sizes.length || sizes.length > MOST_TREES || sizes.some((size) => size < 1) || total !== nodes) {
    refuse(`${sizes.length} trees of other sizes than ${nodes} nodes; expected 1 to ${MOST_TREES} trees`);
  }
  if (feature.some((one) => one < -1 || one >= dims)) refuse(`a tree that looks at a feature outside 0 to ${dims - 1}`);
  const depth = new Uint8Array(nodes);
  let [root, leaves] = [0, 0];
  for (const size of sizes) {
    let inner = 0;
    for (let place = 0; place < size; place++) {
      if ((feature[root + place] as number) < 0) {
        leaves++;
        continue;
      }
      const child = 1 + 2 * inner++;
      if (child <= place || child + 1 >= size) refuse("a tree whose nodes are no binary tree in the order of breadth");
      const below = (depth[root + place] as number) + 1;
      if (below > MOST_DEPTH) refuse(`a tree of more than ${MOST_DEPTH} levels`);
      depth[root + child] = depth[root + child + 1] = below;
    }
    if (2 * inner + 1 !== size) refuse("a tree whose nodes are no binary tree in the order of breadth");
    root += size;
  }
  return { sizes, feature, threshold, leaves };
}

function mlp({ arrays }: Fields, dims: number, outputs: number): MlpArrays {
  const count = (Object.keys(arrays).length - 3) / 2;
  if (!Number.isInteger(count) || count < 1 || count > LAYERS)
    refuse(`arrays of ${count} layers; expected 1 to ${LAYERS}`);
  const each = Array.from({ length: count }, (_, index) => index);
  named(arrays, ["mean", "std", "scale", ...each.flatMap((index) => [`weights_${index}`, `bias_${index}`])]);
  const [mean, std] = [take(arrays, "mean", "float32", [dims]), take(arrays, "std", "float32", [dims])];
  if (!std.every((one) => one > 0)) refuse("a standard deviation of 0 or less; expected above 0");
  let inputs = dims;
  const layers = each.map((index) => {
    const width = arrays[`weights_${index}`]?.shape[1] ?? 0;
    if (width < 1 || width > WIDTH) refuse(`layer ${index} of ${width} outputs; expected 1 to ${WIDTH}`);
    const weights = take(arrays, `weights_${index}`, "float32", [inputs, width]);
    inputs = width;
    return { weights, bias: take(arrays, `bias_${index}`, "float32", [width]), outputs: width };
  });
  if (inputs !== outputs) refuse(`${count} layers that end in ${inputs} outputs; expected ${outputs}`);
  return { mean, std, layers, scale: take(arrays, "scale", "float64", [2]) };
}
