"""What labels hold: how many of each class, from how many places, whether that is enough, and what would help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, silent

from ._picture import draw_labels
from .blocks import ENOUGH, block_side, group_centres, spatial_blocks
from .codes import cell
from .folds import MAX_FOLDS
from .labels import CLASSES, NUMBERS, Labels
from .source import label_codes, parse_source, parse_year

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress

    from .source import EmbeddingSource

FEW_PLACES = 20
"""Places of a class below which its scores are poor and uncertain. On crops and covers of Africa macro-F1 rises from 5
to 10 to 20 labels a class by 0.049 and 0.039, on crops of Corsica by 0.035 and 0.021 (docs/worth.md), and intervals
from fewer than 20 tested groups are too narrow (`blocks.FEW`)."""
ENOUGH_PLACES = 50
"""Places of a class that are enough for a first map: from 20 to 50 labels a class macro-F1 still rises by 0.030 (crops
and covers of Africa) and 0.037 (crops of Corsica), from 50 to all no longer on Corsica (docs/worth.md)."""
_ENOUGH_NUMBERS = 150
"""Places with a number from which more help slowly: of the fall of the error from 31 to 1,578 labels of fuel moisture,
two fifths are reached by 157 (docs/worth.md)."""
_PARTS = 5
"""Ranges of numbers that are listed."""
_LISTED = 8
"""Classes that a line of advice names."""
VERDICTS = ("too few", "few", "fair", "enough")


@dataclass(frozen=True)
class LabelRow:
    """A class, or a range of numbers.

    Attributes
    ----------
    name : the class, or "2.5 to 7"
    labels : pixels labelled with it, with data where a store was given
    places : features or groups that they come from
    blocks : blocks of land that these lie in
    verdict : "too few", "few", "fair" or "enough", by the places
    """

    name: str
    labels: int
    places: int
    blocks: int
    verdict: str


@dataclass(frozen=True, repr=False)
class LabelReport:
    """What labels hold, and what a store has for them.

    Attributes
    ----------
    labels : the labels
    year : of the store; None without one
    usable : (N,) bool, labels on pixels with data; all without a store
    outside, no_data : labels where the store has nothing of that year, and on pixels without data
    rows : one a class, or a range of numbers
    blocks, block_km : blocks of land that the places lie in, and the side that `fit` chooses for them
    advice : what would help, the most important first

    Examples
    --------
    >>> import tessera
    >>> report = tessera.describe_labels(tessera.read_labels("labels.geojson", "class"))
    >>> report.blocks, report.block_km
    (4, 1.0)
    >>> [(row.name, row.places, row.verdict) for row in report.rows]
    [('crop', 30, 'fair'), ('forest', 71, 'enough'), ('other', 109, 'enough')]
    """

    labels: Labels
    year: int | None
    usable: NDArray[np.bool_]
    outside: int
    no_data: int
    rows: tuple[LabelRow, ...]
    blocks: int
    block_km: float
    advice: tuple[str, ...]

    def __repr__(self) -> str:
        return f"LabelReport({len(self.rows)} {_unit(self.labels)} of {self.labels!r})"

    @property
    def places(self) -> int:
        """Features or groups with usable labels."""
        return len(np.unique(_groups(self.labels)[self.usable]))

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        labels = self.labels
        about: dict[str, Any] = {
            "source": labels.source,
            "column": labels.column,
            "kind": labels.kind,
            "labels": len(labels),
            "usable": int(self.usable.sum()),
            "places": self.places,
            "missing": labels.missing,
            "counts": dict(labels.counts),
            "year": self.year,
            "outside": self.outside,
            "no_data": self.no_data,
            "blocks": self.blocks,
            "block_km": self.block_km,
            "rows": [{name: getattr(row, name) for name in LabelRow.__dataclass_fields__} for row in self.rows],
            "notes": list(labels.notes),
            "advice": list(self.advice),
        }
        if labels.kind == NUMBERS:
            about["range"] = [float(labels.values.min()), float(labels.values.max())]
        return about

    def text(self) -> str:
        """The report in lines."""
        labels = self.labels
        lines = [_headline(labels, len(np.unique(_groups(labels)))), *_lost_lines(self), ""]
        header = [{"classes": "class", "ranges": "range"}[_unit(labels)], "labels", "places", "blocks", ""]
        numbers_of = [[f"{n:,}" for n in (row.labels, row.places, row.blocks)] for row in self.rows]
        named = zip(self.rows, numbers_of, strict=True)
        table = [header, *([cell(row.name), *numbers, row.verdict] for row, numbers in named)]
        wide = [max(len(row[at]) for row in table) for at in range(5)]
        for name, *numbers, verdict in table:
            figures = "  ".join(f"{text:>{size}}" for text, size in zip(numbers, wide[1:4], strict=True))
            lines.append(f"{name:<{wide[0]}}  {figures}  {verdict}".rstrip())
        lines += ["", f"blocks: {self.blocks} of {self.block_km:g} km, the side that a spatial split takes"]
        lines += [f"note: {note}" for note in labels.notes]
        lines += [f"advice: {one}" for one in self.advice]
        return "\n".join(lines)

    def draw(
        self,
        path: str | Path,
        store: EmbeddingSource | str | Path | None = None,
        *,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Draw the labels on the false colours of a store, or on white, to a PNG.

        Parameters
        ----------
        path : ending in .png
        store : the store whose false colours lie below, of the report's year
        overwrite : whether a file in its place that is no earlier picture of labels is replaced too

        Raises
        ------
        InputError
            The path cannot be written, or a store is given for a report without a year.
        """
        store = None if store is None else parse_source(store)
        if store is not None and self.year is None:
            raise InputError("a store for the picture of labels that were described without one; describe them with it")
        return draw_labels(
            self.labels, self.usable, path, store=store, year=self.year, overwrite=overwrite, progress=progress
        )


