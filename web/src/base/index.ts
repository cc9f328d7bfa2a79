export * from "./crc32c";
export * from "./errors";
export * from "./json";
export * from "./lru";
export * from "./pcg64";
export * from "./progress";
export * from "./sha256";
export * from "./waiting";
