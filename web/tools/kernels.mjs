// AssemblyScript of kernels/ to src/kernels/wasm/kernels.wasm, which is committed.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import asc from "assemblyscript/asc";

const WEB = join(import.meta.dirname, "..");
const OUT = join(WEB, "src/kernels/wasm/kernels.wasm");
const OPTIONS = ["-O3", "--converge", "--noAssert", "--runtime", "stub", "--enable", "simd", "--initialMemory", "1"];

/** @returns {Promise<Uint8Array>} */
export async function compile() {
  /** @type {Uint8Array | undefined} */
  let made;
  const { error, stderr } = await asc.main(
    ["kernels/index.ts", "--baseDir", WEB, "--outFile", "kernels.wasm", ...OPTIONS],
    {
      writeFile: (name, data) => {
        if (name === "kernels.wasm" && typeof data !== "string") made = data;
      },
    },
  );
  if (error || !made) throw new Error(`kernels do not compile: ${error?.message}\n${stderr.toString()}`);
  return made;
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(join(OUT, ".."), { recursive: true });
  writeFileSync(OUT, await compile());
}
