// page.json beside the built page: its files, and the SHA-256 of all that it is built from, which a test without Node compares.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

const WEB = join(import.meta.dirname, "..");
const OUT = join(WEB, "../src/tessera/serve/page");
const INPUTS = [
  "index.html",
  "package.json",
  "package-lock.json",
  "vite.config.ts",
  "tsconfig.json",
  "svelte.config.js",
  "src",
  "public",
  "kernels",
  "tools",
];

/** @param {string} path @returns {string[]} */
function files(path) {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => files(join(path, entry.name)));
  } catch (error) {
    const code = /** @type {{ code?: string }} */ (error).code;
    if (code === "ENOTDIR") return [path];
    if (code === "ENOENT") return [];
    throw error;
  }
}

const lines = INPUTS.flatMap((name) => files(join(WEB, name))).map((path) => {
  const name = relative(WEB, path).split(sep).join("/");
  return `${createHash("sha256").update(readFileSync(path)).digest("hex")}  ${name}\n`;
});
lines.sort((a, b) => (a.slice(66) < b.slice(66) ? -1 : 1));
const source = createHash("sha256").update(lines.join("")).digest("hex");
const built = files(OUT)
  .map((path) => relative(OUT, path).split(sep).join("/"))
  .filter((name) => name !== "page.json")
  .sort();
writeFileSync(
  join(OUT, "page.json"),
  JSON.stringify({ format: "tessera-page", version: 1, source, files: built }, null, 1) + "\n",
);
