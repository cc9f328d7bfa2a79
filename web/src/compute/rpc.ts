// Calls to a worker by name: typed, with progress, parts, cancel, and errors as plain values.
import { PageError, fromPlain, toPlain, type PlainError, type Running } from "../base";

/** What a worker can be asked: its arguments, what it sends while it works, and what it answers. */
export type Calls = Record<string, { args: unknown; part: unknown; result: unknown }>;

type Question = { readonly id: number; readonly name: string; readonly args: unknown } | { readonly cancel: number };
type Answer =
  | {
      readonly id: number;
      readonly kind: "progress";
      readonly done: number;
      readonly total: number;
      readonly unit: string;
    }
  | { readonly id: number; readonly kind: "part"; readonly value: unknown }
  | { readonly id: number; readonly kind: "done"; readonly value: unknown }
  | { readonly id: number; readonly kind: "error"; readonly error: PlainError };

/** The end of a channel: a worker, what a worker sees of the page, or a port. */
export interface Port {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(kind: "message", got: (event: MessageEvent) => void): void;
  start?(): void;
}

export interface Options<Part> extends Running {
  readonly part?: (part: Part) => void;
  readonly transfer?: Transferable[];
}

interface Waiting {
  readonly settle: (answer: Answer) => void;
  readonly fail: (error: Error) => void;
}

/** The page's end. */
export class Caller<All extends Calls> {
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;
  #broken: Error | undefined;

  constructor(port: Port) {
    this.#port = port;
    port.addEventListener("message", (event: MessageEvent<Answer>) => {
      this.#waiting.get(event.data.id)?.settle(event.data);
    });
    port.start?.();
  }

  call<Name extends keyof All & string>(
    name: Name,
    args: All[Name]["args"],
    { signal, progress, part, transfer }: Options<All[Name]["part"]> = {},
  ): Promise<All[Name]["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#broken) {
        reject(this.#broken);
        return;
      }
      if (signal?.aborted) {
        reject(new DOMException("cancelled", "AbortError"));
        return;
      }
      const id = this.#next++;
      const cancel = () => this.#port.postMessage({ cancel: id } satisfies Question, []);
      const end = () => {
        this.#waiting.delete(id);
        signal?.removeEventListener("abort", cancel);
      };
      const settle = (answer: Answer) => {
        try {
          if (answer.kind === "progress") progress?.(answer.done, answer.total, answer.unit);
          else if (answer.kind === "part") part?.(answer.value as All[Name]["part"]);
          else {
            end();
            if (answer.kind === "done") resolve(answer.value as All[Name]["result"]);
            else reject(fromPlain(answer.error));
          }
        } catch (error) {
          // a listener of the page failed: the call has no one to work for
          end();
          cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      this.#waiting.set(id, { settle, fail: (error) => (end(), reject(error)) });
      signal?.addEventListener("abort", cancel, { once: true });
      this.#port.postMessage({ id, name, args } satisfies Question, transfer ?? []);
    });
  }

  /** The other end is gone: all calls fail. */
  break(message: string): void {
    this.#broken = new PageError("load", message);
    for (const { fail } of [...this.#waiting.values()]) fail(this.#broken);
  }
}

/** What a handler is given beside its arguments. */
export interface Job<Part> {
  readonly signal: AbortSignal;
  readonly progress: (done: number, total: number, unit: string) => void;
  readonly part: (value: Part, transfer?: Transferable[]) => void;
}

export type Handlers<All extends Calls> = {
  readonly [Name in keyof All]: (args: All[Name]["args"], job: Job<All[Name]["part"]>) => Promise<All[Name]["result"]>;
};

/** The worker's end. */
export function serveCalls<All extends Calls>(port: Port, handlers: Handlers<All>): void {
  const running = new Map<number, AbortController>();
  port.addEventListener("message", (event: MessageEvent<Question>) => {
    const question = event.data;
    if ("cancel" in question) {
      running.get(question.cancel)?.abort();
      return;
    }
    const { id, name, args } = question;
    const stop = new AbortController();
    running.set(id, stop);
    const send = (answer: Answer, transfer: Transferable[] = []) => port.postMessage(answer, transfer);
    const job: Job<unknown> = {
      signal: stop.signal,
      progress: (done, total, unit) => send({ id, kind: "progress", done, total, unit }),
      part: (value, transfer) => send({ id, kind: "part", value }, transfer),
    };
    const handler = handlers[name];
    const work = handler ? handler(args, job) : Promise.reject(new Error(`no call ${name}`));
    work
      .then(
        (value) => send({ id, kind: "done", value }),
        (error: unknown) => send({ id, kind: "error", error: toPlain(error) }),
      )
      .finally(() => running.delete(id));
  });
  port.start?.();
}
