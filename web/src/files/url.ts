// Files below a URL: exact ranges, tried again where it may help, each of one version.
import { Gate, PageError, isCancelled, shown, sleep, type Running } from "../base";
import { lengthOf, readBody } from "./body";
import type { Files, Piece, Range } from "./types";

/** Requests of one place that are under way at once. */
const AT_ONCE = 8;
const ATTEMPTS = 5;
/** Longest range that is asked for, bytes. */
export const MOST_RANGE = 64 * 2 ** 20;
/** Of a server that ignores ranges a file up to this size is taken whole. */
const MOST_WHOLE = 2 ** 20;
const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_WAIT = 10_000; // ms that a server may ask for
const MOST_PINS = 20_000;

export interface UrlOptions {
  readonly wait?: number; // ms before the second attempt; it doubles
  readonly fetch?: typeof fetch;
}

export class UrlFiles implements Files {
  readonly name: string;
  readonly identity: string;
  readonly #gate = new Gate(AT_ONCE);
  readonly #pins = new Map<string, string>();
  readonly #fetch: typeof fetch;
  readonly #wait: number;
  #hasAnswered = false;
  #takesSuffix = true;
  #restUntil = 0;

  constructor(url: string, options: UrlOptions = {}) {
    this.identity = parseUrl(url);
    this.name = this.identity;
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
    this.#wait = options.wait ?? 250;
  }

