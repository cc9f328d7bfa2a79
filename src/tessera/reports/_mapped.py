"""The map in a report: its picture, and the area of each class."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.figures import MAX_SIDE, draw_map
from tessera.labels import NO_DATA, class_labels, one_line
from tessera.maps import HEAD_TAG, empty_share, range_of, read_map_classes
from tessera.rasters import open_raster, reading
from tessera.validation import areas_of_confusion, count_areas

from ._page import Html, entry, items, name, paragraph, picture, table
from .values import cell, estimated, hectares, part, percent

if TYPE_CHECKING:
    from tessera.maps import MapClass

    from .asked import ReportedHead


def read_legend(head: ReportedHead, tiff: Path, digest: str | None = None) -> tuple[MapClass, ...]:
    """The legend of a map of this head, in the order of its classes, or of its ranges; where it abstains comes last.

    Parameters
    ----------
    digest : of the head, as its maps carry it; None if it is not known

    Raises
    ------
    InputError
        There is no map, or one of other classes or of another head, or its table counts more pixels than it has.
    """
    legend = _read_legend(head, tiff)
    with reading(tiff), open_raster(tiff) as source:
        made_by = source.tags().get(HEAD_TAG)
    if digest is not None and made_by and made_by != digest:
        raise InputError(
            f"map {tiff} was made by another head (SHA-256 {shown(made_by[:12])}; this one has {digest[:12]}); "
            "expected a map that tessera map made with this head: map the area again"
        )
    return legend


def _read_legend(head: ReportedHead, tiff: Path) -> tuple[MapClass, ...]:
    legend = read_map_classes(tiff)
    if empty_share(tiff) < 0:
        raise InputError(f"the table of classes of map {tiff} counts more pixels than the map has; expected its own")
    if not head.classes:
        if len(legend) != len(head.edges) + 1 or any(one.value is not None for one in legend):
            raise InputError(f"map {tiff} shows classes, or other ranges than the head's; expected a map of this head")
        return legend
    found = {one.name: one for one in legend if one.value in head.values}
    beside = [one for one in legend if one.value not in head.values]
    if set(found) != set(head.classes) or len(beside) > 1:
        other = ", ".join(sorted({*(one.name for one in beside), *found} ^ set(head.classes)))
        raise InputError(
            f"map {tiff} and head do not have the same classes: {shown(other)}; expected a map of this head"
        )
    return (*(found[name] for name in head.classes), *beside)


def map_section(head: ReportedHead, tiff: Path, legend: tuple[MapClass, ...]) -> Html:
    """The map with its legend."""
    labels = [one.name for one in legend]
    labels = class_labels(labels) if head.classes else labels
    entries = [(label, one.colour) for label, one in zip(labels, legend, strict=True)]
    with reading(tiff), open_raster(tiff) as source:
        shrink = max(1.0, max(source.height, source.width) / MAX_SIDE)
        shape = tuple(max(1, round(side / shrink)) for side in (source.height, source.width))
        values = source.read(1, out_shape=shape)
        bounds, crs, year = tuple(source.bounds), str(source.crs), source.tags().get("TESSERA_YEAR", "")
    if head.classes:
        place = np.full(256, NO_DATA, dtype=np.uint8)
        place[[one.value or 0 for one in legend]] = np.arange(len(legend), dtype=np.uint8)
        index = place[np.asarray(values, dtype=np.uint8)]
    else:
        index = np.where(np.isfinite(values), range_of(values, head.edges), NO_DATA).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.png"
        heading = "class" if head.classes else "range"
        title = one_line(f"{head.column}, {year}" if year else head.column, 80)
        draw_map(path, index, entries, title=title, bounds=bounds, crs=crs, heading=heading)
        png = path.read_bytes()
    shares = sum(one.pixels for one in legend)
    most = sorted(legend, key=lambda one: -one.pixels)[:5]
    listed = ", ".join(f"{one_line(one.name, 40)} {percent(one.pixels / max(1, shares))}" for one in most)
    alt = f"Map of {one_line(head.column, 80)}. Largest parts: {listed}."
    return Html(picture(png, alt, f"{tiff.name}: {shares:,} pixels of 10 m, {shares / 100:,.0f} ha, {crs}."))


OF_FOLDS = (
    "these labels trained the head, so each was compared with a model of other folds, a little poorer than the map: "
    "accuracies and intervals are those of such models. A sample drawn on the finished map (tessera report "
    "--sample) measures the map itself"
)

OF_PIXELS = (
    "pixel counts, not estimates of area: {why}, so its errors cannot be estimated from the labels, although they are "
    "a random sample; draw a sample on the finished map for areas with intervals (tessera report --sample)"
)


def areas_of(head: ReportedHead, legend: tuple[MapClass, ...] | None) -> dict[str, Any] | None:
    """The areas of the classes as plain values: estimated where the labels are a probability sample, else counted."""
    if legend is None or not head.classes or not any(one.pixels for one in legend):
        return None
    pixels, names = [one.pixels for one in legend], [one.name for one in legend]
    design = part(head.metrics, "sample").get("design")
    # labels of classes that could not be tested are part of the sample, too
    found = part(head.metrics, "confusion")
    matrix = found.get("predicted", found.get("counts"))
    # strata of another map are not the classes of this one
    if design == "random" and matrix is not None:
        try:
            counts = np.array(matrix, dtype=np.int64)
        except (ValueError, OverflowError, TypeError):
            counts = np.zeros((0, 0), dtype=np.int64)
        if counts.shape == (len(pixels),) * 2 and (counts >= 0).all() and 0 < counts.sum() < 10**8:
            out = areas_of_confusion(counts, pixels, head.classes, design=design).to_json()
            return {**out, "notes": [OF_FOLDS, *out["notes"]]}
    counted = count_areas(pixels, names).to_json()
    if design != "random":
        return counted
    why = "the map abstains in places" if len(pixels) > len(head.classes) else "the head was not tested"
    return {**counted, "notes": [OF_PIXELS.format(why=why)]}


def areas_section(legend: tuple[MapClass, ...] | None, areas: dict[str, Any] | None) -> Html:
    """The area of each class, or of each range of numbers."""
    if legend is None:
        return Html("")
    total = max(1, sum(one.pixels for one in legend))
    if areas is None:
        body = [(name(one.name), hectares(one.hectares), percent(one.pixels / total)) for one in legend]
        return table(("range", "hectares on the map", "share"), body, "Pixels of each range of numbers on the map.")
    sampled = areas["design"] is not None
    lines: list[list[Any]] = []
    colours = {one.name: one.colour for one in legend}
    for row in areas["classes"]:
        label = entry(colours.get(row["name"], "#ffffff"), row["name"])
        line: list[Any] = [label, hectares(row["mapped"]), percent(row["mapped"] / areas["hectares"])]
        if sampled:
            line += [estimated(cell(row["area"]), hectares), hectares(row["standard_error"])]
            line += [estimated(cell(row["users"]), percent), estimated(cell(row["producers"]), percent)]
        lines.append(line)
    heads = ["class", "hectares on the map", "share of the map"]
    if not sampled:
        return Html(items(areas["notes"], "notes") + table(heads, lines, "Pixels of each class, 0.01 ha each."))
    heads += ["estimated hectares (95 % interval)", "standard error", "user's accuracy", "producer's accuracy"]
    overall = estimated(cell(areas["overall"]), percent)
    source = areas.get("source")
    of = f" of {source}" if source else ""
    before = paragraph(
        f"Estimated from {areas['labels']:,} reference labels{of}, a {areas['design']} sample, by the stratified "
        f"estimator (Olofsson et al. 2014). Overall accuracy by area: {overall}."
        + (" The map was compared with each label at its place; the labels must not have trained it." if source else "")
    )
    return Html(
        before + items(areas["notes"], "notes") + table(heads, lines, "Area of each class, with 95 % intervals.")
    )
