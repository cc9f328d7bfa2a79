/** What went wrong, for the person who looks at the page: each kind asks for another step. */
export type Kind =
  | "input" // what the user gave is not what is expected
  | "missing" // it is not there, and the server says so
  | "load" // it could not be fetched now; it may come later
  | "corrupt" // it is there, but its bytes are not what they should be
  | "changed" // it was replaced while it was read
  | "refused"; // it is beyond a limit of this page

/** One line: what was received, what was expected, what to do. */
export class PageError extends Error {
  readonly kind: Kind;

  constructor(kind: Kind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PageError";
    this.kind = kind;
  }
}

/** Whether work ended because it was cancelled. */
export function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** An error that crosses from a worker to the page as plain values. */
export interface PlainError {
  readonly kind: Kind | "cancelled" | "fault";
  readonly message: string;
}

export function toPlain(error: unknown): PlainError {
  if (isCancelled(error)) return { kind: "cancelled", message: "cancelled" };
  if (error instanceof PageError) return { kind: error.kind, message: error.message };
  return { kind: "fault", message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

export function fromPlain(plain: PlainError): Error {
  if (plain.kind === "cancelled") return new DOMException(plain.message, "AbortError");
  return plain.kind === "fault" ? new Error(plain.message) : new PageError(plain.kind, plain.message);
}
