// What tools/parity.mjs runs.
export { predictor, readHead, writeHead } from "../src/heads";
export { javascriptKernels, wasmKernels } from "../src/kernels";
