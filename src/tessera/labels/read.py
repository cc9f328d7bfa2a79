"""Labels from a vector file, a table or a raster: classes or numbers at points, polygons and pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, checked, shown, silent
from tessera.geo import read_vector
from tessera.rasters import is_raster

from ._features import place_features
from ._pixels import one_label_a_pixel
from ._polygons import DROP, EDGES
from ._raster import read_raster
from ._values import parse_values
from .labels import Labels, parse_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tessera.base import Progress

PER_POLYGON = 200
"""Pixels kept of one polygon: its pixels are nearly the same label, and a large field must not drown the others."""
EDGE_M = 10.0
"""Metres from the border of a polygon within which a pixel's values may be partly the neighbour's: one pixel."""
MOST_FEATURES = 2_000_000
"""Features read as labels: a million points take up to 1 GB while they are read."""
PER_CLASS = 1000
"""Pixels drawn of each class of a raster: neighbours repeat each other, and scores hardly rise beyond some hundreds."""


@checked
def read_labels(
    source: object,
    column: str | None = None,
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
    per_class: int = PER_CLASS,
    progress: Progress = silent,
) -> Labels:
    """Read labelled points, polygons or pixels of a raster: one label for each 10 m pixel.

    - **Points** are kept where they are, also several a feature.
    - **Polygons** are represented by the pixels whose centre lies inside, on the 10 m lattice of each UTM zone: at most
      200 of each, drawn with a fixed seed, without those less than 10 m from the border if any others remain. A polygon
      that holds no pixel centre is represented by the pixel of one place inside. A polygon with a number gives it to
      each of its pixels.
    - **Rasters** (GeoTIFF) are sampled: at most 1,000 pixels of each class, or 10,000 of numbers, always the same ones.
      Each is given to the 10 m pixel at its centre. Classes have the names that the file or one beside it gives them.
    - **One label a pixel**: a label of the same pixel and class as an earlier one is merged with it. Labels in a pixel
      that has several classes are left out. Of several numbers in a pixel the mean is kept.
    - **Classes or numbers**: numbers with fractions are regressed. Whole numbers, of any type, and text name classes.

    What was left out or merged is counted in `Labels.counts`.

    Parameters
    ----------
    source : what `tessera.geo.read_vector` reads: a path, GeoJSON, a GeoDataFrame; or the path of a GeoTIFF
    column : the attribute that holds the class or the number; of a raster the band, by number or description, needed
        only where it has several
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
    per_class : most pixels of each class of a raster; ten times as many of numbers
    progress : called with the polygons or rows done and their number

    Raises
    ------
    InputError
        No such column, band or feature, values that do not fit the kind, neither points nor polygons, fewer than 2 or
        more than 255 classes, or a place beyond 80 S or 84 N.

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
    if not 1 <= per_class <= 100_000:
        raise InputError(f"{per_class} pixels a class; expected 1 to 100,000")
    if is_raster(source):
        held = {"group": group, "region": region, "year": year, "layer": layer}
        wrong = next((name for name, given in held.items() if given is not None), None)
        if wrong is not None:
            raise InputError(f"{source} is a raster, which has no column or layer for {wrong}; leave {wrong} out")
        options: Any = {"crs": crs, "absent": missing, "per_class": per_class, "progress": progress}
        placed, name = read_raster(Path(str(source)), column, kind, **options)
        return one_label_a_pixel(placed, name, kind)
    import shapely

    table = read_vector(source, layer=layer, crs=crs, most=MOST_FEATURES)
    if column is None:
        held_names = ", ".join(shown(name, 40)[1:-1] for name in list(table.columns)[:20])
        raise InputError(
            f"{table.source} needs a column of classes or numbers (--column); it has {held_names or 'none'}"
        )
    if not len(table):
        raise InputError(f"{table.source} holds no features; expected labelled points or polygons")
    where = f"{table.source}, column {shown(column)}"
    values = parse_values(table.column(column), kind, where, typed=table.typed, absent=missing)
    nowhere = shapely.is_missing(table.geometries) | shapely.is_empty(table.geometries)
    if nowhere.size and nowhere.all():
        raise InputError(f"{where}: none of {nowhere.size:,} features has a geometry; expected points or polygons")
    placed = place_features(
        table,
        values,
        group=group,
        region=region,
        year=year,
        most=per_polygon,
        edge_m=edge_m if edges == DROP else 0.0,
        progress=progress,
    )
    return one_label_a_pixel(placed, column, kind)
