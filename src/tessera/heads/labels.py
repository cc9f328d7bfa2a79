"""Labels from a vector file: points as they are, polygons as the lattice pixels whose centre they hold."""

from __future__ import annotations

import math
import numbers
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import PIXEL_SIZE, check_degrees, numbers_of, parse_area, parse_points, read_vector, to_lonlat

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_CLASSES = 255
"""A map is uint8 and 255 stands for no data."""
PIXELS_PER_POLYGON = 200
"""Pixels kept of one polygon: its pixels are nearly the same label, and a large field must not drown the others."""
_CANDIDATES = 1_000_000
"""Pixel centres tested for one polygon; a larger polygon is tested on every s-th row and column."""


@dataclass(frozen=True)
class Labels:
    """Labelled places.

    Attributes
    ----------
    lonlat : (N, 2) float64, degrees
    values : (N,) object, the class of each as text
    groups : (N,) int64; labels of one feature share a number, and stay in one fold
    source, column : where they came from
    missing : features left out because their value or geometry is missing
    notes : what the reader of a report has to know of how they were read
    """

    lonlat: NDArray[np.float64]
    values: NDArray[np.object_]
    groups: NDArray[np.int64]
    source: str
    column: str
    missing: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.lonlat)
        if self.lonlat.shape != (count, 2) or self.values.shape != (count,) or self.groups.shape != (count,):
            raise InputError(
                f"labels with lonlat {self.lonlat.shape}, values {self.values.shape}, groups {self.groups.shape}; "
                "expected (N, 2), (N,), (N,)"
            )

    def __len__(self) -> int:
        return len(self.lonlat)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in numerical order where all are whole numbers, else in alphabetical order."""
        return sort_classes(self.values)


def sort_classes(values: NDArray[np.object_]) -> tuple[str, ...]:
    """Distinct values, in numerical order where all are whole numbers, else in alphabetical order."""
    names = sorted({str(value) for value in values})
    try:
        return tuple(sorted(names, key=int))
    except ValueError:
        return tuple(names)


def read_labels(source: object, column: str) -> Labels:
    """Read labels.

    Points are kept as they are, also several a feature. Of a polygon the pixel centres inside it are kept, on the 10 m
    lattice of each zone that it lies in; at most `PIXELS_PER_POLYGON`, drawn with a fixed seed; at least the pixel of
    its representative point. Whole numbers become their text; text is kept, without white space around it and with
    its accents composed (NFC). Features without a value (None, NaN, empty text, NA without quotes in a CSV) or without
    a geometry are left out and counted.

    Parameters
    ----------
    source : what `tessera.geo.read_vector` reads: a path, GeoJSON, a GeoDataFrame
    column : the attribute that names the class

    Raises
    ------
    InputError
        No such column, a continuous target, a geometry that is neither point nor polygon, fewer than 2 or more than
        255 classes, or a place beyond 80 S or 84 N.
    """
    table = read_vector(source)
    raw = table.column(column)
    if not table.typed:
        _refuse_numbers(raw, table.source, column)
    lonlat: list[NDArray[np.float64]] = []
    values: list[str] = []
    groups: list[int] = []
    missing = 0
    for index, (geometry, value) in enumerate(zip(table.geometries, raw, strict=True)):
        name = _class_name(value, table.source, column)
        if name is None or geometry is None or geometry.is_empty:
            missing += 1
            continue
        places = _places(geometry, f"{table.source}, feature {index}")
        lonlat.append(places)
        values.extend([name] * len(places))
        groups.extend([index] * len(places))
    kept = np.empty(len(values), dtype=object)
    kept[:] = values
    stacked = parse_points(np.concatenate(lonlat) if lonlat else np.empty((0, 2)))
    notes = (*table.notes, *alike_notes(set(values)))
    labels = Labels(stacked, kept, np.asarray(groups, dtype=np.int64), table.source, column, missing, notes)
    _check_classes(labels)
    return labels


def _check_classes(labels: Labels) -> None:
    classes = labels.classes
    where = f"{labels.source}, column {shown(labels.column)}"
    if len(classes) < 2:
        found = f"only the class {shown(classes[0])}" if classes else "no value"
        raise InputError(f"{where} has {found} ({labels.missing} missing); expected at least two classes")
    if len(classes) > MAX_CLASSES:
        raise InputError(
            f"{where} has {len(classes)} distinct values; expected at most {MAX_CLASSES} classes "
            "(for numbers: tessera evaluate --kind regression)"
        )


def class_text(text: str) -> str:
    """A class as it is compared: without white space around it, its accents composed."""
    return unicodedata.normalize("NFC", text.strip())


def alike_notes(names: set[str]) -> list[str]:
    """What to say of classes that a person may take for one: by case, white space within, or zeros before a number."""
    same: dict[str, list[str]] = {}
    for name in sorted(names):
        key = " ".join(name.casefold().split())
        digits = key.isascii() and key.isdigit()
        same.setdefault((key.lstrip("0") or "0") if digits else key, []).append(name)
    return [
        f"{' and '.join(shown(name, 40) for name in alike[:4])} are different classes; expected one spelling if they "
        "are the same"
        for alike in same.values()
        if len(alike) > 1
    ]


def _refuse_numbers(values: NDArray[Any], source: str, column: str) -> None:
    """Raise InputError where the text of a table is numbers with fractions."""
    found = numbers_of(values)
    if found is not None:
        there = found[0][np.isfinite(found[0])]
        parts = there[there % 1 != 0]
        if len(parts):
            raise InputError(_continuous(parts[0], source, column))


def _continuous(number: float, source: str, column: str) -> str:
    return (
        f"{source}: column {shown(column)} holds {number:g}, a continuous target; expected classes (for numbers: "
        "tessera evaluate --kind regression)"
    )


def _class_name(value: Any, source: str, column: str) -> str | None:
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
        raise InputError(_continuous(number, source, column))
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise InputError(f"{source}: column {shown(column)} holds a {type(value).__name__}; expected text or whole numbers")


def _places(geometry: Any, what: str) -> NDArray[np.float64]:
    """(M, 2) float64, degrees: the places that stand for one feature."""
    import shapely

    if geometry.geom_type in ("Point", "MultiPoint"):
        return np.asarray(shapely.get_coordinates(geometry), dtype=np.float64)
    if geometry.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError(f"{what} is a {geometry.geom_type}; expected points or polygons")
    if geometry.area > 0:
        found = _pixel_centres(geometry, what)
        if len(found):
            if len(found) > PIXELS_PER_POLYGON:
                drawn = np.random.default_rng(0).choice(len(found), PIXELS_PER_POLYGON, replace=False)
                found = found[np.sort(drawn)]
            return found
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
