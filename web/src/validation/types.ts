/** A score and its 95 % interval; null where it is undefined. */
export interface Scored {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Totals {
  readonly accuracy: number | null;
  readonly balancedAccuracy: number | null;
  readonly macroF1: number | null;
}

export interface ClassReport {
  readonly name: string;
  readonly labels: number;
  readonly blocks: number; // that hold labels of it
  readonly tested: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly iou: number | null;
  readonly f1: Scored;
}

/** What `validate` found: predictions of labels by heads that learnt from other blocks of land. */
export interface Report {
  readonly head: string;
  readonly split: Split;
  readonly blockKm: number | null;
  readonly bufferKm: number | null; // labels nearer to a tested one are not learnt from
  readonly unit: "block" | "group" | "label";
  readonly units: number;
  readonly folds: number; // 0: not tested, and the notes say why
  readonly labels: number;
  readonly tested: number;
  readonly accuracy: Scored;
  readonly balancedAccuracy: Scored;
  readonly macroF1: Scored;
  readonly meanIou: number | null;
  readonly kappa: number | null;
  readonly confusion: readonly (readonly number[])[]; // rows are the truth, columns the prediction
  readonly classes: readonly ClassReport[];
  readonly random: Totals | null; // what a random split of the same labels shows
  readonly notes: readonly string[]; // for people
  /** (n,) index of the class that each label was taken for while it was held out; -1 where it was not tested. */
  readonly predicted: Int32Array;
}

/** What is held out together: blocks of land, the labels' own groups, or each label alone (to compare with). */
export type Split = "spatial" | "group" | "random";
