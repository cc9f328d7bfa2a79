"""How often the head is right on land that it did not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.labels import FEW_PLACES
from tessera.validation import (
    CLASS_METRICS,
    LOWER_IS_BETTER,
    METRIC_NAMES,
    NUMBER_METRICS,
    few_tested,
    few_tested_text,
    left_out_at_once,
)

from ._page import Html, entry, heat, items, name, paragraph, picture, table
from ._pictures import draw_curve, draw_scatter
from .values import cell, figures, hectares, number, part, percent, rows, share, spread, texts, whole, with_interval

if TYPE_CHECKING:
    from .asked import ReportedHead

_MOST_CONFUSION = 30
"""Classes of a confusion matrix that is shown whole."""
_MOST_PAIRS = 30
EACH_CLASS = ("macro_f1", "balanced_accuracy", "mean_iou")
"""Scores in which each class counts the same."""
_UNITS = {"block": "blocks of land", "group": "groups", "region": "regions", "label": "single labels"}
_TESTED = {
    "spatial": "land",
    "group": "groups",
    "region": "regions",
    "year": "years",
}
"""What a split tests that was not learnt from."""


def totals(head: ReportedHead) -> list[tuple[str, Any]]:
    """The names of the scores that the head has, and how to show them."""
    names, show = (CLASS_METRICS, share) if head.classes else (NUMBER_METRICS, figures)
    return [(key, show) for key in names if number(head.metrics.get(key)) is not None]


def units_of(metrics: dict[str, Any]) -> str:
    """What was held out whole, in words."""
    return _UNITS.get(str(metrics.get("unit")), "blocks of land" if metrics.get("split") == "spatial" else "groups")


def tested_on(metrics: dict[str, Any]) -> str:
    """What the scores are of, in a few words: "on land not learnt from"."""
    split = metrics.get("split")
    if split == "random":
        return "on labels at random"
    return "on the given test labels" if split == "given" else f"on {_TESTED.get(str(split), 'land')} not learnt from"


def tested_places(head: ReportedHead) -> dict[str, int]:
    """The tested places of each class; {} in heads of before, which do not count them."""
    found = {name: whole(part(head.metrics, "per_class", name).get("places")) for name in head.classes}
    return {name: count for name, count in found.items() if count is not None}


def untested(head: ReportedHead) -> list[str]:
    """The classes that no label was tested of; [] where nothing was tested."""
    found = {name: whole(part(head.metrics, "per_class", name).get("tested")) for name in head.classes}
    return [name for name, count in found.items() if count == 0] if any(found.values()) else []


def of_classes(head: ReportedHead, key: str) -> str:
    """What a score that counts each class once is of, where some class was not tested: ", 6 of 7 classes"."""
    lost = len(untested(head))
    return f", {len(head.classes) - lost} of {len(head.classes)} classes" if lost and key in EACH_CLASS else ""


def _blocks_text(metrics: dict[str, Any]) -> str:
    """What is left out for intervals, and what "block" means."""
    count = whole(part(metrics, "per_unit").get("units"))
    if not count:
        return ""
    side = number(metrics.get("block_km")) if metrics.get("split") == "spatial" else None
    size = f" of {side:g} km" if side else ""
    return (
        f"A block is a square of land{size} with all its labels. The tested labels lie in {count:,} blocks. Labels of "
        f"one block err together, so the intervals leave out {left_out_at_once(count)} at a time."
    )


def scores_section(head: ReportedHead) -> Html:
    """The scores with intervals, beside them those of a random split."""
    metrics = head.metrics
    known = totals(head)
    if not known:
        return paragraph("The head was not tested: its labels could not be divided into folds. See the notes above.")
    ends, beside = part(metrics, "intervals"), part(metrics, "random")
    alone = part(metrics, "per_unit") or part(metrics, "per_place")
    body = []
    for key, show in known:
        line: list[Any] = [
            METRIC_NAMES[key] + of_classes(head, key),
            spread(with_interval(metrics[key], ends.get(key)), show),
        ]
        if alone:
            line.append(spread(cell(alone.get(key)), show))
        if beside:
            line.append(show(number(beside.get(key))))
        body.append(line)
    heads = ["score", f"{tested_on(metrics)} (95 % interval)"]
    heads += ["each block counts once"] if alone else []
    heads += ["random split, for comparison"] if beside else []
    about = _blocks_text(metrics)
    few = few_tested_text(tested_places(head))
    out = [paragraph(about) if about else "", items([few] if few else [], "notes"), table(heads, body)]
    if metrics.get("split") == "random":
        out.append(
            paragraph(
                "The labels were divided at random, so each was tested by a head that had learnt from its neighbours. "
                "Such scores are usually higher than on land without labels: quote those of another split."
            )
        )
    if beside:
        out.append(
            paragraph(
                "A random split tests on neighbours of what was learnt, so it says more about the labels than about "
                "new land. Quote the first column."
            )
        )
    fold_rows = rows(metrics.get("per_fold"))
    if fold_rows:
        body = [
            [
                name(row.get("name", "")),
                *(f"{one:,}" if (one := whole(row.get(key))) is not None else "-" for key in ("learnt", "tested")),
                *(show(number(row.get(key))) for key, show in known[:3]),
            ]
            for row in fold_rows
        ]
        heads = ["fold", "labels learnt", "labels tested", *(METRIC_NAMES[key] for key, _ in known[:3])]
        out.append(table(heads, body, "Each fold was predicted by a head that had learnt from the others only."))
    return Html("".join(out))


def classes_section(head: ReportedHead, areas: dict[str, Any] | None) -> Html:
    """A row a class."""
    if not head.classes:
        return Html("")
    per_class, held = part(head.metrics, "per_class"), part(head.metrics, "conformal", "per_class")
    held = {key: value for key, value in held.items() if number(value) is not None}
    area = {row["name"]: row["area"][0] for row in areas["classes"]} if areas else {}
    places = tested_places(head)
    few = few_tested(places)
    body = []
    for value, label, colour in zip(head.values, head.classes, head.colours, strict=True):
        row = part(per_class, label)
        counts = [f"{one:,}" if (one := whole(row.get(key))) is not None else "-" for key in ("labels", "tested")]
        line: list[Any] = [entry(colour, label), str(value), *counts]
        line += [f"{places.get(label, 0):,}{' (few)' if label in few else ''}"] if places else []
        line += [share(number(row.get(key)), 2) for key in ("precision", "recall", "f1", "iou")]
        line += [percent(number(held.get(label)))] if held else []
        line += [hectares(area.get(label))] if area else []
        body.append(line)
    heads = ["class", "value on the map", "labels", "labels tested", *(["places tested"] if places else [])]
    heads += ["precision (user's)", "recall (producer's)", "F1", "IoU"]
    heads += ["in the prediction set"] if held else []
    heads += ["hectares"] if area else []
    caption = "Places are polygons, points or groups. " if places else ""
    caption += '"-": the class could not be tested.'
    caption += f" (few): fewer than {FEW_PLACES} places, so the scores of the class are uncertain." if few else ""
    return table(heads, body, caption)


def confusion_section(head: ReportedHead) -> Html:
    """Which class was taken for which."""
    found = part(head.metrics, "confusion")
    names, counts = texts(found.get("classes")), found.get("counts")
    if not isinstance(counts, list) or not len(counts) == len(names) > 0:
        return Html("")
    if not all(isinstance(row, list) and len(row) == len(names) for row in counts):
        return Html("")
    matrix = [[whole(one) or 0 for one in row] for row in counts]
    sums = [max(1, sum(row)) for row in matrix]
    if len(names) <= _MOST_CONFUSION:
        body: list[list[Any]] = [
            [name(label), *(heat(f"{one:,}", one / sums[index]) for one in row)]
            for index, (label, row) in enumerate(zip(names, matrix, strict=True))
        ]
        caption = "Rows: the label. Columns: the prediction. The darker, the larger the share of the row."
        return table(["label / prediction", *map(name, names)], body, caption)
    pairs = [(matrix[i][j], i, j) for i in range(len(names)) for j in range(len(names)) if i != j and matrix[i][j] > 0]
    pairs.sort(key=lambda one: (-one[0], one[1], one[2]))
    body = [
        [name(names[i]), name(names[j]), f"{often:,}", percent(often / sums[i])] for often, i, j in pairs[:_MOST_PAIRS]
    ]
    return table(["label", "taken for", "labels", "of its labels"], body, "The most frequent confusions.", texts=(1,))


def curve_section(head: ReportedHead) -> Html:
    """The score by the number of labels."""
    curve = part(head.metrics, "curve")
    points = rows(curve.get("points"))
    metric = METRIC_NAMES.get(str(curve.get("metric")), "score")
    if not points:
        return Html("")
    show = share if head.classes else figures
    body = [
        [
            row.get("labels", ""),
            f"about {mean:,.0f}" if (mean := number(row.get("learnt"))) is not None else "-",
            spread(cell([row.get(key) for key in ("value", "low", "high")]), show),
        ]
        for row in points
    ]
    png = draw_curve(points, metric)
    alt = f"Learning curve: {metric} by the number of labels learnt from; the table below has the figures."
    after = table(["amount", "labels learnt from, mean of the folds", f"{metric} (95 % interval)"], body)
    better = "falls" if curve.get("metric") in LOWER_IS_BETTER else "rises"
    return Html(
        picture(png, alt, f"If the curve still {better} at its end, more labels of the same kind help.") + after
    )


def scatter_section(head: ReportedHead) -> Html:
    """Predicted against measured numbers."""
    found = part(head.metrics, "scatter")
    lists = [found.get(key) for key in ("truth", "predicted")]
    if not all(isinstance(one, list) and one for one in lists):
        return Html("")
    pairs = [(number(a), number(b)) for a, b in zip(*lists, strict=False)]
    good = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not good:
        return Html("")
    truth, predicted = zip(*good, strict=True)
    alt = f"{len(good):,} predicted numbers against measured ones; a dashed line shows where both are the same."
    return picture(
        draw_scatter(truth, predicted), alt, "Each point is a label, predicted by a model that had not met it."
    )


def notes_of(head: ReportedHead) -> Html:
    """What to know before anything else."""
    return items(texts(head.metrics.get("notes")), "notes")
