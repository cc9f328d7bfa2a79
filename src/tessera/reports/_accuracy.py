"""How often the head is right on land that it did not learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.validation import CLASS_METRICS, METRIC_NAMES, NUMBER_METRICS

from ._page import Html, heat, items, name, paragraph, picture, swatch, table
from ._pictures import draw_curve, draw_scatter
from ._values import cell, figures, hectares, number, part, percent, rows, share, spread, texts, whole, with_interval

if TYPE_CHECKING:
    from .asked import ReportedHead

_MOST_CONFUSION = 30
"""Classes of a confusion matrix that is shown whole."""
_MOST_PAIRS = 30
_UNITS = {"block": "blocks of land", "group": "groups", "region": "regions", "year": "years", "label": "labels"}


def totals(head: ReportedHead) -> list[tuple[str, Any]]:
    """The names of the scores that the head has, and how to show them."""
    names, show = (CLASS_METRICS, share) if head.classes else (NUMBER_METRICS, figures)
    return [(key, show) for key in names if number(head.metrics.get(key)) is not None]


def units_of(metrics: dict[str, Any]) -> str:
    """What was held out together, in words."""
    return _UNITS.get(str(metrics.get("unit")), "blocks of land" if metrics.get("split") == "spatial" else "groups")


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
        line: list[Any] = [METRIC_NAMES[key], spread(with_interval(metrics[key], ends.get(key)), show)]
        if alone:
            line.append(spread(cell(alone.get(key)), show))
        if beside:
            line.append(show(number(beside.get(key))))
        body.append(line)
    heads = ["score", "on land not learnt from (95 % interval)"]
    heads += ["each unit counts once"] if alone else []
    heads += ["random split, for comparison"] if beside else []
    out = [
        table(
            heads, body, "Scores of predictions out of fold. What was held out together counts as one in the intervals."
        )
    ]
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
        out.append(table(heads, body, "Each fold was predicted by a model of all others."))
    return Html("".join(out))


def classes_section(head: ReportedHead, areas: dict[str, Any] | None) -> Html:
    """A row a class."""
    if not head.classes:
        return Html("")
    per_class, held = part(head.metrics, "per_class"), part(head.metrics, "conformal", "per_class")
    held = {key: value for key, value in held.items() if number(value) is not None}
    area = {row["name"]: row["area"][0] for row in areas["classes"]} if areas else {}
    body = []
    for value, label, colour in zip(head.values, head.classes, head.colours, strict=True):
        row = part(per_class, label)
        counts = [f"{one:,}" if (one := whole(row.get(key))) is not None else "-" for key in ("labels", "tested")]
        line: list[Any] = [Html(swatch(colour) + name(label)), str(value), *counts]
        line += [share(number(row.get(key)), 2) for key in ("precision", "recall", "f1", "iou")]
        line += [percent(number(held.get(label)))] if held else []
        line += [hectares(area.get(label))] if area else []
        body.append(line)
    heads = ["class", "value on the map", "labels", "tested", "precision (user's)", "recall (producer's)", "F1", "IoU"]
    heads += ["held by its set"] if held else []
    heads += ["hectares"] if area else []
    return table(heads, body, 'Of tested labels; "-" where a class could not be tested.')


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
            figures(number(row.get("learnt"))),
            spread(cell([row.get(key) for key in ("value", "low", "high")]), show),
        ]
        for row in points
    ]
    png = draw_curve(points, metric)
    alt = f"Learning curve: {metric} by the number of labels learnt from; the table below has the figures."
    after = table(["labels", "learnt from", f"{metric} (95 % interval)"], body)
    return Html(picture(png, alt, "If the curve still rises at its end, more labels of the same kind help.") + after)


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
