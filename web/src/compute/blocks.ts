// Rows of blocks that lie side by side in a shard are read as one.
import type { Window } from "../geo";
import type { Block } from "../store";

/** Pixels: blocks of one square of this grid, in one row, fall to one worker and are read together. */
export const ROW_WIDTH = 1024;

export interface Wanted {
  readonly window: Window;
  readonly key: string;
}

/** Windows in runs without gaps along a row, in the order of the first of each. */
export function rowsOf(wanted: readonly Wanted[]): Wanted[][] {
  const groups = new Map<string, Wanted[]>();
  for (const each of wanted) {
    const { zone, row, height, col } = each.window;
    const name = `${zone} ${row} ${height} ${Math.floor(col / ROW_WIDTH)}`;
    groups.set(name, [...(groups.get(name) ?? []), each]);
  }
  return [...groups.values()].flatMap((group) => {
    const runs: Wanted[][] = [];
    for (const each of group.sort((a, b) => a.window.col - b.window.col)) {
      const last = runs.at(-1)?.at(-1)?.window;
      if (last && last.col + last.width === each.window.col) runs.at(-1)?.push(each);
      else runs.push([each]);
    }
    return runs;
  });
}

/** The rectangle of windows side by side. */
export function around(windows: readonly Window[]): Window {
  const [first, last] = [windows[0], windows.at(-1)];
  if (first === undefined || last === undefined) throw new RangeError("no windows");
  return { ...first, width: last.col + last.width - first.col };
}

/** A window out of a block of the same rows. */
export function cut(block: Block, window: Window): Block {
  const { dims } = block;
  const { height, width } = window;
  const codes = new Int8Array(height * width * dims);
  const scales = new Float32Array(height * width);
  for (let row = 0; row < height; row++) {
    const start = row * block.window.width + window.col - block.window.col;
    scales.set(block.scales.subarray(start, start + width), row * width);
    codes.set(block.codes.subarray(start * dims, (start + width) * dims), row * width * dims);
  }
  return { window, dims, codes, scales };
}
