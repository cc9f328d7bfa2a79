import { zipSync } from "fflate";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { FolderFiles, ListFiles, ZipFiles, type Files } from "../../src/files";
import { openStore } from "../../src/store";
import { checkBlock, expected, filesOf, float32, int8, zipOf } from "../stores";
import { folderOf } from "./folders";

const fileOf = (bytes: Uint8Array<ArrayBuffer>, name = "store.zip") => new File([bytes], name, { lastModified: 5 });
const text = (value: string) => new TextEncoder().encode(value);
const stores = (folder: string) =>
  new Map([...filesOf("ours", folder)].map(([key, bytes]) => [key, new Uint8Array(bytes)] as const));

async function checkStore(files: Files): Promise<void> {
  const store = await openStore(files);
  for (const { window, year, codes, scales } of expected.windows) {
    checkBlock(await store.read(window, year), int8(codes), float32(scales));
  }
}

describe("a store that the user gives", () => {
  it("opens from a folder", async () => {
    const files = new Map([...stores("s")].map(([key, bytes]) => [key.slice(2), bytes] as const));
    await checkStore(new FolderFiles(folderOf("s", files)));
  });

  it("opens from a list of files, wherever it lies in it", async () => {
    for (const folder of ["s", "my data/s"]) {
      const list = [...stores(folder)].map(([path, bytes]) => ({ path, file: fileOf(bytes, "x") }));
      await checkStore(new ListFiles("s", list));
    }
  });

  it("opens from a zip, packed or stored, in a folder or not", async () => {
    await checkStore(await ZipFiles.open(fileOf(zipOf("ours"))));
    for (const level of [0, 6] as const) {
      const zipped = zipSync(Object.fromEntries(stores("deep/s.zarr")), { level });
      await checkStore(await ZipFiles.open(fileOf(new Uint8Array(zipped))));
    }
  });

  it("is told apart by name, size and time", async () => {
    const zip = await ZipFiles.open(fileOf(zipOf("ours"), "a.zip"));
    expect([zip.name, zip.identity]).toEqual(["a.zip", `zip:a.zip:${zipOf("ours").length}:5`]);
  });
});

