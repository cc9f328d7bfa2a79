export { principalAxes, project, quantile, stretch, type Axes } from "./axes";
export { kmeans, type Clusters } from "./kmeans";
export { lasso } from "./lasso";
export { neighbours, type Neighbours } from "./neighbours";
export { Random } from "./random";
export { count, take, valid, type Rows } from "./rows";
export { trustworthiness } from "./trustworthiness";
export { umap, type Picture, type UmapSettings } from "./umap";
