"""Labels from a vector file or a table: classes or numbers at points and polygons."""

from __future__ import annotations

import math
import numbers
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import PIXEL_SIZE, check_degrees, parse_area, parse_points, read_vector, split_numbers, to_lonlat

from .labels import CLASSES, MAX_CLASSES, NUMBERS, Labels, alike_notes, class_text, parse_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_AS_NUMBERS = f"kind='{NUMBERS}' (--kind {NUMBERS})"
_MANY = 12
"""Whole numbers above which they may be counts."""
_LOW = -99.0
"""The greatest number that is usual for a missing one, as -999, -9999 and -32768 are."""
_PIXELS_PER_POLYGON = 200
"""Pixels kept of one polygon: its pixels are nearly the same label, and a large field must not drown the others."""
_CANDIDATES = 1_000_000
"""Pixel centres tested for one polygon; a larger polygon is tested on every s-th row and column."""


def read_labels(source: object, column: str, kind: str | None = None) -> Labels:
    """Read labelled points or polygons.

    Points are kept as they are, also several a feature. Of a polygon that names a class, the pixel centres inside are
    kept, on the 10 m lattice of each zone that it lies in: at most 200, drawn with a fixed seed, and at least the pixel
    of its representative point. A polygon with a number stands for one place inside. Whole numbers that name classes
    become their text; text is kept, without white space around it and with its accents composed (NFC). Features without
    a value (None, NaN, empty text; NA or N/A among numbers, or without quotes in a CSV) or without a geometry are left
    out and counted.

    Parameters
    ----------
    source : what `tessera.geo.read_vector` reads: a path, GeoJSON, a GeoDataFrame
    column : the attribute that holds the class or the number
    kind : "classification" or "regression"; None: a column of numbers with fractions is regressed, all else names
        classes

    Raises
    ------
    InputError
        No such column or no feature, values that do not fit the kind, a geometry that is neither point nor polygon,
        fewer than 2 or more than 255 classes, or a place beyond 80 S or 84 N.

    Examples
    --------
    >>> import tessera
    >>> labels = tessera.read_labels("labels.geojson", "class")
    >>> labels.kind, labels.classes
    ('classification', ('crop', 'forest', 'other'))
    """
    parse_kind(kind)
    table = read_vector(source)
    if not len(table):
        raise InputError(f"{table.source} holds no features; expected labelled points or polygons")
    raw = table.column(column)
    where = f"{table.source}, column {shown(column)}"
    label, commas, others = split_numbers(raw)
    there = label[np.isfinite(label)]
    parts = there[there % 1 != 0]
    # text of a format with types is a class, unless told
    open_ = kind is None and not (table.typed and _is_text(raw)) and len(others) < len(there) and len(parts) > 0
    if kind == NUMBERS or open_:
        if others:
            advice = "" if kind == NUMBERS else ", or kind='classification' (--kind classification)"
            raise InputError(
                f"{where}: {_other(raw, others)}; expected numbers, an empty cell where one is missing{advice}"
            )
        values, lonlat, _, missing = _gather(
            table, label.tolist(), lambda value: value if math.isfinite(value) else None, one=True
        )
        notes = [*table.notes, *_low_note(np.asarray(values), column)]
        if commas:
            notes.append(f"column {shown(column)}: decimal commas are read as points")
        polygons = sum(
            geometry is not None and "Polygon" in geometry.geom_type and not geometry.is_empty
            for geometry, number in zip(table.geometries, label, strict=True)
            if math.isfinite(number)
        )
        if polygons:
            notes.append(f"{polygons} polygons with a number stand for one place inside each")
        if not values:
            raise InputError(f"{where} holds no number with a place ({missing} missing); expected at least one")
        read = np.asarray(values, dtype=np.float64)
        return Labels(read, NUMBERS, None, lonlat, None, None, table.source, column, missing, tuple(notes))
    if kind == CLASSES and len(parts) and not others:
        raise InputError(_continuous(float(parts[0]), where))
    names, lonlat, groups, missing = _gather(table, raw, lambda value: _class_name(value, where), one=False)
    distinct = set(names)
    if len(distinct) < 2:
        what = f"only the class {shown(next(iter(distinct)))}" if distinct else "no value"
        raise InputError(f"{where} has {what} ({missing} missing); expected at least two classes")
    if len(distinct) > MAX_CLASSES:
        raise InputError(
            f"{where} has {len(distinct)} distinct values; expected at most {MAX_CLASSES} classes "
            f"(for numbers: {_AS_NUMBERS})"
        )
    kept = np.empty(len(names), dtype=object)
    kept[:] = names
    told = [*table.notes, *alike_notes(distinct)]
    if kind is None and len(distinct) > _MANY and all(name.removeprefix("-").isdecimal() for name in distinct):
        told.append(f"{len(distinct)} whole numbers taken as classes; {_AS_NUMBERS} reads them as numbers")
    return Labels(kept, CLASSES, groups, lonlat, None, None, table.source, column, missing, tuple(told))