@checked
def describe_labels(
    labels: Labels,
    store: EmbeddingSource | str | Path | None = None,
    year: int | None = None,
    *,
    progress: Progress = silent,
) -> LabelReport:
    """Say what labels hold, whether each class has enough, and what would help.

    What counts is the number of places (features, or groups where labels have them), since pixels of one field are
    nearly the same label. A class with fewer than 5 places cannot be tested in every fold; with fewer than 20 its
    scores are low and uncertain; 50 are enough for a first map.

    Parameters
    ----------
    labels : as `read_labels` returns them
    store : embeddings, open or at a path or URL, to count labels outside it and on pixels without data
    year : the year of the store; its only one if None
    progress : called with the labels looked up and their number

    Returns
    -------
    A `LabelReport`: print its `text()`, or `draw` it.

    Raises
    ------
    InputError
        Labels without places, a year that the store does not hold, or no label with data.

    Examples
    --------
    >>> import tessera
    >>> labels = tessera.read_labels("labels.geojson", "class")
    >>> report = tessera.describe_labels(labels, tessera.open_store("store.zarr"))
    >>> [row.name for row in report.rows], report.outside
    (['crop', 'forest', 'other'], 0)
    """
    if labels.lonlat is None:
        raise InputError(f"{labels.source} has no places; expected lon and lat")
    usable = np.ones(len(labels), dtype=np.bool_)
    outside = no_data = 0
    if store is None:
        year = None
    else:
        source: EmbeddingSource = parse_source(store)
        year = parse_year(source, year)
        usable, gone = label_codes(source, labels.lonlat, year, labels.source, progress=progress)
        outside, no_data = int(gone.sum()), int((~usable & ~gone).sum())
    own = _groups(labels)
    names, first, member = np.unique(own[usable], return_index=True, return_inverse=True)
    centres = group_centres(labels)[usable][first]
    thin = Labels(np.full(len(names), "-", dtype=object), lonlat=centres, source=labels.source)
    side, count = block_side(thin, np.ones(len(names), dtype=np.bool_))
    block = spatial_blocks(centres, side)[member.reshape(-1)]
    rows = tuple(_rows(labels, usable, own, block))
    advice = tuple(_advice(labels, rows, len(names), count, side, outside, int(usable.sum())))
    return LabelReport(labels, year, usable, outside, no_data, rows, count, side, advice)


def _groups(labels: Labels) -> NDArray[np.int64]:
    return np.arange(len(labels), dtype=np.int64) if labels.groups is None else labels.groups


def _unit(labels: Labels) -> str:
    return "classes" if labels.kind == CLASSES else "ranges"


