"""Labels from a raster of classes or numbers: a sample of its pixels, and the names of its classes."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, cell_text, exists, read_regular
from tessera.geo import PIXEL_SIZE, parse_crs, places_of, walk_xml
from tessera.rasters import sample_raster

from ._features import Placed
from ._values import figure_of
from .labels import CLASSES, MAX_CLASSES, NUMBERS, class_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.rasters import RasterSample

_LIMIT = 16 * 1024 * 1024
_SUSPECT = (0, 255, 65535)
"""Values that often mean no data in files that do not say so."""
_SHARE = 0.2
"""Share of the pixels from which such a value is named."""
_LAT = (-80.0, 84.0)
_NAME, _VALUES = "2", ("5", "0", "3")
"""Usage of the columns of a raster attribute table (GDALRATFieldUsage): name; minimum and maximum, generic, minimum."""


def read_raster(
    path: Path,
    band: str | None,
    kind: str | None,
    *,
    crs: str | None,
    absent: Sequence[object],
    per_class: int,
    progress: Progress,
) -> tuple[Placed, str]:
    """The values of sampled pixels at their places, and what they are called.

    Parameters
    ----------
    band : see `sample_raster`
    crs : of a raster that declares none
    absent : values that mean no data
    per_class : pixels drawn of each class; of numbers ten times as many

    Raises
    ------
    InputError
        What `sample_raster` and `parse_crs` refuse, or every pixel lies beyond 80 S or 84 N.
    """
    source = str(path)
    marks = [mark for mark in map(figure_of, absent) if mark is not None]
    whole = None if kind is None else kind == CLASSES
    found = sample_raster(
        path,
        band,
        each=per_class,
        all_=10 * per_class,
        most=MAX_CLASSES,
        whole=whole,
        absent=marks,
        progress=progress,
    )
    lonlat = places_of(found.xy, _crs(found, crs, source), source)
    inside = np.isfinite(lonlat).all(axis=1) & (lonlat[:, 1] >= _LAT[0]) & (lonlat[:, 1] <= _LAT[1])
    if not inside.any():
        raise InputError(f"{source} lies beyond 80 S or 84 N; expected pixels that a UTM zone holds")
    counts = {"nodata": found.nodata, "beyond": int((~inside).sum())}
    notes = _fineness(found, lonlat, source)
    kind_, values = NUMBERS, found.values.astype(np.float64)
    if found.whole:
        names = _names_of(path, found.tags)
        notes += _suspects(found, names, source)
        kind_, values = CLASSES, np.empty(len(found.values), dtype=object)
        values[:] = [names.get(value) or str(value) for value in found.values.astype(np.int64).tolist()]
    placed = Placed(
        values[inside],
        kind_,
        lonlat[inside],
        None,
        None,
        None,
        0,
        {key: count for key, count in counts.items() if count},
        tuple(notes),
        source,
    )
    return placed, band or found.band or ("class" if found.whole else "value")


def _crs(found: RasterSample, given: str | None, source: str) -> object:
    if found.crs is None:
        if given is None:
            raise InputError(f"{source} has no CRS; give the one of its coordinates (crs=, --crs EPSG:...)")
        return given
    if given is not None and not parse_crs(found.crs, source).equals(parse_crs(given, "crs"), ignore_axis_order=True):
        raise InputError(f"{source} declares another CRS than {given}; leave the CRS out (crs=, --crs)")
    return found.crs


def _fineness(found: RasterSample, lonlat: NDArray[np.float64], source: str) -> list[str]:
    """What to say of a raster whose pixels are much smaller or larger than those of the lattice."""
    degrees = found.side < 1 and bool((np.abs(found.xy) <= 360).all())
    metres = found.side * 111_320.0 * float(np.cos(np.radians(np.nanmedian(lonlat[:, 1])))) if degrees else found.side
    if 0 < metres < 0.75 * PIXEL_SIZE:
        return [
            f"{source} has pixels of {metres:.2g} m: a label is the value at one point of a 10 m pixel; take the "
            "majority of each 10 m first where classes are mixed"
        ]
    if metres > 1.5 * PIXEL_SIZE:
        return [f"{source} has pixels of {metres:.3g} m: a label is given to the 10 m pixel at the centre of each"]
    return []


def _suspects(found: RasterSample, names: dict[int, str], source: str) -> list[str]:
    """What to say of a value that may mean no data in a file that does not say what does."""
    if found.declares:
        return []
    total = sum(found.totals.values())
    return [
        f"value {value} is {count / total:.0%} of {source}, which declares no nodata, and is learnt as a class; if it "
        f"means no data, give missing=[{value}] (--missing {value})"
        for value, count in sorted(found.totals.items())
        if value not in names and (value <= -99 or (value in _SUSPECT and count >= _SHARE * total))
    ]


def _names_of(path: Path, tags: dict[str, str]) -> dict[int, str]:
    """Names of class values: from tags of a map of this package, the table beside it, or GDAL's file beside it."""
    for names in (_of_tags(tags), _of_table(path.with_name(f"{path.stem}.classes.csv")), _of_aux(path)):
        if names:
            return {value: text for value, name in names.items() if (text := class_text(name))}
    return {}


def _of_tags(tags: dict[str, str]) -> dict[int, str]:
    try:
        names, values = json.loads(tags["TESSERA_CLASSES"]), json.loads(tags["TESSERA_VALUES"])
        return {int(value): str(name) for name, value in zip(names, values, strict=True)}
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}


def _of_table(path: Path) -> dict[int, str]:
    if not exists(path):
        return {}
    text = read_regular(path, what="table of classes", limit=_LIMIT).decode("utf-8", "replace")
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return {int(row["value"]): cell_text(str(row["name"])) for row in rows}
    except (KeyError, ValueError, TypeError, csv.Error):
        return {}


def _of_aux(path: Path) -> dict[int, str]:
    """Category names, or the raster attribute table, of the .aux.xml beside a raster."""
    beside = path.with_name(f"{path.name}.aux.xml")
    if not exists(beside):
        return {}
    data = read_regular(beside, what="file of names", limit=_LIMIT)
    reader = _Aux()
    try:
        walk_xml(data, reader.start, reader.end, reader.text, source=beside, fault="is not XML")
    except InputError:
        return {}
    return reader.names()


class _Aux:
    """Collects names from GDAL's .aux.xml."""

    def __init__(self) -> None:
        self._categories: list[str] = []
        self._usages: list[str] = []
        self._rows: list[list[str]] = []
        self._text: list[str] = []

    def start(self, name: str, _: dict[str, str]) -> None:
        self._text = []
        if name == "Row":
            self._rows.append([])

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, name: str) -> None:
        held = "".join(self._text)
        self._text = []
        if name == "Category":
            self._categories.append(held)
        elif name == "Usage":
            self._usages.append(held.strip())
        elif name == "F" and self._rows:
            self._rows[-1].append(held)

    def names(self) -> dict[int, str]:
        """Value -> name, of categories that have one."""
        if any(self._categories):
            return {value: name for value, name in enumerate(self._categories) if name.strip()}
        at = next((self._usages.index(usage) for usage in _VALUES if usage in self._usages), None)
        if at is None or _NAME not in self._usages:
            return {}
        name = self._usages.index(_NAME)
        return dict(_pairs(self._rows, at, name))


def _pairs(rows: Iterable[list[str]], value: int, name: int) -> Iterable[tuple[int, Any]]:
    for row in rows:
        number = figure_of(row[value]) if len(row) > max(value, name) else None
        if number is not None and number.is_integer() and row[name].strip():
            yield int(number), row[name]
