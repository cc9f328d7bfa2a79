import { PageError } from "../base";

/** A body of at most `most` bytes, of exactly `expected` where the length is known. A shorter one is a lost connection. */
export async function readBody(
  answer: Response,
  most: number,
  expected: number | undefined,
  where: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const limit = expected ?? most;
  if (answer.body === null) return new Uint8Array(0);
  const told = lengthOf(answer);
  if (told !== undefined) {
    if (told > limit) {
      await answer.body.cancel();
      throw tooLong(where, limit);
    }
    // no more comes than was told, and taken at once it takes a third of the time of a stream
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length < (expected ?? told)) throw new TypeError(`${bytes.length} of ${expected ?? told} bytes came`);
    return bytes;
  }
  const reader = answer.body.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    size += next.value.length;
    if (size > limit) {
      await reader.cancel();
      throw tooLong(where, limit);
    }
    parts.push(next.value);
  }
  if (expected !== undefined && size < expected) throw new TypeError(`${size} of ${expected} bytes came`);
  const [only] = parts;
  if (parts.length === 1 && only !== undefined && only.buffer instanceof ArrayBuffer) {
    return new Uint8Array(only.buffer, only.byteOffset, only.length);
  }
  const bytes = new Uint8Array(size);
  parts.reduce((at, part) => {
    bytes.set(part, at);
    return at + part.length;
  }, 0);
  return bytes;
}

const tooLong = (where: string, limit: number): PageError =>
  new PageError("refused", `${where} sent more than ${limit} bytes; it was read no further`);

/** Bytes of a body by its header; undefined where it is packed on the way, since it then has another length. */
export function lengthOf(answer: Response): number | undefined {
  const text = answer.headers.get("Content-Length");
  const isPacked = (answer.headers.get("Content-Encoding") ?? "identity") !== "identity";
  return text !== null && /^\d{1,15}$/.test(text) && !isPacked ? Number(text) : undefined;
}
