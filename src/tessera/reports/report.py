"""The report of a head: one file of HTML that opens by double click, loads nothing and prints well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, is_text, write_atomic
from tessera.labels import FEW_PLACES, one_line
from tessera.validation import METRIC_NAMES, few_tested

from ._accuracy import (
    classes_section,
    confusion_section,
    curve_section,
    notes_of,
    of_classes,
    scatter_section,
    scores_section,
    tested_on,
    tested_places,
    totals,
)
from ._doubt import beyond_of, doubt_section, read_bands
from ._honesty import applicability_section, calibration_section, sets_section
from ._mapped import areas_of, areas_section, map_section, read_legend
from ._methods import LEARNERS, methods_of
from ._page import MARK, Html, items, link, page, paragraph, table, text
from ._places import kept_labels, labels_section, tuning_section, worst_section
from ._sample import areas_of_sample
from .values import cell, figures, number, part, percent, short, spread, whole, with_interval, years_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tessera.labels import Labels

    from .asked import ReportedHead

_DEEP = 4
_MOST_LINES = 200


def check_report(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file that a report is about to be written to.

    Parameters
    ----------
    path : ends in .html or .htm
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        Another suffix, or a file that may not be written or is kept.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"report {str(path)!r}; expected a path that ends in .html")
    return check_output(path, "report", inputs=inputs, ours=is_text(MARK), overwrite=overwrite)


def write_report(
    head: ReportedHead,
    path: str | Path,
    tiff: str | Path | None = None,
    *,
    sample: Labels | None = None,
    design: str = "stratified",
    digest: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a head; see `Head.write_report`. `digest`: of the head, as its maps carry it."""
    target = check_report(path, inputs=(tiff,), overwrite=overwrite)
    mapped = None if tiff is None else Path(tiff)
    legend = None if mapped is None else read_legend(head, mapped, digest)
    if sample is not None and (mapped is None or legend is None or not head.classes):
        raise InputError("a sample without a map of classes; expected the map that it was drawn from")
    if sample and mapped and legend:
        trained = np.array([(lon, lat) for lon, lat, _, _ in kept_labels(head)]).reshape(-1, 2)
        areas: dict[str, Any] | None = areas_of_sample(mapped, legend, sample, design, trained)
    else:
        areas = areas_of(head, legend)
    bands = {} if mapped is None else read_bands(mapped)
    paragraph_, cited = methods_of(head, areas, beyond_of(bands))
    references = "".join(f"<li>{_with_links(one)}</li>" for one in cited)
    sections = [
        ("summary", "", Html(_cards(head, areas) + notes_of(head))),
        ("map", "Map", map_section(head, mapped, legend) if mapped and legend else ""),
        ("doubt", "Uncertainty of the map", doubt_section(bands)),
        ("areas", "Area of each class" if head.classes else "Area of each range", areas_section(legend, areas)),
        ("accuracy", "Accuracy", Html(scores_section(head) + scatter_section(head))),
        ("classes", "Accuracy of each class", classes_section(head, areas)),
        ("confusion", "Confusion matrix", confusion_section(head)),
        ("curve", "Learning curve", curve_section(head)),
        ("calibration", "Calibration of probabilities", calibration_section(head)),
        ("sets", "Prediction sets" if head.classes else "Prediction intervals", sets_section(head)),
        ("applicability", "Where the head may be used", applicability_section(head, beyond_of(bands))),
        ("labels", "Where the labels lie", labels_section(head)),
        ("worst", "Largest errors", worst_section(head)),
        ("made", "How it was made", Html(_made(head) + tuning_section(head))),
        (
            "methods",
            "Methods, ready to cite",
            Html(
                f'<div class="methods">{paragraph(paragraph_)}</div>'
                + (f'<ol class="refs">{references}</ol>' if references else "")
            ),
        ),
    ]
    title = f"{one_line(head.column, 80)}: {LEARNERS.get(head.head, one_line(head.head, 40))}"
    title += f", {years_text(head.metrics, head.year)}"
    what = f"{len(head.classes)} classes" if head.classes else "numbers"
    tested = f"tested {tested_on(head.metrics)}" if totals(head) else "not tested"
    subtitle = f"{what} from {head.dims} dimensions of the embeddings of {head.model.name}; {tested}"
    data = page(title, subtitle, sections).encode("utf-8", "replace")
    try:
        write_atomic(target, data)
    except OSError as error:
        raise InputError(f"cannot write the report {target}: {error.strerror or error}") from None
    return target


