// A module of src/ that Node can run, for tools that measure or compare.
import { writeFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { build } from "vite";

const WEB = join(import.meta.dirname, "..");

/**
 * @template T
 * @param {string} entry a path below web/
 * @returns {Promise<T>} what it exports
 */
export async function load(entry) {
  const made = await build({
    root: WEB,
    configFile: false,
    logLevel: "error",
    build: { ssr: entry, write: false, target: "es2023", minify: false },
  });
  const output = Array.isArray(made) ? made[0]?.output : "output" in made ? made.output : undefined;
  const code = output?.find((one) => one.type === "chunk");
  if (code?.type !== "chunk") throw new Error(`${entry} gave no module`);
  const folder = mkdtempSync(join(tmpdir(), "tessera-page-"));
  try {
    const path = join(folder, "module.mjs");
    writeFileSync(path, code.code);
    return await import(pathToFileURL(path).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
