import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// the built page is package data of the Python package, so that its users need no Node
const OUT = "../src/tessera/serve/page";

export default defineConfig({
  base: "./",
  plugins: [svelte()],
  worker: { format: "es" },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
  },
  // property tests on a busy machine take longer than the 5 s that are usual
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});
