"""Labels from a vector file, a table or a raster: classes or numbers at points, polygons and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, shown, silent
from tessera.geo import parse_points, read_vector

from ._pixels import one_class_a_pixel, one_number_a_pixel, pixel_keys
from ._polygons import DROP, EDGES, polygon_pixels
from ._values import AS_NUMBERS, Values, low_note, parse_values
from .labels import MAX_CLASSES, NUMBERS, Labels, alike_notes, class_text, parse_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

PER_POLYGON = 200
"""Pixels kept of one polygon: its pixels are nearly the same label, and a large field must not drown the others."""
EDGE_M = 10.0
"""Metres from the border of a polygon within which a pixel's values may be partly the neighbour's: one pixel."""
MOST_FEATURES = 5_000_000
"""Features read as labels."""
_MANY = 12
"""Whole numbers above which they may be counts."""
_ENOUGH_INNER = 1
"""Pixels away from the border that must remain for those at the border to be left out."""


@checked
def read_labels(
    source: object,
    column: str,
    kind: str | None = None,
    *,
    group: str | None = None,
    region: str | None = None,
    year: str | None = None,
    layer: str | None = None,
    crs: str | None = None,
    missing: Sequence[object] = (),
    per_polygon: int = PER_POLYGON,
    edges: str = DROP,
    edge_m: float = EDGE_M,
    progress: Progress = silent,
) -> Labels:
    """Read labelled points or polygons, one label for each 10 m pixel.

    - **Points** are kept where they are, also several a feature.
    - **Polygons** are represented by the pixels whose centre lies inside, on the 10 m lattice of each UTM zone: at most
      200 of each, drawn with a fixed seed, without those less than 10 m from the border if any others remain. A polygon
      that holds no pixel centre is represented by the pixel of one place inside. A polygon with a number gives it to
      each of its pixels.
    - **One label a pixel**: a label of the same pixel and class as an earlier one is merged with it. Labels in a pixel
      that has several classes are left out. Of several numbers in a pixel the mean is kept.
    - **Classes or numbers**: numbers with fractions are regressed. Whole numbers, of any type, and text name classes.

    What was left out or merged is counted in `Labels.counts`.

    Parameters
    ----------
    source : what `tessera.geo.read_vector` reads: a path, GeoJSON, a GeoDataFrame
    column : the attribute that holds the class or the number
    kind : "classification" or "regression"; None: by the rule above
    group : the attribute that names the site, field or cluster of each feature, whose labels are never divided between
        training and test; None: each feature is its own
    region : the attribute that names the region of each feature
    year : the attribute that holds the year for which each feature is true, a number or a date
    layer : the layer to read of a file with several
    crs : the CRS of coordinates in a file that declares none, such as "EPSG:3035"
    missing : values that mean missing, such as -9999
    per_polygon : most pixels of a polygon
    edges : "drop" leaves out pixels near the border of their polygon where others remain, "keep" keeps them
    edge_m : how near, metres
    progress : called with the polygons done and their number

    Raises
    ------
    InputError
        No such column or no feature, values that do not fit the kind, geometries that are neither points nor polygons,
        fewer than 2 or more than 255 classes, or a place beyond 80 S or 84 N.

    Examples
    --------
    >>> import tessera
    >>> labels = tessera.read_labels("labels.geojson", "class")
    >>> labels.kind, labels.classes
    ('classification', ('crop', 'forest', 'other'))
    """
    parse_kind(kind)
    if edges not in EDGES:
        raise InputError(f"edges {edges!r}; expected {' or '.join(EDGES)}")
    if not 1 <= per_polygon <= 1_000_000:
        raise InputError(f"{per_polygon} pixels a polygon; expected 1 to 1,000,000")
    if not 0 <= edge_m <= 1000:
        raise InputError(f"pixels nearer than {edge_m:g} m to the border; expected 0 to 1000 m")
    table = read_vector(source, layer=layer, crs=crs, most=MOST_FEATURES)
    if not len(table):
        raise InputError(f"{table.source} holds no features; expected labelled points or polygons")
    where = f"{table.source}, column {shown(column)}"
    values = parse_values(table.column(column), kind, where, typed=table.typed, absent=missing)
    features = _features(table, values, group, region, year)
    spots = _spots(table, features, per_polygon, edge_m if edges == DROP else 0.0, progress)
    return _labels(table, column, where, kind, values, features, spots)


@dataclass(frozen=True)
class _Features:
    """What else is known of each feature, (N,) each; `usable` ones have a value and a geometry."""

    usable: NDArray[np.bool_]
    group: NDArray[np.int64]
    region: NDArray[np.object_] | None
    year: NDArray[np.int64] | None
    counts: dict[str, int]


@dataclass(frozen=True)
class _Spots:
    """Labelled places: the feature of each, its degrees, and what was counted on the way."""

    feature: NDArray[np.int64]
    lonlat: NDArray[np.float64]
    counts: dict[str, int]


def _features(table: Any, values: Values, group: str | None, region: str | None, year: str | None) -> _Features:
    import shapely

    usable = ~values.missing & ~shapely.is_missing(table.geometries) & ~shapely.is_empty(table.geometries)
    counts: dict[str, int] = {}
    own = np.arange(len(table), dtype=np.int64)
    if group is not None:
        names = _names(table.column(group))
        alone = np.array([name is None for name in names], dtype=np.bool_)
        counts["ungrouped"] = int((alone & usable).sum())
        number: dict[str, int] = {}
        own = np.array(
            [
                len(table) + at if name is None else number.setdefault(name, len(number))
                for at, name in enumerate(names)
            ],
            dtype=np.int64,
        )
    regions = years = None
    if region is not None:
        regions = np.array(_names(table.column(region)), dtype=object)
        usable &= np.array([name is not None for name in regions], dtype=np.bool_)
    if year is not None:
        found = [_year(value, f"{table.source}, column {shown(year)}") for value in table.column(year).tolist()]
        usable &= np.array([value is not None for value in found], dtype=np.bool_)
        years = np.array([value or 0 for value in found], dtype=np.int64)
    return _Features(usable, own, regions, years, {key: count for key, count in counts.items() if count})


def _names(values: NDArray[Any]) -> list[str | None]:
    """Names as text, whole numbers without a point; None where missing."""
    return [
        None
        if value is None or value != value
        else class_text(str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)) or None
        for value in values.tolist()
    ]


def _year(value: Any, where: str) -> int | None:
    """A year from a number, or a date as text; None where missing."""
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        return None
    digits = text.removesuffix(".0")
    digits = digits if digits.isdecimal() else text[:4]
    rest = text[4:5]
    if not (digits.isascii() and digits.isdecimal() and len(digits) == 4 and rest in ("", "-", ".", "/", "T")):
        raise InputError(f"{where} holds {shown(value, 40)}; expected years or dates such as 2021 or 2021-07-31")
    return int(digits)


def _spots(table: Any, features: _Features, most: int, edge_m: float, progress: Progress) -> _Spots:
    import shapely

    kinds = shapely.get_type_id(table.geometries)
    point = np.isin(kinds, (shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT))
    areal = np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    other = features.usable & ~point & ~areal
    if other.any() and not (features.usable & (point | areal)).any():
        first = int(np.flatnonzero(other)[0])
        said = table.geometries[first].geom_type
        raise InputError(f"{table.source}, feature {first} is a {said}; expected points or polygons")
    counts = dict(features.counts)
    if other.any():
        counts["shape"] = int(other.sum())
    points = np.flatnonzero(features.usable & point)
    lonlat, of_point = shapely.get_coordinates(table.geometries[points], return_index=True)
    polygons = np.flatnonzero(features.usable & areal)
    feature = points[of_point]
    if len(polygons):
        found = polygon_pixels(
            table.geometries[polygons],
            polygons,
            table.source,
            most=most,
            edge_m=edge_m,
            enough=_ENOUGH_INNER,
            progress=progress,
        )
        feature = np.concatenate([feature, polygons[found.owner]])
        lonlat = np.concatenate([lonlat, found.lonlat])
        counts |= found.counts
    order = np.argsort(feature, kind="stable")
    return _Spots(feature[order], parse_points(lonlat[order]), counts)


def _labels(
    table: Any, column: str, where: str, kind: str | None, values: Values, features: _Features, spots: _Spots
) -> Labels:
    """One label a pixel, of all places."""
    lost = len(table) - int(features.usable.sum())
    years = None if features.year is None else features.year[spots.feature]
    keys = pixel_keys(spots.lonlat, years)
    notes = [*table.notes, *values.notes]
    if values.kind == NUMBERS:
        numbers = values.of[spots.feature].astype(np.float64)
        if not len(numbers):
            raise InputError(f"{where} holds no number with a place ({lost} missing); expected at least one")
        notes += low_note(numbers, column)
        kept, taken, more = one_number_a_pixel(keys, numbers)
    else:
        named = values.of[spots.feature]
        distinct = sorted(set(named.tolist()))
        _check_classes(distinct, where, lost)
        index = {name: number for number, name in enumerate(distinct)}
        codes = np.array([index[name] for name in named.tolist()], dtype=np.int64)
        kept, torn, more = one_class_a_pixel(keys, codes)
        notes += [*alike_notes(set(distinct)), *_torn_notes(codes, torn, kept, distinct)]
        if kind is None and len(distinct) > _MANY and all(name.removeprefix("-").isdecimal() for name in distinct):
            notes.append(f"{len(distinct)} whole numbers taken as classes; {AS_NUMBERS} reads them as numbers")
        left = {distinct[code] for code in np.unique(codes[kept]).tolist()}
        if len(left) < 2:
            raise InputError(
                f"{where}: {more['conflict']} labels lie in pixels with two classes or more, and what is left has "
                f"{len(left)} classes; expected at least two classes in pixels of their own"
            )
        taken = named[kept]
    feature = spots.feature[kept]
    return Labels(
        taken,
        values.kind,
        features.group[feature],
        spots.lonlat[kept],
        source=table.source,
        column=column,
        missing=lost,
        notes=tuple(notes),
        regions=None if features.region is None else features.region[feature],
        years=None if years is None else years[kept],
        counts=spots.counts | more,
    )


def _check_classes(distinct: list[str], where: str, lost: int) -> None:
    if len(distinct) < 2:
        what = f"only the class {shown(distinct[0])}" if distinct else "no value"
        raise InputError(f"{where} has {what} ({lost} missing); expected at least two classes")
    if len(distinct) > MAX_CLASSES:
        raise InputError(
            f"{where} has {len(distinct)} distinct values; expected at most {MAX_CLASSES} classes "
            f"(for numbers: {AS_NUMBERS})"
        )


def _torn_notes(
    codes: NDArray[np.int64], torn: NDArray[np.int64], kept: NDArray[np.int64], names: list[str]
) -> list[str]:
    """What to say of classes that lost every label, since all lie in pixels of other classes too."""
    gone = np.setdiff1d(np.unique(codes[torn]), np.unique(codes[kept]))
    return [
        f"class {shown(names[code], 40)} is left out: all its labels lie in pixels of other classes too"
        for code in gone
    ]
