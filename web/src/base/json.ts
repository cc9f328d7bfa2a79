// JSON from strangers: bounded before it is parsed, its keys once, and values narrowed before they are used.
import { PageError } from "./errors";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

const MOST_DEPTH = 64;

/** Parse at most `most` bytes of JSON; `where` names the file in messages. */
export function parseJson(bytes: Uint8Array, most: number, where: string): Json {
  if (bytes.length > most) {
    throw new PageError("refused", `${where} has ${bytes.length} bytes; expected at most ${most}`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new PageError("corrupt", `${where} is not UTF-8 text; expected JSON`);
  }
  checkKeys(text, where);
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new PageError("corrupt", `${where} is not valid JSON`);
  }
}

/** Readers differ in which of two equal keys they take, so each must come once; deep nesting is refused unparsed. */
function checkKeys(text: string, where: string): void {
  const open: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs;
  for (let hit = tokens.exec(text); hit; hit = tokens.exec(text)) {
    const token = hit[0];
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      if (open.length > MOST_DEPTH) throw new PageError("refused", `${where} is nested more than ${MOST_DEPTH} deep`);
    } else if (token === "}" || token === "]") open.pop();
    else if (hit[1] !== undefined) {
      const key = keyOf(token.slice(0, token.lastIndexOf('"') + 1));
      const keys = open.at(-1);
      if (keys?.has(key)) throw new PageError("corrupt", `${where} has the key "${shown(key)}" twice; expected once`);
      keys?.add(key);
    }
  }
}

function keyOf(token: string): string {
  if (!token.includes("\\")) return token.slice(1, -1);
  try {
    return String(JSON.parse(token));
  } catch {
    return token; // JSON.parse of the whole says what is wrong
  }
}

/** A stranger's text in a message: one short line. */
export function shown(value: unknown, most = 60): string {
  const text = (typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu,
    " ",
  );
  return text.length > most ? `${text.slice(0, most)}...` : text;
}

/** Narrows parsed values; every refusal names the file and the field. */
export class Reading {
  readonly where: string;

  constructor(where: string) {
    this.where = where;
  }

  fail(what: string, value: unknown, expected: string): never {
    throw new PageError("corrupt", `${this.where}: ${what} is ${shown(value)}; expected ${expected}`);
  }

  object(value: Json | undefined, what: string): JsonObject {
    if (typeof value !== "object" || value === null || isList(value)) return this.fail(what, value, "an object");
    return value;
  }

  list(value: Json | undefined, what: string, most = 1_000_000): readonly Json[] {
    if (!isList(value) || value.length > most) return this.fail(what, value, `a list of at most ${most}`);
    return value;
  }

  text(value: Json | undefined, what: string, most = 300): string {
    if (typeof value !== "string" || value.length > most) {
      return this.fail(what, value, `text of at most ${most} characters`);
    }
    return value;
  }

  whole(value: Json | undefined, what: string, least: number, most: number): number {
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
      return this.fail(what, value, `a whole number from ${least} to ${most}`);
    }
    return value;
  }

  wholes(value: Json | undefined, what: string, least: number, most: number): readonly number[] {
    return this.list(value, what).map((each) => this.whole(each, what, least, most));
  }

  numbers(value: Json | undefined, what: string): readonly number[] {
    return this.list(value, what).map((each) => {
      if (typeof each !== "number" || !Number.isFinite(each)) return this.fail(what, value, "finite numbers");
      return each;
    });
  }
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
