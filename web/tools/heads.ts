// What tools/parity.mjs and tools/fit.mjs run.
export { fitHead, LEARNERS, predictor, readHead, writeHead } from "../src/heads";
export { javascriptKernels, wasmKernels } from "../src/kernels";
export { metricsOf, validate } from "../src/validation";
