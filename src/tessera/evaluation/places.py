"""Labelled places, whose vectors lie in a store: the labels that `tessera fit` takes, and numbers too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import numbers_of, read_vector, wrapped
from tessera.heads import read_labels

from .labelled import CLASSES, KINDS, NUMBERS, Labelled, parse_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FORMS = ("Point", "MultiPoint", "Polygon", "MultiPolygon")


def read_places(source: object, column: str, *, kind: str | None = None) -> Labelled:
    """Labelled points or polygons, to be looked up in a store.

    Classes are read as `tessera.heads.read_labels` does: a polygon stands for the pixels inside, which are one group.
    Numbers stand at the point, or at a place inside the polygon.

    Parameters
    ----------
    source : what `tessera.geo.read_vector` reads
    column : the attribute that holds the class or the number
    kind : "classification" or "regression"; where left out, a column of numbers with fractions is regressed

    Raises
    ------
    InputError
        No such column or no feature, labels of another kind, or a geometry that is neither point nor polygon.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind {kind!r}; expected {' or '.join(KINDS)}")
    table = read_vector(source)
    if not len(table):
        raise InputError(f"{table.source} holds no features; expected labelled points or polygons")
    raw = table.column(column)
    # text of a format with types is a class, unless told
    found = None if table.typed and kind is None and _is_text(raw) else numbers_of(raw)
    numbers, commas = found or (None, False)
    fractions = numbers is not None and bool((numbers[np.isfinite(numbers)] % 1 != 0).any())
    if kind != NUMBERS and not (kind is None and fractions):
        labels = read_labels(table, column)
        lost = (f"{labels.missing} features without a value or place are left out",) if labels.missing else ()
        return Labelled(
            labels.values,
            CLASSES,
            labels.groups,
            labels.lonlat,
            source=labels.source,
            column=column,
            notes=(*lost, *labels.notes),
        )
    if numbers is None:
        raise InputError(f"{table.source}: column {shown(column)} holds text; expected numbers for a regression")
    place = np.full((len(numbers), 2), np.nan)
    polygon = np.zeros(len(numbers), dtype=np.bool_)
    for index, geometry in enumerate(table.geometries):
        if geometry is not None and not geometry.is_empty:
            if geometry.geom_type not in _FORMS:
                raise InputError(
                    f"{table.source}, feature {index} is a {geometry.geom_type}; expected points or polygons"
                )
            polygon[index] = "Polygon" in geometry.geom_type
            inner = geometry.representative_point()
            place[index] = inner.x, inner.y
    good = np.isfinite(numbers) & np.isfinite(place).all(axis=1)
    if not good.any():
        raise InputError(f"{table.source}: column {shown(column)} holds no number with a place")
    label, _ = parse_labels(numbers[good], NUMBERS, f"{table.source}, column {shown(column)}")
    left_out = int((~good).sum())
    notes = [f"{left_out} features without a value or place are left out"] if left_out else []
    notes += table.notes
    if commas:
        notes.append(f"column {shown(column)}: decimal commas are read as points")
    polygons = int((polygon & good).sum())
    if polygons:
        notes.append(f"{polygons} polygons with a number stand for one place inside each")
    return Labelled(label, NUMBERS, None, wrapped(place[good]), source=table.source, column=column, notes=tuple(notes))


def _is_text(values: NDArray[Any]) -> bool:
    return any(isinstance(value, str) for value in values.tolist())