def _rows(
    labels: Labels, usable: NDArray[np.bool_], own: NDArray[np.int64], block: NDArray[np.int64]
) -> list[LabelRow]:
    values, own = labels.values[usable], own[usable]
    if labels.kind == CLASSES:
        parts = [(name, values == name) for name in labels.classes]
    else:
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _PARTS + 1)))
        number = np.clip(np.searchsorted(edges, values, "right") - 1, 0, max(len(edges) - 2, 0))
        spans = zip(edges, edges[1:] if len(edges) > 1 else edges, strict=False)
        parts = [(f"{low:.4g} to {high:.4g}", number == at) for at, (low, high) in enumerate(spans)]
    out = []
    for name, here in parts:
        places = len(np.unique(own[here]))
        few, enough = (FEW_PLACES, ENOUGH_PLACES)
        if labels.kind == NUMBERS:
            few, enough = ENOUGH // _PARTS, _ENOUGH_NUMBERS // _PARTS
        rank = int(places >= MAX_FOLDS) + int(places >= few) + int(places >= enough)
        out.append(LabelRow(name, int(here.sum()), places, len(np.unique(block[here])), VERDICTS[rank]))
    return out


def _advice(
    labels: Labels,
    rows: Sequence[LabelRow],
    places: int,
    blocks: int,
    side: float,
    outside: int,
    usable: int,
) -> list[str]:
    out = []
    if outside > usable:
        out.append(
            f"most labels ({outside:,} of {len(labels):,}) lie outside what the store holds: embed their area too, or "
            "check their coordinates"
        )
    if labels.kind == CLASSES:
        out += _class_advice(rows)
    elif places < _ENOUGH_NUMBERS:
        out.append(f"label more places: {places} have a number, errors fall quickly up to about {_ENOUGH_NUMBERS}")
    pixels = usable / max(places, 1)
    short = any(row.verdict in VERDICTS[:2] for row in rows)
    if short and pixels >= 5:
        out.append(
            f"more pixels of the same places will not help ({pixels:.0f} a place now): label other places, far from "
            "these"
        )
    if blocks < ENOUGH:
        out.append(
            f"the places lie in {blocks} blocks of {side:g} km; with fewer than {ENOUGH}, intervals of scores "
            "are wide or too narrow: label places further apart"
        )
    crowded = [row.name for row in rows if row.places >= MAX_FOLDS and row.blocks == 1]
    if crowded and blocks > 1 and labels.kind == CLASSES:
        out.append(
            f"all of {_named(crowded)} lie in one block, so that a spatial split cannot test it: label it elsewhere"
        )
    return out


def _class_advice(rows: Sequence[LabelRow]) -> list[str]:
    out = []
    none = [row.name for row in rows if row.places == 0]
    if none:
        out.append(f"{_named(none)} cannot be learnt: no label lies on a pixel with data")
    rare = [row for row in rows if 0 < row.places < MAX_FOLDS]
    if rare:
        more = ", ".join(f"{cell(row.name)} (+{FEW_PLACES - row.places})" for row in rare[:_LISTED])
        rest = f" and {len(rare) - _LISTED} more" if len(rare) > _LISTED else ""
        out.append(
            f"label more places of {more}{rest}, or merge such a class with a similar one: with fewer than {MAX_FOLDS} "
            "places not every fold can test it"
        )
    few = [row for row in rows if MAX_FOLDS <= row.places < FEW_PLACES]
    if few:
        more = ", ".join(f"{cell(row.name)} (+{FEW_PLACES - row.places})" for row in few[:_LISTED])
        rest = f" and {len(few) - _LISTED} more" if len(few) > _LISTED else ""
        out.append(f"label more places of {more}{rest}: below {FEW_PLACES} scores rise quickly with each")
    fair = [row.name for row in rows if row.verdict == "fair"]
    if fair and not rare and not few:
        out.append(f"more places of {_named(fair)} still help, up to about {ENOUGH_PLACES}")
    return out


def _named(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(cell(name) for name in names[:_LISTED]) + rest


def _headline(labels: Labels, places: int) -> str:
    of = f"{len(labels):,} labels of column {labels.column!r}"
    if labels.kind == CLASSES:
        what = f"{len(labels.classes)} classes"
    else:
        what = f"numbers from {labels.values.min():.6g} to {labels.values.max():.6g}"
    return f"{labels.source}: {of}, {what} ({labels.kind}), in {places:,} places"


def _lost_lines(report: LabelReport) -> list[str]:
    lines = []
    if report.labels.missing:
        lines.append(f"{report.labels.missing:,} features have no value or no place and are left out")
    lines += report.labels.counted
    if report.year is not None:
        data = f"{int(report.usable.sum()):,} labels have data in {report.year}"
        lines.append(f"{data}; {report.outside:,} lie outside the store, {report.no_data:,} on pixels without data")
    return lines
