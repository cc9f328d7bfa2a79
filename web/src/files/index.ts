export { FolderFiles, ListFiles } from "./folder";
export type * from "./types";
export { MOST_RANGE, UrlFiles, parseUrl, type UrlOptions } from "./url";
export { ZipFiles } from "./zip";
export { CachedFiles, type Keep } from "./cached";
export { forgetKept, openKeep } from "./keep";
