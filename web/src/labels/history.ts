/** States one after another, with a word for the step that led to each. States are immutable and share what is equal. */
export interface History<T> {
  readonly past: readonly Step<T>[];
  readonly now: T;
  readonly future: readonly Step<T>[];
}

export interface Step<T> {
  readonly name: string;
  readonly state: T; // before the step in `past`, after it in `future`
}

export const MOST_STEPS = 500;

export function begin<T>(now: T): History<T> {
  return { past: [], now, future: [] };
}

/** After a step; the same history where the step changed nothing. */
export function step<T>(history: History<T>, name: string, next: T): History<T> {
  if (next === history.now) return history;
  return { past: [...history.past, { name, state: history.now }].slice(-MOST_STEPS), now: next, future: [] };
}

export function undo<T>(history: History<T>): History<T> {
  const last = history.past.at(-1);
  if (!last) return history;
  return {
    past: history.past.slice(0, -1),
    now: last.state,
    future: [{ name: last.name, state: history.now }, ...history.future],
  };
}

export function redo<T>(history: History<T>): History<T> {
  const [next, ...rest] = history.future;
  if (!next) return history;
  return { past: [...history.past, { name: next.name, state: history.now }], now: next.state, future: rest };
}
