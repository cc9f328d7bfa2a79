// From an address, which a worker can be given, to files.
import { CachedFiles, FolderFiles, ListFiles, UrlFiles, ZipFiles, openKeep, type Files } from "../files";
import type { StoreAddress } from "./types";

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

export async function filesOf(address: StoreAddress): Promise<Files> {
  switch (address.kind) {
    case "url": {
      const files = new UrlFiles(address.url);
      // what this machine serves need not be kept on it twice
      const keep = LOOPBACK.test(new URL(files.identity).hostname) ? undefined : await openKeep();
      return keep ? new CachedFiles(files, keep) : files;
    }
    case "folder":
      return new FolderFiles(address.handle);
    case "files":
      return new ListFiles(address.name, address.files);
    case "zip":
      return ZipFiles.open(address.file);
  }
}