def _cards(head: ReportedHead, areas: dict[str, Any] | None) -> Html:
    metrics = head.metrics
    out = []

    def add(title: str, value: str, below: str) -> None:
        out.append(Html(f"<span>{text(title)}</span><b>{text(value)}</b><span>{text(below)}</span>"))

    known = totals(head)
    if known:
        chosen = next(((key, show) for key, show in known if key == "macro_f1"), known[0])
        key, show = chosen
        value, low, high = with_interval(metrics[key], part(metrics, "intervals").get(key))
        beside = number(part(metrics, "random").get(key))
        below = f"95 % interval {show(low)} to {show(high)}" if low is not None else "no interval"
        below += f"; a random split would show {show(beside)}" if beside is not None else ""
        rmse = number(metrics.get("rmse"))
        below += f"; RMSE {figures(rmse)}" if key == "r2" and rmse is not None else ""
        places = tested_places(head)
        few = few_tested(places) if head.classes else {}
        tested = sum(count > 0 for count in places.values())
        below += f"; {len(few)} of {tested} classes tested on fewer than {FEW_PLACES} places" if few else ""
        below += of_classes(head, key).replace(", ", "; ")
        add(f"{METRIC_NAMES[key]} {tested_on(metrics)}", show(value), below)
    labels, groups = whole(metrics.get("labels")), whole(metrics.get("groups"))
    if labels is not None:
        below = (
            f"from {groups:,} polygons, fields or sites"
            if groups is not None and groups != labels
            else "each on its own"
        )
        add("Labels", f"{labels:,}", below)
    error = cell(part(metrics, "calibration").get("error_calibrated"))
    if error[0] is not None:
        found = part(metrics, "calibration")
        below = f"raw {spread(cell(found.get('error')))}" if found.get("method") != "none" else "of raw probabilities"
        ends = f"95 % interval {error[1]:.3f} to {error[2]:.3f}" if None not in error else "no interval"
        told = "-" if None in error and error[0] < 0.0005 else f"{error[0]:.3f}"
        add("Calibration error", told, f"{ends}; {below}")
    sets = part(metrics, "conformal")
    coverage = cell(sets.get("coverage"))
    if coverage[0] is not None:
        level, size = (number(sets.get(key)) for key in ("level", "size"))
        mean = f"; a set holds {figures(size)} of {len(head.classes)} classes on average" if head.classes else ""
        mean = mean or f"; the interval is {figures(size)} wide on average"
        add(
            "Test labels whose class is in the prediction set" if head.classes else "Test labels within the interval",
            percent(coverage[0]),
            f"{percent(level)} wanted" + (mean if size is not None else ""),
        )
    if areas is not None:
        add(
            "Area of the map",
            f"{areas['hectares']:,.0f} ha",
            "estimated with intervals" if areas["design"] else "pixel counts",
        )
    return items(out, "cards")


def _made(head: ReportedHead) -> Html:
    """What the head was made from, as a table of keys and values."""
    lines: list[tuple[str, Any]] = [
        ("learner", LEARNERS.get(head.head, head.head)),
        ("column of the labels", head.column),
        ("model of the embeddings", f"{head.model.name}, SHA-256 {head.model.sha256}"),
        ("dimensions", head.dims),
    ]
    for key, what in (("split", "split"), ("block_km", "side of blocks, km"), ("buffer_km", "buffer, km")):
        if head.metrics.get(key) is not None:
            lines.append((what, short(head.metrics[key])))
    for key, what in (
        ("missing", "labels without value or geometry"),
        ("no_data", "labels without data"),
        ("outside", "labels outside the store"),
    ):
        if whole(head.metrics.get(key)) is not None:
            lines.append((what, f"{head.metrics[key]:,}"))
    lines += _flat({key: one for key, one in head.provenance.items() if key != "split"}, "", 0)
    return table(("what", "value"), lines[:_MOST_LINES], texts=(1,))


def _flat(value: Any, before: str, depth: int) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and depth < _DEEP:
        return [
            line
            for key, one in value.items()
            for line in _flat(one, f"{before}, {key}" if before else str(key), depth + 1)
        ]
    if isinstance(value, list) and depth < _DEEP and any(isinstance(one, dict) for one in value):
        return [line for index, one in enumerate(value, 1) for line in _flat(one, f"{before} {index}", depth + 1)]
    if value is None or value in ({}, []):
        return []
    if isinstance(value, (str, float)):
        return [(before, short(value))]
    return [(before, json.dumps(value, ensure_ascii=False, default=str))]


def _with_links(reference: str) -> Html:
    """A reference whose DOI or arXiv number is a link."""
    words, _, last = reference.rpartition(" ")
    if last.startswith("doi:"):
        return Html(f"{text(words)} {link(f'https://doi.org/{last[4:]}', last)}")
    return Html(f"{text(words)} {link(f'https://arxiv.org/abs/{last[6:]}', last)}")
