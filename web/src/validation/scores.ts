/** Counts by class: rows are the truth, columns the prediction. */
export type Matrix = readonly (readonly number[])[];

export function confusion(truth: ArrayLike<number>, predicted: ArrayLike<number>, classes: number): Matrix {
  const out = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let p = 0; p < truth.length; p++) {
    const [row, column] = [out[truth[p] ?? -1], predicted[p] ?? -1];
    if (row && column >= 0 && column < classes) row[column] = (row[column] ?? 0) + 1;
  }
  return out;
}

export interface Scores {
  readonly accuracy: number; // NaN where nothing is counted
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  readonly meanIou: number;
  readonly kappa: number;
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  readonly f1: readonly number[];
  readonly iou: readonly number[];
  readonly support: readonly number[];
}

/** Scores of a confusion matrix; means are over the classes that occur in the truth. */
export function scoresOf(matrix: Matrix): Scores {
  const support = matrix.map((row) => row.reduce((a, b) => a + b, 0));
  const said = matrix.map((_, k) => matrix.reduce((sum, row) => sum + (row[k] ?? 0), 0));
  const right = matrix.map((row, k) => row[k] ?? 0);
  const share = (part: (k: number) => number, whole: (k: number) => number) =>
    matrix.map((_, k) => (whole(k) > 0 ? part(k) / whole(k) : 0));
  const [s, p, r] = [support, said, right].map((each) => (k: number) => each[k] ?? 0) as [Get, Get, Get];
  const recall = share(r, s);
  const precision = share(r, p);
  const f1 = share(
    (k) => 2 * r(k),
    (k) => s(k) + p(k),
  );
  const iou = share(r, (k) => s(k) + p(k) - r(k));
  const total = support.reduce((a, b) => a + b, 0);
  const accuracy = right.reduce((a, b) => a + b, 0) / total;
  const chance = support.reduce((sum, one, k) => sum + one * p(k), 0) / total ** 2;
  const occurring = (values: readonly number[]) => {
    const met = values.filter((_, k) => s(k) > 0);
    return Math.min(1, met.reduce((a, b) => a + b, 0) / met.length);
  };
  return {
    accuracy,
    balancedAccuracy: occurring(recall),
    macroF1: occurring(f1),
    meanIou: occurring(iou),
    kappa: chance < 1 - 1e-12 ? (accuracy - chance) / (1 - chance) : NaN,
    precision,
    recall,
    f1,
    iou,
    support,
  };
}

type Get = (k: number) => number;
