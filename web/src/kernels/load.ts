import { Exact } from "./exact";
import { JsEngine } from "./js";
import type { Kernels } from "./types";
import { WasmEngine } from "./wasm";

/** The smallest module with a SIMD instruction: (func (drop (i8x16.popcnt (v128.const ...)))) in its shortest form. */
const PROBE = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

export function javascriptKernels(): Kernels {
  return new Exact(new JsEngine());
}

export function wasmKernels(module: WebAssembly.Module): Kernels {
  return new Exact(new WasmEngine(new WebAssembly.Instance(module)));
}

export function hasSimd(): boolean {
  try {
    return typeof WebAssembly === "object" && WebAssembly.validate(PROBE);
  } catch {
    return false;
  }
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Kernels for this thread: WebAssembly where the browser has SIMD and lets it run, else JavaScript. */
export async function loadKernels(wanted?: "wasm" | "js"): Promise<Kernels> {
  if (wanted === "js" || !hasSimd()) return javascriptKernels();
  try {
    compiled ??= compile(new URL("./wasm/kernels.wasm", import.meta.url));
    return wasmKernels(await compiled);
  } catch {
    compiled = undefined;
    return javascriptKernels();
  }
}

async function compile(url: URL): Promise<WebAssembly.Module> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`kernels: status ${response.status}`);
  // a server that names another type serves them too
  if (response.headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}
