// From an address, which a worker can be given, to files.
import { FolderFiles, ListFiles, UrlFiles, ZipFiles, type Files } from "../files";
import type { StoreAddress } from "./types";

export async function filesOf(address: StoreAddress): Promise<Files> {
  switch (address.kind) {
    case "url":
      return new UrlFiles(address.url);
    case "folder":
      return new FolderFiles(address.handle);
    case "files":
      return new ListFiles(address.name, address.files);
    case "zip":
      return ZipFiles.open(address.file);
  }
}
