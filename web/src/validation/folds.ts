import { Pcg64 } from "../base";

export const MOST_FOLDS = 5;
/** Labels, and units that hold them, that a class needs to be scored. */
export const [LEAST_LABELS, LEAST_UNITS] = [3, 2];

/** Numbers from 0 in the order of the values, as numpy's unique gives them: which each is, and how many there are. */
export function numbered(values: ArrayLike<number>): { readonly member: Int32Array; readonly count: number } {
  const distinct = [...new Set(Array.from(values))].sort((a, b) => a - b);
  const place = new Map(distinct.map((value, index) => [value, index]));
  return { member: Int32Array.from(values, (value) => place.get(value) ?? 0), count: distinct.length };
}

/**
 * Deal whole groups to folds so that each class is spread as evenly as its groups allow; the same folds as Python's
 * `make_folds` of the same classes, groups and seed. Returned is the fold of each label.
 */
export function makeFolds(classes: Int32Array, groups: Int32Array, seed = 0, most = MOST_FOLDS): Int32Array {
  const { member, count } = numbered(groups);
  const columns = classes.reduce((largest, one) => Math.max(largest, one), -1) + 1;
  const table = Array.from({ length: count }, () => new Int32Array(columns));
  classes.forEach((name, row) => bump(table[member[row] as number], name, 1));
  const size = table.map((row) => row.reduce((a, b) => a + b, 0));
  const folds = Math.max(1, Math.min(most, count));
  const chosen = new Int32Array(count).fill(-1);
  const [dealt, counts] = [0, 1].map(() => Array.from({ length: folds }, () => new Int32Array(columns))) as [
    Int32Array[],
    Int32Array[],
  ];
  const total = new Int32Array(folds);
  // sort is stable: groups of one size stay in the drawn order
  const bySize = [...new Pcg64(seed).permutation(count)].sort((a, b) => (size[b] ?? 0) - (size[a] ?? 0));
  const spread = Array.from({ length: columns }, (_, name) => table.filter((row) => (row[name] ?? 0) > 0).length);
  const names = [...spread.keys()].sort((a, b) => (spread[a] ?? 0) - (spread[b] ?? 0));
  for (const name of names) {
    for (const group of bySize) {
      const row = table[group] as Int32Array;
      if ((row[name] as number) === 0 || (chosen[group] as number) >= 0) continue;
      let fold = 0;
      for (let other = 1; other < folds; other++) {
        const gap =
          at(dealt, other, name) - at(dealt, fold, name) ||
          at(counts, other, name) - at(counts, fold, name) ||
          (total[other] as number) - (total[fold] as number);
        if (gap < 0) fold = other;
      }
      chosen[group] = fold;
      row.forEach((labels, own) => {
        bump(dealt[fold], own, labels > 0 ? 1 : 0);
        bump(counts[fold], own, labels);
      });
      bump(total, fold, size[group] ?? 0);
    }
  }
  return member.map((group) => chosen[group] as number);
}

function at(table: readonly Int32Array[], row: number, column: number): number {
  return table[row]?.[column] ?? 0;
}

function bump(counts: Int32Array | undefined, place: number, by: number): void {
  if (counts) counts[place] = (counts[place] ?? 0) + by;
}

/** How many labels each class has, and how many units hold some. */
export function spreadOf(classes: Int32Array, units: Int32Array, count: number) {
  const met = Array.from({ length: count }, () => new Set<number>());
  const labels = new Int32Array(count);
  classes.forEach((name, row) => {
    met[name]?.add(units[row] as number);
    bump(labels, name, 1);
  });
  return { labels, units: Int32Array.from(met, (set) => set.size) };
}