def _gather(
    table: Any, raw: Any, parse: Callable[[Any], Any], *, one: bool
) -> tuple[list[Any], NDArray[np.float64], NDArray[np.int64], int]:
    """Values, places and features of all labels, and how many features lack a value or a geometry."""
    lonlat: list[NDArray[np.float64]] = []
    values: list[Any] = []
    groups: list[int] = []
    missing = 0
    for index, (geometry, given) in enumerate(zip(table.geometries, raw, strict=True)):
        value = parse(given)
        if value is None or geometry is None or geometry.is_empty:
            missing += 1
            continue
        places = _places_of(geometry, f"{table.source}, feature {index}", one=one)
        lonlat.append(places)
        values.extend([value] * len(places))
        groups.extend([index] * len(places))
    stacked = parse_points(np.concatenate(lonlat) if lonlat else np.empty((0, 2)))
    return values, stacked, np.asarray(groups, dtype=np.int64), missing


def _other(raw: NDArray[Any], others: list[int]) -> str:
    """The first of the rows that hold no number, in words."""
    first = raw[others[0]]
    count = sum(type(raw[row]) is type(first) and raw[row] == first for row in others)
    return f"{shown(first, 40)} in {count} of {len(raw)} rows (first: row {others[0] + 1}) is not a number"


def _low_note(values: NDArray[np.float64], column: str) -> list[str]:
    """What to say where the least number repeats far below all others, as one for "missing" does."""
    low = values.min(initial=0.0)
    count, above = int((values == low).sum()), values[values > low]
    if low > _LOW or count < 2 or not len(above) or above.min() - low < -low / 2:
        return []
    return [
        f"column {shown(column)}: {low:g} stands in {count} of {len(values)} labels, far below all others (from "
        f"{above.min():g}), and is learnt as a number; if it means missing, leave these cells empty"
    ]


def _continuous(number: float, where: str) -> str:
    return f"{where} holds {number:g}, a continuous target; expected classes, or {_AS_NUMBERS}"


def _class_name(value: Any, where: str) -> str | None:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return class_text(value) or None
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, (numbers.Real, Decimal)):
        number = float(value)
        if math.isnan(number):
            return None
        if number.is_integer():
            return str(int(number))
        raise InputError(_continuous(number, where))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise InputError(f"{where} holds a {type(value).__name__}; expected text or numbers")


def _is_text(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "O" and all(value is None or isinstance(value, str) for value in values.tolist())


def _places_of(geometry: Any, what: str, *, one: bool = False) -> NDArray[np.float64]:
    """(M, 2) float64, degrees: the places that stand for one feature; `one` place inside where a number does.

    Raises
    ------
    InputError
        Neither points nor polygons, or a place beyond 80 S or 84 N.
    """
    import shapely

    if geometry.geom_type not in ("Point", "MultiPoint", "Polygon", "MultiPolygon"):
        raise InputError(f"{what} is a {geometry.geom_type}; expected points or polygons")
    polygon = "Polygon" in geometry.geom_type
    if not polygon and not one:
        return np.asarray(shapely.get_coordinates(geometry), dtype=np.float64)
    if polygon and not one and geometry.area > 0:
        found = _pixel_centres(geometry, what)
        if len(found):
            if len(found) > _PIXELS_PER_POLYGON:
                drawn = np.random.default_rng(0).choice(len(found), _PIXELS_PER_POLYGON, replace=False)
                found = found[np.sort(drawn)]
            return found
    if polygon:
        check_degrees(np.asarray(shapely.get_coordinates(geometry), dtype=np.float64), what)
    inner = geometry.representative_point()
    return np.array([[inner.x, inner.y]])


def _pixel_centres(geometry: Any, what: str) -> NDArray[np.float64]:
    import shapely

    try:
        parts = parse_area(geometry).parts()
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    found = []
    for part in parts:
        window = part.window
        step = math.ceil(math.sqrt(window.width * window.height / _CANDIDATES))
        x = (np.arange(window.west, window.east, step) + 0.5) * PIXEL_SIZE
        y = (np.arange(window.north - 1, window.south - 1, -step) + 0.5) * PIXEL_SIZE
        xx, yy = np.meshgrid(x, y)
        shapely.prepare(part.geometry)
        inside = shapely.contains_xy(part.geometry, xx, yy)
        found.append(np.column_stack(to_lonlat(xx[inside], yy[inside], part.zone)))
    return np.concatenate(found) if found else np.empty((0, 2))
