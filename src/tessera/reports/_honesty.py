"""Whether probabilities, sets and intervals hold what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.validation import wide_sets_text

from ._page import Html, items, paragraph, picture, table
from ._pictures import draw_reliability
from .values import cell, estimated, figures, number, part, percent, share, spread, whole

if TYPE_CHECKING:
    from .asked import ReportedHead

_METHODS = {
    "none": "The raw probabilities were kept: labels are too few to calibrate them, or no calibration made them "
    "better on folds that it had not learnt from.",
    "temperature": "Probabilities were calibrated by a temperature",
    "isotonic": "Probabilities were calibrated by a rising (isotonic) curve for each class.",
}


def calibration_section(head: ReportedHead) -> Html:
    """Reliability and calibration error, before and after."""
    found = part(head.metrics, "calibration")
    if not found:
        return Html("")
    method, degree = str(found.get("method")), number(found.get("temperature"))
    said, why = _METHODS.get(method, ""), found.get("why")
    if method == "none" and isinstance(why, str) and why:
        said = f"The raw probabilities were kept: {why}."
    if method == "temperature":
        raw = "" if degree is None else "sure" if degree > 1 else "cautious"
        said += f" of {degree:.2f}: the raw ones were too {raw}." if degree is not None else "."
    body = [
        [label, estimated(cell(found.get(key)), show), estimated(cell(found.get(f"{key}_calibrated")), show)]
        for key, label, show in (
            ("error", "calibration error", share),
            ("log_loss", "log loss", share),
            ("brier", "Brier score", share),
        )
        if number(cell(found.get(key))[0]) is not None
    ]
    as_they_are = method == "none"
    png = draw_reliability(found.get("bins"), None if as_they_are else found.get("bins_calibrated"))
    alt = (
        "Reliability diagram: share of right predictions by the highest probability. "
        f"Calibration error {estimated(cell(found.get('error')))} raw, "
        f"{estimated(cell(found.get('error_calibrated')))} calibrated."
    )
    caption = "Points below the dashed line: more confident than right. Bars: 95 % intervals over blocks of land."
    heads = ["lower is better", "raw (95 % interval)", "calibrated (95 % interval)"]
    if as_they_are:
        heads, body = heads[:2], [row[:2] for row in body]
    after = table(heads, body) if body else ""
    return Html(paragraph(said) + _flattered(found) + picture(png, alt, caption) + after)


def _flattered(found: dict[str, Any]) -> Html:
    """What the split leaves open."""
    note = found.get("note")
    return items([note], "notes") if isinstance(note, str) else Html("")


def sets_section(head: ReportedHead) -> Html:
    """Coverage of sets or intervals, and abstention."""
    found, out = part(head.metrics, "conformal"), []
    level = number(found.get("level"))
    if level is not None:
        what = "A prediction set holds the classes that" if head.classes else "A prediction interval is the range that"
        body: list[list[Any]] = [
            [
                "labels whose class is in their set" if head.classes else "labels within their interval",
                spread(cell(found.get("coverage")), percent),
            ],
            ["the same, each block of land counts once", spread(cell(found.get("by_group")), percent)],
        ]
        size = number(found.get("size"))
        body.append(["classes in a set, mean" if head.classes else "width, mean", figures(size)])
        if head.classes:
            body.append(["sets of one class", percent(number(found.get("single")))])
        elif found.get("normalised") is True:
            body.append(["width", "grows with the predicted number as the errors do"])
        out.append(
            paragraph(
                f"{what} cannot be ruled out at a place. At {percent(level)} it holds the truth of about that share of "
                "labels at new places, if these are like the labelled ones (conformal prediction in which each block "
                "of land counts once). Measured on folds that it was not learnt from:"
            )
        )
        out.append(_flattered(found))
        out.append(table(("measured", "value"), body))
        wide = wide_sets_text(size, len(head.classes))
        out.append(items([wide] if wide else [], "notes"))
    kept = part(head.metrics, "abstention")
    wanted, threshold = number(kept.get("accuracy")), number(kept.get("threshold"))
    if wanted is not None and threshold:
        share_kept, reached = (spread(cell(kept.get(key)), percent) for key in ("kept", "reached"))
        out.append(
            paragraph(
                f"Below a calibrated probability of {threshold:.2f} the map should say nothing: {share_kept} of labels "
                f"are kept, and {reached} of those are right ({percent(wanted)} wanted)."
            )
        )
    elif wanted is not None:
        why = (
            f"all predictions together are right in {percent(wanted)} of cases or more"
            if threshold is not None
            else f"no threshold of the probability makes {percent(wanted)} of the rest right"
        )
        out.append(paragraph(f"Nothing abstains: {why}."))
    return Html("".join(out))


def applicability_section(head: ReportedHead, beyond: float | None = None) -> Html:
    """How far the labels reach in feature space; `beyond`: the share of the map that they do not reach."""
    found = part(head.metrics, "applicability")
    inside, kept = number(found.get("inside")), whole(found.get("references"))
    if not found:
        return Html("")
    held = (
        f"{percent(1 - inside)} of the labels lie beyond distance 1 of the labels of other folds. "
        if inside is not None
        else ""
    )
    mapped = f"{percent(beyond)} of this map lies beyond distance 1. " if beyond is not None else ""
    measured = f" The distance is measured to {kept:,} labelled vectors." if kept else ""
    return paragraph(
        f"{mapped}{held}Where the band applicability of a map (tessera map --uncertainty) is above 1, land is unlike "
        f"all labels, and no score here holds (Meyer and Pebesma 2021).{measured}"
    )
