// A folder as the File System Access API shows it, over a map of files.

export function folderOf(
  name: string,
  files: Map<string, Uint8Array<ArrayBuffer>>,
  modified = { at: 1 },
): FileSystemDirectoryHandle {
  const handle = (path: string) => ({
    kind: "directory",
    name,
    getDirectoryHandle: (child: string) => {
      const inside = `${path}${child}/`;
      if (![...files.keys()].some((key) => key.startsWith(inside))) return Promise.reject(missing());
      return Promise.resolve(handle(inside));
    },
    getFileHandle: (child: string) => {
      const bytes = files.get(path + child);
      if (!bytes) return Promise.reject(missing());
      return Promise.resolve({
        getFile: () => Promise.resolve(new File([bytes], child, { lastModified: modified.at })),
      });
    },
  });
  return handle("") as unknown as FileSystemDirectoryHandle;
}

const missing = () => new DOMException("it is not there", "NotFoundError");
