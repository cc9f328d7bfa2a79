import { untested } from "../heads";
import type { Report, Scored } from "./types";

/** What the head's file says of its tests, as Python reads it (schema 2); what the page does not measure is null. */
export function metricsOf(report: Report, groups: number): Readonly<Record<string, unknown>> {
  const names = report.classes.map((one) => one.name);
  const base = untested(
    names,
    report.classes.map((one) => one.labels),
    groups,
  );
  if (!report.folds || report.accuracy.value === null) return { ...base, notes: report.notes };
  const ends = ({ low, high }: Scored) => [low, high];
  const { accuracy, balancedAccuracy, macroF1, random } = report;
  const none = [null, null];
  return {
    ...base,
    split: report.split,
    split_why: report.blockKm === null ? "" : `blocks of ${report.blockKm} km, by the page`,
    block_km: report.blockKm,
    buffer_km: report.bufferKm,
    unit: report.unit,
    units: report.units,
    folds: report.folds,
    validated: report.labels,
    accuracy: accuracy.value,
    balanced_accuracy: balancedAccuracy.value,
    macro_f1: macroF1.value,
    mean_iou: report.meanIou,
    kappa: report.kappa,
    intervals: {
      balanced_accuracy: ends(balancedAccuracy),
      macro_f1: ends(macroF1),
      accuracy: ends(accuracy),
      ...Object.fromEntries(["mean_iou", "kappa", "auc", "log_loss", "brier"].map((name) => [name, none])),
    },
    per_unit: {
      units: report.units,
      ...Object.fromEntries(["balanced_accuracy", "macro_f1", "accuracy"].map((name) => [name, [null, null, null]])),
    },
    confusion: { classes: names, counts: report.confusion },
    random: random && {
      ...Object.fromEntries(["mean_iou", "kappa", "auc", "log_loss", "brier"].map((name) => [name, null])),
      accuracy: random.accuracy,
      balanced_accuracy: random.balancedAccuracy,
      macro_f1: random.macroF1,
    },
    per_class: Object.fromEntries(
      report.classes.map(({ name, labels, tested, precision, recall, iou, f1 }) => [
        name,
        { labels, tested, precision, recall, iou, f1: tested ? f1.value : null },
      ]),
    ),
    notes: report.notes,
  };
}