  get(key: string, most: number, running: Running = {}): Promise<Piece> {
    return this.#try(key, running, async () => {
      const answer = await this.#ask(key, {}, running);
      if (answer.status !== 200) return this.#refuse(answer, key);
      const size = lengthOf(answer);
      if (size !== undefined && size > most) {
        await answer.body?.cancel();
        throw new PageError("refused", `${this.#url(key)} has ${size} bytes; expected at most ${most}`);
      }
      const bytes = await readBody(answer, most, undefined, this.#url(key));
      return this.#pin(key, answer, { bytes, size: bytes.length });
    });
  }

  async range(key: string, range: Range, running: Running = {}): Promise<Piece> {
    const length = "suffix" in range ? range.suffix : range.length;
    const isSound = Number.isSafeInteger(length) && length > 0 && length <= MOST_RANGE;
    if (!isSound || !("suffix" in range || (Number.isSafeInteger(range.offset) && range.offset >= 0))) {
      const where = this.#url(key);
      throw new PageError("refused", `${length} bytes of ${where}; expected 1 to ${MOST_RANGE}`);
    }
    return this.#try(key, running, async () => {
      if ("suffix" in range && !this.#takesSuffix) return this.#end(key, range.suffix, running);
      const wanted = "suffix" in range ? `bytes=-${length}` : `bytes=${range.offset}-${range.offset + length - 1}`;
      try {
        return await this.#part(key, range, wanted, running);
      } catch (error) {
        // a server of another origin may answer ranges and still not the browser's question before a suffix
        if (!("suffix" in range) || !(error instanceof TypeError) || !this.#hasAnswered) throw error;
        this.#takesSuffix = false;
        return this.#end(key, range.suffix, running);
      }
    });
  }

  async #end(key: string, suffix: number, running: Running): Promise<Piece> {
    const head = await this.#ask(key, {}, running, "HEAD");
    if (!head.ok) return this.#refuse(head, key);
    const size = lengthOf(head);
    if (size === undefined) {
      throw new PageError("input", `${this.#url(key)}: the server does not tell its length; expected Content-Length`);
    }
    const offset = Math.max(0, size - suffix);
    const wanted = { offset, length: size - offset };
    const piece = await this.#part(key, wanted, `bytes=${offset}-${size - 1}`, running);
    return { ...piece, size: piece.size ?? size };
  }

  async #part(key: string, range: Range, wanted: string, running: Running): Promise<Piece> {
    const where = this.#url(key);
    const answer = await this.#ask(key, { Range: wanted }, running);
    const length = "suffix" in range ? range.suffix : range.length;
    if (answer.status === 200) return this.#whole(key, answer, range);
    if (answer.status === 416) {
      await answer.body?.cancel();
      throw new PageError(
        "corrupt",
        `${where} is shorter than expected: it has no ${wanted.replace("bytes=", "bytes ")}`,
      );
    }
    if (answer.status !== 206) return this.#refuse(answer, key);
    const told = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers.get("Content-Range") ?? "");
    const size = told === null || told[3] === "*" ? undefined : Number(told[3]);
    if (told !== null && "offset" in range && Number(told[1]) !== range.offset) {
      await answer.body?.cancel();
      throw new PageError("load", `${where}: the server sent other bytes than it was asked for`);
    }
    const expected = size === undefined ? length : Math.min(length, "offset" in range ? size - range.offset : size);
    const bytes = await readBody(answer, length, told === null ? undefined : expected, where);
    if ("offset" in range && bytes.length < length) {
      const end = range.offset + bytes.length;
      throw new PageError("corrupt", `${where} ends after ${end} bytes; expected ${range.offset + length} or more`);
    }
    return this.#pin(key, answer, size === undefined ? { bytes } : { bytes, size });
  }

  /** A server that ignores ranges: small files are taken whole, of large ones nothing is read. */
  async #whole(key: string, answer: Response, range: Range): Promise<Piece> {
    const where = this.#url(key);
    const size = lengthOf(answer);
    if (size === undefined || size > MOST_WHOLE) {
      await answer.body?.cancel();
      throw new PageError(
        "input",
        `${where}: the server sends whole files and ignores byte ranges; expected status 206, ` +
          "use a server that answers ranges, such as `tessera serve` or an object store",
      );
    }
    const all = await readBody(answer, MOST_WHOLE, size, where);
    const start = "suffix" in range ? Math.max(0, all.length - range.suffix) : range.offset;
    const end = "suffix" in range ? all.length : start + range.length;
    if (end > all.length) {
      throw new PageError("corrupt", `${where} ends after ${all.length} bytes; expected ${end} or more`);
    }
    return this.#pin(key, answer, { bytes: all.slice(start, end), size: all.length });
  }

  /** All pieces of a file are of the version that was met first. */
  #pin(key: string, answer: Response, piece: { bytes: Uint8Array<ArrayBuffer>; size?: number }): Piece {
    const etag = versionOf(answer);
    if (etag === undefined) return piece;
    const known = this.#pins.get(key);
    if (known !== undefined && known !== etag) {
      this.#pins.delete(key); // who reads it again begins anew
      throw new PageError("changed", `${this.#url(key)} was replaced while it was read; try again`);
    }
    if (known === undefined) {
      if (this.#pins.size >= MOST_PINS) this.#pins.delete(this.#pins.keys().next().value ?? "");
      this.#pins.set(key, etag);
    }
    return { ...piece, etag };
  }

  async #ask(key: string, headers: Record<string, string>, running: Running, method = "GET"): Promise<Response> {
    const signal = running.signal ?? null;
    // a browser's cache would let ranges of one file wait for each other
    const answer = await this.#fetch(this.#url(key), { method, headers, signal, cache: "no-store" });
    this.#hasAnswered = true;
    return answer;
  }

  async #refuse(answer: Response, key: string): Promise<never> {
    await answer.body?.cancel();
    const where = this.#url(key);
    const { status } = answer;
    if (status === 404 || status === 410) throw new PageError("missing", `${where} is not there (status ${status})`);
    if (AGAIN.has(status)) throw new Busy(`${where}: the server is busy or failed (status ${status})`, waitOf(answer));
    if (status === 401 || status === 403) {
      throw new PageError("load", `${where}: the server refuses access (status ${status})`);
    }
    throw new PageError("load", `${where}: the server answered with status ${status}; expected a file`);
  }

  async #try(key: string, running: Running, once: () => Promise<Piece>): Promise<Piece> {
    for (let attempt = 1; ; attempt++) {
      const rest = this.#restUntil - Date.now();
      if (rest > 0) await sleep(Math.min(rest, LONGEST_WAIT), running.signal);
      try {
        return await this.#gate.run(once, running.signal);
      } catch (error) {
        if (isCancelled(error) || error instanceof PageError) throw error;
        // nothing ever came from there: a wrong address or a server that does not let pages read, so not for long
        const most = this.#hasAnswered ? ATTEMPTS : 2;
        if (attempt >= most) throw this.#give(error, key);
        const pause = this.#wait * 2 ** (attempt - 1) * (0.75 + Math.random() / 2);
        const asked = error instanceof Busy ? error.wait : 0;
        // all readers of a busy server wait with this one
        if (error instanceof Busy) this.#restUntil = Math.max(this.#restUntil, Date.now() + Math.max(pause, asked));
        await sleep(Math.min(Math.max(pause, asked), LONGEST_WAIT), running.signal);
      }
    }
  }

  #give(error: unknown, key: string): PageError {
    if (error instanceof Busy) return new PageError("load", `${error.message}; try again later`, { cause: error });
    const where = this.#url(key);
    const message = this.#hasAnswered
      ? `${where}: the connection was lost; try again later`
      : `${where} cannot be reached; check the address and the network, and that the server lets other pages read it (CORS)`;
    return new PageError("load", message, { cause: error });
  }

  #url(key: string): string {
    return `${this.identity}/${key}`;
  }
}

/** A failure that may pass. */
class Busy extends Error {
  readonly wait: number;

  constructor(message: string, wait: number) {
    super(message);
    this.wait = wait;
  }
}

export function parseUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch {
    throw new PageError("input", `"${shown(text)}" is no address; expected one such as https://example.org/store.zarr`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new PageError("input", `an address of ${url.protocol}; expected https: or http:`);
  }
  if (url.username || url.password) {
    throw new PageError("input", "an address with a password; expected one without");
  }
  url.hash = "";
  url.search = "";
  return url.href.replace(/\/+$/, "");
}

function versionOf(answer: Response): string | undefined {
  const etag = answer.headers.get("ETag") ?? undefined;
  if (etag !== undefined) return etag.slice(0, 300);
  // a page of another origin sees this one without the server's leave
  const modified = answer.headers.get("Last-Modified");
  return modified === null ? undefined : `modified ${modified.slice(0, 60)}`;
}

function waitOf(answer: Response): number {
  const text = answer.headers.get("Retry-After") ?? "";
  return /^\d{1,4}$/.test(text) ? Number(text) * 1000 : 0;
}
