export { javascriptKernels, loadKernels, wasmKernels } from "./load";
export * from "./types";
