import { PageError } from "../base";

/** Plain values of a file that is not ours, narrowed one step at a time. */
export type Plain = Readonly<Record<string, unknown>>;

/** One line about a file: what was received, what was expected. */
export function refuse(message: string): never {
  throw new PageError("input", message);
}

/** A value for people, short. */
export function shown(value: unknown, most = 60): string {
  const text = typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

export function isObject(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOf(value: unknown, keys: readonly string[], what: string): Plain {
  if (!isObject(value)) return refuse(`${what} is ${shown(value)}; expected an object of ${keys.join(", ")}`);
  const lacking = keys.filter((key) => !Object.hasOwn(value, key));
  const strange = Object.keys(value).filter((key) => !keys.includes(key));
  if (lacking.length || strange.length) {
    return refuse(`${what} lacks ${shown(lacking)} and has ${shown(strange)} besides; expected ${keys.join(", ")}`);
  }
  return value;
}

export function textOf(value: unknown, what: string): string {
  if (typeof value !== "string") return refuse(`${what} ${shown(value)}; expected text`);
  if (/\p{Surrogate}/u.test(value))
    return refuse(`${what} ${shown(value)} holds half of a character; expected Unicode text`);
  return value;
}

export function textsOf(value: unknown, what: string, most: number): readonly string[] {
  if (!Array.isArray(value) || value.length > most) return refuse(`${what} are no list of at most ${most} texts`);
  return value.map((one: unknown) => textOf(one, what));
}

/** A whole number from `least` on. */
export function countOf(value: unknown, what: string, least = 1): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
    return refuse(`${what} ${shown(value)}; expected a whole number of at least ${least}`);
  }
  return value;
}
