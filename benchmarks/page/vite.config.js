// Built with the page's own Vite: web/node_modules/.bin/vite build --config benchmarks/page/vite.config.js
export default {
  root: import.meta.dirname,
  base: "./",
  worker: { format: "es" },
  build: { target: "es2023", modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 4000 },
};
