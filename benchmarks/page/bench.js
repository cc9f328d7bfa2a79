// Both ways in one page: ours, and that of tze rebuilt from its libraries. Each answers with seconds and its map.
window.bench = {
  ours: async (job) => (await import("./ours.js")).classify(job),
  peer: async (job) => (await import("./peer.js")).classify(job),
  umap: async (job) => (await import("./umap.js")).umaps(job),
};
window.ready = true;
