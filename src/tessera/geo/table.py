"""Features as plain arrays, and conversion of table columns to them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

from .crs import parse_crs, to_degrees

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

LON = ("lon", "longitude", "long", "lng", "x")
LAT = ("lat", "latitude", "y")
EAST = ("x", "easting", "eastings", "east", *LON[:-1])
NORTH = ("y", "northing", "northings", "north", *LAT[:-1])
"""Columns of positions in a CRS that was given, those in metres first."""
MISSING = ("na", "n/a", "nan", "null", "#n/a")
"""What R, numpy, databases and spreadsheets write for a missing value, in any case."""
MAX_ROWS = 20_000_000
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
_LISTED = 20
"""Columns that a message lists."""


@dataclass(frozen=True)
class Wanted:
    """What to read of a file.

    Attributes
    ----------
    layer : the only layer to read; None: all
    crs : the CRS of coordinates in a file that declares none
    most : features
    """

    layer: str | None = None
    crs: str | None = None
    most: int = MAX_ROWS

    def crs_of(self, declared: object, source: str) -> object:
        """The CRS of a file that declares one, or None.

        Raises
        ------
        InputError
            The file declares another one than the caller gave.
        """
        if self.crs is None:
            return declared
        given = parse_crs(self.crs, "crs")
        if declared is None:
            return self.crs
        held = parse_crs(declared, source)
        if not held.equals(given, ignore_axis_order=True):
            raise InputError(
                f"{source} declares the CRS {shown(held.name, 60)}, not {self.crs}; leave the CRS out (crs=, --crs), "
                "or correct the file"
            )
        return declared

    def check(self, rows: int, source: str) -> None:
        """Raise InputError if a file has more features than are read."""
        if rows > self.most:
            raise InputError(
                f"{source} holds {rows:,} features or more; at most {self.most:,} are read. Save "
                "a part of them, such as a random sample, as a file of its own"
            )


ANYTHING = Wanted()


@dataclass(frozen=True)
class VectorTable:
    """Features of a vector file.

    Attributes
    ----------
    geometries : (N,) shapely geometries, degrees (EPSG:4326); None where a feature has none
    columns : attribute name -> (N,) array: whole numbers as int64, or as object where some are missing (None); other
        numbers as float64, NaN where missing; all else as object, None where missing
    source : its name in messages
    typed : whether the format has typed columns; in CSV all are text
    positions : names of the longitude and latitude columns, if points were made from them
    absent : attribute name -> (N,) bool: cells with NA without quotes, as R writes a missing value
    notes : what was read differently than a user may expect
    """

    geometries: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]
    source: str
    typed: bool = True
    positions: tuple[str, ...] = ()
    absent: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.geometries)

    def column(self, name: str) -> NDArray[Any]:
        """The values of one attribute; a cell with NA without quotes is missing.

        Raises
        ------
        InputError
            There is no such column; the message lists the existing ones.
        """
        if name not in self.columns:
            raise InputError(f"{self.source} has no column {shown(name)}; {self._instead(name)}")
        values = self.columns[name]
        if name in self.absent:
            values = values.copy()
            values[self.absent[name]] = None
        return values

    def _instead(self, name: str) -> str:
        alike = [held for held in self.columns if held.strip().casefold() == name.strip().casefold()]
        return f"did you mean {shown(alike[0])}?" if alike else f"it has {listed(self.columns)}"


def listed(names: Sequence[str] | dict[str, Any]) -> str:
    """Names for a message, at most 20 of them."""
    held = list(names)
    more = f" and {len(held) - _LISTED} more" if len(held) > _LISTED else ""
    return (", ".join(shown(name, 40)[1:-1] for name in held[:_LISTED]) or "none") + more


def as_column(values: list[Any]) -> NDArray[Any]:
    """Values as an array that keeps each exactly: see `VectorTable.columns`."""
    kinds = {type(value) for value in values}
    missing = type(None) in kinds
    if kinds == {int}:
        whole = np.asarray(values)
        if whole.dtype.kind == "i":
            return whole
    elif float in kinds and kinds <= {float, int, type(None)}:
        # an integer that float64 cannot represent keeps the column as objects
        numbers = [value for value in values if type(value) is int]
        if all(abs(value) <= 2**53 for value in numbers):
            return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
    elif missing and kinds == {type(None)}:
        return np.full(len(values), None, dtype=object)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def refuse_twice(names: Sequence[str], source: str) -> None:
    """Raise InputError if a name occurs twice."""
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise InputError(f"{source} has the column {shown(twice)} twice; expected distinct names")


def refuse_broken_text(names: Sequence[str], columns: dict[str, NDArray[Any]], source: str) -> None:
    """Raise InputError if a text has a lone surrogate, which cannot be written to a file."""
    for name in names:
        values = columns[name]
        texts = [name, *(values.tolist() if values.dtype == object else ())]
        for index, value in enumerate(texts):
            if isinstance(value, str) and not value.isascii():
                try:
                    value.encode("utf-8")
                except UnicodeEncodeError:
                    where = "its name" if index == 0 else f"feature {index - 1}"
                    raise InputError(
                        f"{source}, column {shown(name)}, {where}: {shown(value)} has half of a character (a lone "
                        "surrogate); expected Unicode text"
                    ) from None


def numbers_of(values: NDArray[Any]) -> tuple[NDArray[np.float64], bool] | None:
    """A column as numbers, NaN where missing, and whether it has decimal commas; None if other values are in it.

    A text is a number if all of it is one: "12", "-0.5", "1e-3", "1,5". It is missing if it is empty, "none" or one of
    `MISSING`.
    """
    out, commas, others = split_numbers(values)
    return None if others else (out, commas)


def split_numbers(values: NDArray[Any]) -> tuple[NDArray[np.float64], bool, list[int]]:
    """A column as `numbers_of` has it, and the rows that hold anything else, NaN too."""
    if values.dtype.kind in "fiu":
        return values.astype(np.float64), False, []
    out = np.full(len(values), np.nan)
    commas, others = False, []
    for index, value in enumerate(values.tolist()):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            continue
        if isinstance(value, str):
            text = value.strip()
            if text.casefold() in ("", "none", *MISSING):
                continue
            if _NUMBER.fullmatch(text) and len(text) <= 100:
                commas = commas or "," in text
                out[index] = float(text.replace(",", "."))
                continue
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            with suppress(OverflowError):
                out[index] = float(value)
                continue
        others.append(index)
    return out, commas, others


def position_names(names: Sequence[str], crs: str | None = None) -> tuple[str, str] | None:
    """Names of the longitude and latitude columns, or of those in a CRS, in any case; None without them."""
    first, second = (LON, LAT) if crs is None else (EAST, NORTH)
    by_lower = {name.strip().casefold(): name for name in reversed(names)}
    lon = next((by_lower[name] for name in first if name in by_lower), None)
    lat = next((by_lower[name] for name in second if name in by_lower), None)
    return None if lon is None or lat is None else (lon, lat)


def of_columns(
    columns: dict[str, NDArray[Any]],
    source: str,
    *,
    typed: bool = True,
    absent: dict[str, NDArray[np.bool_]] | None = None,
    notes: tuple[str, ...] = (),
    crs: str | None = None,
) -> VectorTable:
    """Points of a table with columns of longitude and latitude, degrees; or of x and y in a CRS."""
    import shapely

    names = position_names(list(columns), crs)
    if names is None:
        wanted = "lon and lat, degrees" if crs is None else "x and y"
        raise InputError(f"{source} has columns {listed(columns)}; expected {wanted}")
    kept = dict(columns)
    unit = "degrees" if crs is None else "numbers"
    for name in names:
        values = columns[name].copy()
        if absent and name in absent:
            values[absent[name]] = None
        found = numbers_of(values)
        if found is None:
            raise InputError(
                f"{source}: column {shown(name)} of positions holds a value that is no number; expected {unit}"
            )
        kept[name] = found[0]
        if found[1]:
            notes = (*notes, f"{source}, column {shown(name)}: decimal commas are read as points")
    x, y = kept[names[0]], kept[names[1]]
    geometries = np.asarray(shapely.points(x, y), dtype=object).reshape(-1)
    geometries[np.isnan(x) | np.isnan(y)] = None
    if crs is not None:
        return VectorTable(to_degrees(geometries, crs, source), kept, source, typed, (), absent or {}, notes)
    return VectorTable(geometries, kept, source, typed, names, absent or {}, notes)


def joined(parts: list[tuple[str, VectorTable]], path: Path | str) -> VectorTable:
    """All layers of a file as one table, with a column `layer`."""
    import shapely

    if not parts:
        raise InputError(f"{path} holds no layer of features; expected points or polygons")
    if len(parts) == 1:
        return parts[0][1]
    filled = [(name, table) for name, table in parts if len(table)] or parts[:1]
    if len(filled) == 1:
        return filled[0][1]
    first = filled[0][1]

    def kinds(table: VectorTable) -> set[bool]:
        areal = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
        there = table.geometries[~shapely.is_missing(table.geometries)]
        return set(np.isin(shapely.get_type_id(there), areal).tolist())

    same = all(set(table.columns) == set(first.columns) for _, table in filled)
    if not same or len(set().union(*(kinds(table) for _, table in filled))) > 1:
        raise InputError(
            f"{path} has the layers {listed([name for name, _ in filled])}, whose columns or geometries differ; choose "
            f"one: {path}|layername={shown(filled[0][0], 60)[1:-1]} (layer=, or --layer of tessera labels)"
        )
    columns = {}
    for name in first.columns:
        columns[name] = as_column([value for _, table in filled for value in table.columns[name].tolist()])
    absent = {}
    for name in {name for _, table in filled for name in table.absent}:
        blank = [table.absent.get(name, np.zeros(len(table), dtype=np.bool_)) for _, table in filled]
        absent[name] = np.concatenate(blank)
    if "layer" not in columns:
        columns["layer"] = as_column([name for name, table in filled for _ in range(len(table))])
    notes = tuple(note for _, table in filled for note in table.notes)
    together = f"{path}: {len(filled)} layers are read together; the column layer names them"
    return VectorTable(
        np.concatenate([table.geometries for _, table in filled]),
        columns,
        str(path),
        all(table.typed for _, table in filled),
        first.positions,
        absent,
        (*notes, together),
    )
