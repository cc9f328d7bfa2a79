import { PageError } from "../base";
import { BlobFiles, isPlainKey, storeRoot, type Content } from "./blobs";

const versionOf = (file: File): string => `${file.size}-${file.lastModified}`;

/** A folder that the user chose, by the File System Access API. */
export class FolderFiles extends BlobFiles {
  readonly #folders = new Map<string, Promise<FileSystemDirectoryHandle | undefined>>();

  constructor(handle: FileSystemDirectoryHandle) {
    super(handle.name, `folder:${handle.name}`);
    this.#folders.set("", Promise.resolve(handle));
  }

  protected async find(key: string): Promise<Content | undefined> {
    if (!isPlainKey(key)) return undefined;
    const cut = key.lastIndexOf("/");
    const folder = await this.#folder(key.slice(0, Math.max(0, cut)));
    const handle = folder && (await there(() => folder.getFileHandle(key.slice(cut + 1)), this.name));
    const file = handle && (await there(() => handle.getFile(), this.name));
    return file && { blob: file, version: versionOf(file) };
  }

  #folder(path: string): Promise<FileSystemDirectoryHandle | undefined> {
    const known = this.#folders.get(path);
    if (known) return known;
    const cut = path.lastIndexOf("/");
    const found = this.#folder(path.slice(0, Math.max(0, cut))).then(
      (parent) => parent && there(() => parent.getDirectoryHandle(path.slice(cut + 1)), this.name),
    );
    this.#folders.set(path, found);
    // a folder that is not there now may come, and one that failed is asked again
    found.then((handle) => handle ?? this.#folders.delete(path), () => this.#folders.delete(path)); // prettier-ignore
    return found;
  }
}

async function there<Value>(ask: () => Promise<Value>, name: string): Promise<Value | undefined> {
  try {
    return await ask();
  } catch (error) {
    const kind = error instanceof DOMException ? error.name : "";
    if (kind === "NotFoundError" || kind === "TypeMismatchError") return undefined;
    if (kind === "NotAllowedError") {
      throw new PageError("load", `the browser no longer lets the page read ${name}; open the folder again`);
    }
    throw new PageError("load", `${name} cannot be read; open the folder again`, { cause: error });
  }
}

/** Files of a folder where the browser knows no folders: a list, from a choice or a drop. */
export class ListFiles extends BlobFiles {
  readonly #files: ReadonlyMap<string, File>;

  constructor(name: string, files: readonly { readonly path: string; readonly file: File }[]) {
    super(name, `folder:${name}`);
    const kept = files.filter(({ path }) => isPlainKey(path));
    const root = storeRoot(kept.map(({ path }) => path)) ?? "";
    this.#files = new Map(
      kept.filter(({ path }) => path.startsWith(root)).map(({ path, file }) => [path.slice(root.length), file]),
    );
  }

  protected find(key: string): Promise<Content | undefined> {
    const file = this.#files.get(key);
    return Promise.resolve(file && { blob: file, version: versionOf(file) });
  }
}
