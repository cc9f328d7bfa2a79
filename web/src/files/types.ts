import type { Running } from "../base";

/** A part of a file: `length` bytes from `offset`, or the last `suffix` bytes. */
export type Range = { readonly offset: number; readonly length: number } | { readonly suffix: number };

/** Bytes of a file and what is known of its version. */
export interface Piece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly size?: number; // of the whole file, where the answer says it
  readonly etag?: string;
}

export interface Asking extends Running {
  /** Ask where the file lies, whatever was kept of it: the answer says which version there is now. */
  readonly fresh?: boolean;
}

/**
 * Files by key below one place: a URL, a folder that the user chose, a zip file.
 * A file that is not there is a PageError "missing", one that cannot be fetched now "load", one that was replaced since
 * its first piece was read "changed".
 */
export interface Files {
  readonly name: string; // for people
  readonly identity: string; // key of caches: the URL, or a name and a time
  get(key: string, most: number, running?: Running): Promise<Piece>; // whole, refused beyond `most` bytes
  range(key: string, range: Range, asking?: Asking): Promise<Piece>;
}
