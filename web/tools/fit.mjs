// Fit each learner of the page on labels that Python wrote: node tools/fit.mjs LABELS.json FOLDER
// FOLDER gets HEAD.json, the file of each head, and HEAD.map, its class index of each label (uint8).
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { load } from "./bundle.mjs";

const [, , labels, folder] = process.argv;
if (labels === undefined || folder === undefined) throw new Error("usage: node tools/fit.mjs LABELS.json FOLDER");

/** @type {typeof import("./heads")} */
const { fitHead, javascriptKernels, LEARNERS, metricsOf, predictor, validate, writeHead } =
  await load("tools/heads.ts");
/** @type {{ dims: number, classes: number, codes: string, scales: string, target: number[], field: number[], block: number[] }} */
const kept = JSON.parse(readFileSync(labels, "utf8"));

/** @param {string} text */
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64")).buffer;

const samples = {
  dims: kept.dims,
  codes: new Int8Array(bytes(kept.codes)),
  scales: new Float32Array(bytes(kept.scales)),
  target: Int32Array.from(kept.target),
  groups: Int32Array.from(kept.field),
  places: Float64Array.from(kept.block.flatMap((block) => [5 + 0.4 * (block % 6), 50 + 0.3 * Math.floor(block / 6)])),
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
  const report = head === "mlp" ? undefined : await validate({ samples, head, about }, javascriptKernels());
  const metrics = report ? metricsOf(report, new Set(samples.groups).size) : made.rest["metrics"];
  writeFileSync(join(folder, `${head}.json`), writeHead({ ...made, rest: { ...made.rest, metrics } }));
  const { classes } = await predictor(made, javascriptKernels()).classify([samples]);
  writeFileSync(join(folder, `${head}.map`), classes);
}
