// From an address, which a worker can be given, to files.
import { PageError } from "../base";
import { UrlFiles, type Files } from "../files";
import type { StoreAddress } from "./types";

export async function filesOf(address: StoreAddress): Promise<Files> {
  switch (address.kind) {
    case "url":
      return new UrlFiles(address.url);
    default:
      throw new PageError("input", "this kind of store cannot be opened yet; expected an address");
  }
}
