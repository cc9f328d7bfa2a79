import { PageError } from "../base";
import type { StoreAddress } from "../compute";
import { holdsLabels, importFile } from "./import";
import { openStore } from "./open";
import type { Session } from "./session.svelte";
import { storeUrl } from "./hash";

const MOST_FILES = 500_000;

export async function openUrl(session: Session, text: string): Promise<void> {
  const url = storeUrl(text.trim());
  if (url === undefined) {
    session.jobs.fail(
      "Open",
      new PageError(
        "input",
        `“${text.slice(0, 80)}” is no address of a store; expected one that begins with http:// or https://.`,
      ),
    );
    return;
  }
  await openStore(session, { kind: "url", url });
}

export async function openFolder(session: Session): Promise<void> {
  if (!("showDirectoryPicker" in globalThis)) return;
  const pick: unknown = Reflect.get(globalThis, "showDirectoryPicker");
  if (typeof pick !== "function") return;
  try {
    const handle: unknown = await pick.call(globalThis);
    if (handle instanceof FileSystemDirectoryHandle) await openStore(session, { kind: "folder", handle });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) session.jobs.fail("Open", error);
  }
}

/** A zip, or the files of a folder where the browser knows no folders. */
export async function openFiles(session: Session, files: readonly File[]): Promise<void> {
  const [first] = files;
  if (!first) return;
  if (files.length > MOST_FILES) {
    session.jobs.fail("Open", new PageError("refused", `${files.length} files; expected at most ${MOST_FILES}.`));
    return;
  }
  if (files.length === 1 && /\.zip$/i.test(first.name)) {
    await openStore(session, { kind: "zip", file: first });
    return;
  }
  const listed = files.map((file) => ({
    path: file.webkitRelativePath.split("/").slice(1).join("/") || file.name,
    file,
  }));
  const name = first.webkitRelativePath.split("/")[0] || first.name;
  await openStore(session, { kind: "files", name, files: listed });
}

/** What is dropped on the page: a folder, a zip, or a file that some panel takes. */
export async function openDropped(session: Session, items: DataTransferItemList): Promise<void> {
  const [item] = items;
  if (!item || item.kind !== "file") return;
  const file = item.getAsFile();
  const ask: unknown = Reflect.get(item, "getAsFileSystemHandle");
  const handle: unknown = typeof ask === "function" ? await ask.call(item) : undefined;
  if (file && !(handle instanceof FileSystemDirectoryHandle) && (await holdsLabels(file)))
    return importFile(session, file);
  const address: StoreAddress | undefined =
    handle instanceof FileSystemDirectoryHandle
      ? { kind: "folder", handle }
      : file && /\.zip$/i.test(file.name)
        ? { kind: "zip", file }
        : undefined;
  if (address) {
    await openStore(session, address);
    return;
  }
  const taken = file && session.takes.find((each) => each.fits(file));
  if (file && taken) taken.take(file);
  else
    session.jobs.fail(
      "Open",
      new PageError(
        "input",
        `“${file?.name ?? "this"}” was dropped; expected the folder or the zip file of a store, or labels as GeoJSON, CSV or a zipped shapefile.`,
      ),
    );
}
