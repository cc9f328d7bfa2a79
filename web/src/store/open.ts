import { PageError, type Running } from "../base";
import type { Files } from "../files";
import { openForeign } from "./foreign";
import { nameOf, openOurs } from "./ours";
import type { Store } from "./types";

/** Open a store of any layout; one request where it is ours. */
export async function openStore(files: Files, running: Running = {}): Promise<Store> {
  const found = (await openOurs(files, running)) ?? (await openForeign(files, nameOf(files), running));
  if (found) return found;
  throw new PageError(
    "missing",
    `${files.name} is no store: it has neither tessera.json nor zarr.json; expected the address of a store's own folder`,
  );
}
