/** A range of an object that holds several wanted ones. */
export interface Run {
  readonly start: number;
  readonly stop: number;
  readonly members: readonly number[];
}

/**
 * Join ranges into requests, in order of position: with at most `gap` unused bytes between two, a share of at most
 * `waste` unused in all, and at most `limit` bytes, which a single range may pass.
 */
export function joinRanges(
  starts: readonly number[],
  stops: readonly number[],
  { gap = 0, limit = 9 * 2 ** 20, waste = 1 }: { gap?: number; limit?: number; waste?: number },
): readonly Run[] {
  const runs: Run[] = [];
  let members: number[] = [];
  let [first, last, used] = [0, 0, 0];
  const order = starts.map((_, k) => k).sort((a, b) => (starts[a] ?? 0) - (starts[b] ?? 0));
  for (const k of order) {
    const [start = 0, end = 0] = [starts[k], stops[k]];
    const stop = Math.max(last, end);
    const size = stop - first;
    if (members.length > 0 && start - last <= gap && size <= limit && size - used - (end - start) <= waste * size) {
      members.push(k);
      [last, used] = [stop, used + end - start];
      continue;
    }
    if (members.length > 0) runs.push({ start: first, stop: last, members });
    [members, first, last, used] = [[k], start, end, end - start];
  }
  if (members.length > 0) runs.push({ start: first, stop: last, members });
  return runs;
}
