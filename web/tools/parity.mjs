// Predict with heads and vectors that Python wrote, in WebAssembly and in JavaScript: node tools/parity.mjs FOLDER
// FOLDER/cases.json lists { name, parts: [{ dims, codes, scales }] }, with file names of little-endian bytes; the head
// is NAME.json. Written are NAME.KERNELS.map (class index, uint8) or .numbers (float32), NAME.KERNELS.probabilities
// (float32) where `probabilities` is wanted, NAME.again.json (the head as the page writes it), and seconds.json.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { load } from "./bundle.mjs";

/** @typedef {{ name: string, probabilities?: boolean, parts: { dims: number, codes: string, scales: string }[] }} Case */

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: node tools/parity.mjs FOLDER");

/** @type {typeof import("./heads")} */
const { javascriptKernels, predictor, readHead, wasmKernels, writeHead } = await load("tools/heads.ts");
const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../src/kernels/wasm/kernels.wasm")));
/** @type {Case[]} */
const cases = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));
/** @type {Record<string, number>} */
const seconds = {};

/** @param {string} name */
function bytes(name) {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder ?? "", name));
  return buffer.slice(byteOffset, byteOffset + byteLength);
}

for (const { name, parts, probabilities } of cases) {
  const head = readHead(new Uint8Array(bytes(`${name}.json`)), name);
  writeFileSync(join(folder, `${name}.again.json`), writeHead(head));
  const vectors = parts.map(({ dims, codes, scales }) => ({
    dims,
    codes: new Int8Array(bytes(codes)),
    scales: new Float32Array(bytes(scales)),
  }));
  for (const kernels of [wasmKernels(module), javascriptKernels()]) {
    const to = join(folder, `${name}.${kernels.name}`);
    const predicts = predictor(head, kernels);
    const start = process.cpuUsage();
    if (head.classes.length) writeFileSync(`${to}.map`, (await predicts.classify(vectors)).classes);
    else writeFileSync(`${to}.numbers`, new Uint8Array((await predicts.numbers(vectors)).buffer));
    const spent = process.cpuUsage(start);
    seconds[`${name} ${kernels.name}`] = (spent.user + spent.system) / 1e6;
    if (probabilities) {
      writeFileSync(`${to}.probabilities`, new Uint8Array((await predicts.probabilities(vectors)).buffer));
    }
  }
}
writeFileSync(join(folder, "seconds.json"), JSON.stringify(seconds, null, 1));
