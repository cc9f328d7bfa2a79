// Fit each learner of the page on labels that Python wrote: node tools/fit.mjs LABELS.json FOLDER
// FOLDER gets HEAD.json, the file of each head, and HEAD.map, its class index of each label (uint8).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { load } from "./bundle.mjs";

const [, , labels, folder] = process.argv;
if (labels === undefined || folder === undefined) throw new Error("usage: node tools/fit.mjs LABELS.json FOLDER");

/** @type {typeof import("./heads")} */
const { fitHead, javascriptKernels, LEARNERS, predictor, writeHead } = await load("tools/heads.ts");
/** @type {{ dims: number, classes: number, codes: string, scales: string, target: number[], field: number[] }} */
const kept = JSON.parse(readFileSync(labels, "utf8"));

/** @param {string} text */
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64")).buffer;

const samples = {
  dims: kept.dims,
  codes: new Int8Array(bytes(kept.codes)),
  scales: new Float32Array(bytes(kept.scales)),
  target: Int32Array.from(kept.target),
  groups: Int32Array.from(kept.field),
  places: new Float64Array(kept.target.length * 2),
};
const model = { name: "m", sha256: "ab".repeat(32), dims: kept.dims, prefix_dims: [kept.dims] };
const about = {
  classes: Array.from({ length: kept.classes }, (_, k) => `class ${k}`),
  colours: Array.from({ length: kept.classes }, () => "#1f7a3a"),
  column: "class",
  input: { year: 2024, dims: kept.dims, store: "a store", model },
};
for (const { head } of LEARNERS) {
  const made = await fitHead(samples, head, about, head === "mlp" ? { epochs: 5 } : {});
  writeFileSync(join(folder, `${head}.json`), writeHead(made));
  const { classes } = await predictor(made, javascriptKernels()).classify([samples]);
  writeFileSync(join(folder, `${head}.map`), classes);
}