describe("a folder", () => {
  const files = new Map([["a/b", new Uint8Array([1, 2, 3, 4])]]);

  it("gives parts, and says what is missing, too long, or shorter", async () => {
    const folder = new FolderFiles(folderOf("f", files));
    expect((await folder.range("a/b", { offset: 1, length: 2 })).bytes).toEqual(Uint8Array.of(2, 3));
    expect((await folder.range("a/b", { suffix: 3 })).bytes).toEqual(Uint8Array.of(2, 3, 4));
    expect(await folder.get("a/b", 4)).toMatchObject({ size: 4 });
    for (const key of ["a/c", "x/b", "a", "../a/b", "a//b", "", "a/b/c"]) {
      await expect(folder.get(key, 9)).rejects.toMatchObject({ kind: "missing" });
    }
    await expect(folder.get("a/b", 3)).rejects.toMatchObject({ kind: "refused" });
    await expect(folder.range("a/b", { offset: 3, length: 2 })).rejects.toMatchObject({ kind: "corrupt" });
  });

  it("notices a file that was replaced, and then reads the new one", async () => {
    const modified = { at: 1 };
    const folder = new FolderFiles(folderOf("f", files, modified));
    await folder.get("a/b", 9);
    modified.at = 2;
    await expect(folder.get("a/b", 9)).rejects.toMatchObject({ kind: "changed" });
    expect((await folder.get("a/b", 9)).etag).toBe("4-2");
  });

  it("is cancelled", async () => {
    const folder = new FolderFiles(folderOf("f", files));
    await expect(folder.get("a/b", 9, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
  });
});

describe("a zip", () => {
  it("gives back any files, whole and in part", async () => {
    const name = fc.stringMatching(/^[a-z]{1,8}(\/[a-z0-9.]{1,8}[a-z]){0,2}$/);
    const one = fc.dictionary(name, fc.uint8Array({ maxLength: 300 }), { maxKeys: 6, noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(one, fc.constantFrom(0, 9), fc.string({ maxLength: 30 }), async (files, level, comment) => {
        const zipped = zipSync(files, { level: level === 0 ? 0 : 9, comment: "" });
        const tail = text(comment);
        const bytes = new Uint8Array(zipped.length + tail.length);
        bytes.set(zipped);
        bytes.set(tail, zipped.length);
        new DataView(bytes.buffer).setUint16(zipped.length - 2, tail.length, true);
        const zip = await ZipFiles.open(fileOf(bytes));
        for (const [key, content] of Object.entries(files)) {
          expect((await zip.get(key, 300)).bytes).toEqual(new Uint8Array(content));
          if (content.length < 3) continue;
          const { bytes: part } = await zip.range(key, { offset: 1, length: content.length - 2 });
          expect(part).toEqual(new Uint8Array(content.slice(1, -1)));
        }
      }),
      { numRuns: 60 },
    );
  });

  const plain = () =>
    new Uint8Array(zipSync({ "ab/cd": [text("hello hello hello hello"), { level: 9 }], e: text("x") }));
  const list = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(bytes.length - 6, true);
  const changed = (change: (view: DataView, list: number) => void) => {
    const bytes = plain();
    change(new DataView(bytes.buffer), list(bytes));
    return fileOf(bytes);
  };
  const rename = (to: string) => changed((view, at) => text(to).forEach((byte, k) => view.setUint8(at + 46 + k, byte)));

  it.each([
    ["leads up", rename("../cd"), "refused"],
    ["is absolute", rename("/bbcd"), "refused"],
    ["has a backslash", rename("a\\..x"), "refused"],
    ["is encrypted", changed((view, at) => view.setUint16(at + 8, 1, true)), "refused"],
    ["has another method", changed((view, at) => view.setUint16(at + 10, 12, true)), "refused"],
    ["has no list", changed((view) => view.setUint32(view.byteLength - 22, 0, true)), "corrupt"],
    ["points outside", changed((view) => view.setUint32(view.byteLength - 6, 2 ** 31, true)), "corrupt"],
    ["counts more", changed((view) => view.setUint16(view.byteLength - 12, 9, true)), "corrupt"],
    ["contradicts itself", changed((view, at) => view.setUint16(at + 10, 0, true)), "corrupt"],
    ["is empty", fileOf(new Uint8Array(0)), "corrupt"],
    ["is text", fileOf(text("hello".repeat(30))), "corrupt"],
    ["holds a name twice", fileOf(twice()), "refused"],
  ])("that %s is refused", async (_, file, kind) => {
    await expect(ZipFiles.open(file)).rejects.toMatchObject({ kind, name: "PageError" });
  });

  it.each([
    ["claims a gigabyte", changed((view, at) => view.setUint32(at + 24, 2 ** 30, true)), "refused"],
    ["unpacks to more than it claims", changed((view, at) => view.setUint32(at + 24, 5, true)), "corrupt"],
    ["has another checksum", changed((view, at) => view.setUint32(at + 16, 5, true)), "corrupt"],
    ["has no entry where it says", changed((view, at) => view.setUint32(at + 42, 3, true)), "corrupt"],
  ])("whose entry %s is refused", async (_, file, kind) => {
    const zip = await ZipFiles.open(file);
    await expect(zip.get("ab/cd", 2 ** 31)).rejects.toMatchObject({ kind, name: "PageError" });
    expect((await zip.get("e", 9)).bytes).toEqual(text("x"));
  });

  it("beyond 4 GB has its sizes in an extra field", async () => {
    const zip = await ZipFiles.open(fileOf(wide()));
    expect((await zip.get("e", 9)).bytes).toEqual(text("x"));
  });

  it("that was cut anywhere is refused, never misread", async () => {
    const whole = plain();
    for (let size = 0; size < whole.length; size += 7) {
      const found = await ZipFiles.open(fileOf(whole.slice(0, size))).catch((error: unknown) => error);
      expect(found).toMatchObject({ name: "PageError" });
    }
  });
});

function twice(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(zipSync({ aa: text("1"), ab: text("2") }));
  const at = new DataView(bytes.buffer).getUint32(bytes.length - 6, true);
  bytes[at + 46 + 2 + 46 + 1] = 97;
  return bytes;
}

/** The zip of one stored file, its list in the form of zip64. */
function wide(): Uint8Array<ArrayBuffer> {
  const small = new Uint8Array(zipSync({ e: text("x") }, { level: 0 }));
  const view = new DataView(small.buffer);
  const at = view.getUint32(small.length - 6, true);
  const entry = new Uint8Array(46 + 1 + 28);
  entry.set(small.subarray(at, at + 47));
  const own = new DataView(entry.buffer);
  own.setUint16(30, 28, true);
  for (const place of [20, 24, 42]) own.setUint32(place, 0xffffffff, true);
  own.setUint16(47, 1, true);
  own.setUint16(49, 24, true);
  own.setBigUint64(51, 1n, true);
  own.setBigUint64(59, 1n, true);
  own.setBigUint64(67, 0n, true);
  const end = new DataView(new ArrayBuffer(56 + 20 + 22));
  end.setUint32(0, 0x06064b50, true);
  end.setBigUint64(4, 44n, true);
  end.setBigUint64(24, 1n, true);
  end.setBigUint64(32, 1n, true);
  end.setBigUint64(40, BigInt(entry.length), true);
  end.setBigUint64(48, BigInt(at), true);
  end.setUint32(56, 0x07064b50, true);
  end.setBigUint64(64, BigInt(at + entry.length), true);
  end.setUint32(76, 0x06054b50, true);
  for (const place of [84, 86]) end.setUint16(place, 0xffff, true);
  for (const place of [88, 92]) end.setUint32(place, 0xffffffff, true);
  return new Uint8Array([...small.subarray(0, at), ...entry, ...new Uint8Array(end.buffer)]);
}
