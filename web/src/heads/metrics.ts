const TOTALS = ["balanced_accuracy", "macro_f1", "accuracy", "mean_iou", "kappa", "auc", "log_loss", "brier"];
const NOTHING = [
  ...["block_km", "buffer_km", "range_km", "random", "confusion", "gap", "curve", "scatter", "points"],
  ...["calibration", "conformal", "abstention", "applicability", "tuning", "sample"],
  ...["intervals", "per_unit", "per_group"],
];
const COUNTS = ["labels", "groups", "missing", "no_data", "outside", "folds", "units"];

/** The metrics of a head that was not tested, as Python reads them (schema 2): null is what nobody measured. */
export function untested(
  classes: readonly string[],
  labels: readonly number[],
  groups: number,
): Readonly<Record<string, unknown>> {
  return {
    schema: 2,
    ...Object.fromEntries([...TOTALS, ...NOTHING].map((name) => [name, null])),
    ...Object.fromEntries(COUNTS.map((name) => [name, 0])),
    labels: labels.reduce((sum, count) => sum + count, 0),
    groups,
    split: "none",
    unit: "group",
    split_why: "",
    notes: [],
    per_fold: [],
    worst: [],
    per_class: Object.fromEntries(
      classes.map((name, index) => [
        name,
        { labels: labels[index] ?? 0, tested: 0, precision: null, recall: null, f1: null, iou: null },
      ]),
    ),
  };
}
