"""Labelled places of a vector file: value, group, region and year of each feature, and the pixels that stand for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import parse_points

from ._polygons import polygon_pixels
from .labels import FEATURE, class_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import VectorTable

    from ._values import Values

GROUP, REGION, YEAR = "tessera_group", "tessera_region", "tessera_year"
"""Columns of a file of labels that this package wrote."""


@dataclass(frozen=True)
class Placed:
    """Values at N places.

    Attributes
    ----------
    values : (N,) object or float64, as `Values.of`, none missing
    kind : "classification" or "regression"
    lonlat : (N, 2) float64, degrees
    group : (N,) int64; None where every place stands alone
    region, year : (N,) object and int64, or None
    lost : features without a value, a place, or what else was named
    counts : what else was counted; see `labels.COUNTED`
    notes : what was read differently than a user may expect
    source : its name in messages
    grouped_by, group_names : as of `Labels`
    """

    values: NDArray[Any]
    kind: str
    lonlat: NDArray[np.float64]
    group: NDArray[np.int64] | None
    region: NDArray[np.object_] | None
    year: NDArray[np.int64] | None
    lost: int
    counts: dict[str, int]
    notes: tuple[str, ...]
    source: str
    grouped_by: str = ""
    group_names: tuple[str, ...] = ()


def place_features(
    table: VectorTable,
    values: Values,
    *,
    group: str | None,
    region: str | None,
    year: str | None,
    most: int,
    edge_m: float,
    progress: Progress,
) -> Placed:
    """The places of the features that have a value.

    Parameters
    ----------
    group, region, year : columns; None takes those of a file that this package wrote
    most, edge_m : see `polygon_pixels`

    Raises
    ------
    InputError
        Another column, a year that is none, no point and no polygon, or coordinates that are refused.
    """
    import shapely

    group, region, year = (
        own if given is None and own in table.columns else given
        for given, own in ((group, GROUP), (region, REGION), (year, YEAR))
    )
    usable = ~values.missing & ~shapely.is_missing(table.geometries) & ~shapely.is_empty(table.geometries)
    counts: dict[str, int] = {}
    own = np.arange(len(table), dtype=np.int64)
    group_names: tuple[str, ...] = ()
    if group is not None:
        own, alone, group_names = _groups(table.column(group))
        counts["ungrouped"] = int((alone & usable).sum())
    regions = years = None
    if region is not None:
        regions = np.array(_names(table.column(region)), dtype=object)
        usable &= np.array([name is not None for name in regions], dtype=np.bool_)
    if year is not None:
        years, known = _years(table.column(year), f"{table.source}, column {shown(year)}")
        usable &= known
    feature, lonlat = _spots(table, usable, counts, most, edge_m, progress)
    return Placed(
        values.of[feature],
        values.kind,
        lonlat,
        own[feature],
        None if regions is None else regions[feature],
        None if years is None else years[feature],
        len(table) - int(usable.sum()),
        {key: count for key, count in counts.items() if count},
        (*table.notes, *values.notes),
        table.source,
        FEATURE if group is None else group,
        group_names,
    )


def _groups(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_], tuple[str, ...]]:
    """The group of each feature as a number, which have none and so are groups of their own, and names by number."""
    names = _names(values)
    number = {name: index for index, name in enumerate(dict.fromkeys(name for name in names if name is not None))}
    own = [len(number) + at if name is None else number[name] for at, name in enumerate(names)]
    return np.array(own, dtype=np.int64), np.array([name is None for name in names], dtype=np.bool_), tuple(number)


def _names(values: NDArray[Any]) -> list[str | None]:
    """Names as text, whole numbers without a point; None where missing."""
    return [
        None
        if value is None or value != value
        else class_text(str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)) or None
        for value in values.tolist()
    ]


def _years(values: NDArray[Any], where: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The year of each feature, and which have one."""
    found = [_year(value, where) for value in values.tolist()]
    known = np.array([value is not None for value in found], dtype=np.bool_)
    return np.array([value or 0 for value in found], dtype=np.int64), known


def _year(value: Any, where: str) -> int | None:
    """A year from a number, or a date as text; None where missing."""
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        return None
    digits, rest = text[:4], text[4:]
    plain = rest in ("", ".0") or rest[0] in "-/T."
    if not (plain and len(digits) == 4 and digits.isascii() and digits.isdecimal()):
        raise InputError(f"{where} holds {shown(value, 40)}; expected years or dates such as 2021 or 2021-07-31")
    return int(digits)


def _spots(
    table: VectorTable,
    usable: NDArray[np.bool_],
    counts: dict[str, int],
    most: int,
    edge_m: float,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The feature and the degrees of each labelled place, by feature; adds to the counts."""
    import shapely

    kinds = shapely.get_type_id(table.geometries)
    point = np.isin(kinds, (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT))
    areal = np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    other = usable & ~point & ~areal
    if other.any() and not (usable & (point | areal)).any():
        first = int(np.flatnonzero(other)[0])
        said = table.geometries[first].geom_type
        raise InputError(f"{table.source}, feature {first} is a {said}; expected points or polygons")
    counts["shape"] = int(other.sum())
    points, polygons = np.flatnonzero(usable & point), np.flatnonzero(usable & areal)
    lonlat, of_point = shapely.get_coordinates(table.geometries[points], return_index=True)
    _check_points(lonlat, points[of_point], table.source)
    feature = points[of_point]
    if len(polygons):
        found = polygon_pixels(
            table.geometries[polygons], polygons, table.source, most=most, edge_m=edge_m, progress=progress
        )
        feature = np.concatenate([feature, polygons[found.owner]])
        lonlat = np.concatenate([lonlat, found.lonlat])
        counts |= found.counts
    order = np.argsort(feature, kind="stable")
    return feature[order], parse_points(lonlat[order])


def _check_points(lonlat: NDArray[np.float64], feature: NDArray[np.int64], source: str) -> None:
    """Raise InputError where coordinates are metres: the CRS of the file is missing."""
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero((np.abs(lonlat) > 360).any(axis=1) & np.isfinite(lonlat).all(axis=1))
    if len(wrong):
        x, y = lonlat[wrong[0]]
        raise InputError(
            f"{source}, feature {feature[wrong[0]]} is at {x:.10g}, {y:.10g}: not degrees, perhaps metres; expected "
            "longitude and latitude, or the CRS of the file (crs=, --crs EPSG:...)"
        )
