"""A map as polygons that share their borders, with a style for QGIS beside them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

import numpy as np

from tessera.base import Crew, InputError, check_output, is_parquet, is_text, shown, was_placed, write_atomic
from tessera.geo import PIXEL_SIZE, check_vector, write_vector

from ._patches import Patches
from ._rings import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.geo import Window

    from .legend import MapClass

    Rows = Callable[[range], NDArray[Any]]

KIND = "map polygons"
SUFFIXES = (".gpkg", ".parquet", ".geoparquet", ".fgb")
TOLERANCE = 10.0
"""Metres, by default: a pixel, which turns stairs along a slope into a line."""
_STYLE_MARK = "polygons of a map by tessera"
_MARKED = 1 << 20
"""Leading bytes that hold the notes of a layer."""


def polygon_style_path(target: Path, tiff: Path) -> Path:
    """Where the style of polygons lies: fields.qml beside fields.gpkg; map.polygons.qml if map.qml is the map's."""
    style = target.with_suffix(".qml")
    same = style.absolute() == tiff.with_suffix(".qml").absolute()
    return target.with_name(f"{target.stem}.polygons.qml") if same else style


def check_polygons(path: str | Path, tiff: Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Look at the file of polygons and the style beside it before a map is made.

    Parameters
    ----------
    path : of the polygons
    tiff : of the map
    inputs, overwrite : as `tessera.base.check_output` takes them

    Raises
    ------
    InputError
        Another suffix than .gpkg, .parquet, .geoparquet or .fgb, or a file that may not be written or is kept.
    """
    inputs = tuple(inputs)
    suffix = Path(path).suffix.lower()
    if suffix == ".geojson":
        raise InputError(f"polygons {shown(str(path))}; GeoJSON holds degrees, the map is in UTM: expected .gpkg")
    if suffix not in SUFFIXES:
        raise InputError(f"{KIND} {shown(str(path))}; expected a path that ends in {', '.join(SUFFIXES)}")
    if Path(path).absolute().parent == tiff.absolute().parent:
        # a run that was killed while it put its files in place has written them
        overwrite = overwrite or was_placed(tiff, Path(path))
    target = check_vector(path, KIND, inputs=inputs, overwrite=overwrite)
    style = polygon_style_path(target, tiff)
    check_output(style, "style of the polygons", inputs=inputs, ours=is_text(_STYLE_MARK), overwrite=overwrite)
    return target


def polygons_beside(tiff: Path, name: str, head: str) -> list[Path]:
    """The polygons of a map beside it and their style, if they are still those that it was made with.

    Parameters
    ----------
    name : of the polygons, as the map tells it
    head : SHA-256 of the map's head, which the polygons tell too
    """
    path = tiff.with_name(Path(name).name or tiff.name)
    if not head or path.suffix.lower() not in SUFFIXES or not path.is_file():
        return []
    found = is_parquet if "parquet" in path.suffix.lower() else partial(is_text, most=_MARKED)
    if not all(found(mark)(path) for mark in (f"tessera {KIND}", head)):
        return []
    style = polygon_style_path(path, tiff)
    return [path, style] if style.is_file() and is_text(_STYLE_MARK)(style) else [path]


def parse_tolerance(metres: float) -> float:
    """Check by how much polygons may be simplified.

    Raises
    ------
    InputError
        Not a number from 0 to 1000.
    """
    good = not isinstance(metres, bool) and isinstance(metres, (int, float, np.number))
    if not good or not 0 <= float(metres) <= 1000:
        raise InputError(f"tolerance {metres} m; expected 0 to 1000")
    return float(metres)


def polygons_of(
    rows: Rows,
    strips: Sequence[range],
    window: Window,
    nodata: int,
    tolerance: float,
) -> tuple[NDArray[np.object_], NDArray[Any], NDArray[np.int64], Patches, NDArray[np.int64]]:
    """The patches of a map as polygons in its CRS.

    Neighbours share every vertex of their border, before and after it is simplified; there are no gaps and overlaps.

    Parameters
    ----------
    rows : any rows of the map, (h, w) uint8
    strips : that are in memory at once
    tolerance : metres; 0 keeps the sides of pixels

    Returns
    -------
    (N,) polygons in the order of their first pixels; (N,) classes; (N,) pixels; the patches, and their (N,) keys
    """
    import shapely

    patches = Patches(rows, strips, nodata)
    rings = trace(patches, window.width)
    keys, first = np.unique(rings.keys, return_index=True)
    # a ring ends with its first vertex
    sizes = np.diff(rings.starts)
    ends = np.append(0, np.cumsum(sizes + 1))
    place = np.arange(ends[-1]) - np.repeat(np.arange(len(sizes)), sizes + 1)
    place[ends[1:] - 1] = rings.starts[:-1]
    corners = rings.vertices[place]
    points = (
        np.stack([window.west + corners[:, 1], window.north - corners[:, 0]], axis=1).astype(np.float64) * PIXEL_SIZE
    )
    del corners, place
    offsets = ends, np.append(first, len(sizes))
    made = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, offsets)
    del points
    if tolerance:
        made = _simplified(made, tolerance)
    classes, pixels = np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
    for number in range(len(strips)):
        found = patches.strip(number)
        at = np.searchsorted(keys, found.keys)
        classes[at], pixels[at] = found.classes, found.sizes
    return made, classes, pixels, patches, keys


def _simplified(polygons: NDArray[np.object_], tolerance: float) -> NDArray[np.object_]:
    """Fewer vertices for polygons that share borders; each border is simplified once, for both sides."""
    import shapely

    simplify = getattr(shapely, "coverage_simplify", None)
    if simplify is None or shapely.geos_version < (3, 12, 0):
        raise InputError(
            f"shapely {shapely.__version__} simplifies no shared borders; expected shapely 2.1 or later, or tolerance 0"
        )
    # minutes of one call for millions of vertices: in a thread, so that Ctrl-C ends the wait
    crew = Crew(1, "simplify")
    try:
        out: NDArray[np.object_] = crew.submit(simplify, polygons, tolerance).result()
    finally:
        crew.dismiss(0.0)
    return out


def mean_over(
    patches: Patches, keys: NDArray[np.int64], pick: Callable[[range, NDArray[Any]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The mean of a value over the pixels of each patch; pixels where it is NaN do not count.

    Parameters
    ----------
    pick : the rows of a strip and their classes (h, w) -> value of each pixel (h, w)
    """
    total, count = np.zeros(len(keys)), np.zeros(len(keys))
    for number, strip in enumerate(patches.strips):
        found = patches.strip(number)
        values = pick(strip, found.values)
        good = (found.labels >= 0) & np.isfinite(values)
        at = np.searchsorted(keys, found.keys)[found.labels[good]]
        total += np.bincount(at, weights=values[good], minlength=len(keys))
        count += np.bincount(at, minlength=len(keys))
    with np.errstate(invalid="ignore"):
        return total / count


def write_polygons(
    path: Path,
    style_file: Path,
    polygons: NDArray[np.object_],
    columns: Mapping[str, NDArray[Any]],
    legend: Sequence[MapClass],
    *,
    crs: str,
    notes: Mapping[str, str],
    date: str,
) -> None:
    """Write polygons and their style; a GeoPackage holds the style too.

    Parameters
    ----------
    path, style_file : where they are made
    columns : attributes, `class` among them
    date : that a GeoPackage holds, as YYYY-MM-DDTHH:MM:SS.000Z
    """
    style = style_of(legend)
    write_atomic(style_file, style.encode())
    write_vector(path, polygons, columns, kind=KIND, crs=crs, notes=notes, date=date)
    if path.suffix.lower() == ".gpkg":
        _add_style(path, style, date)


def style_of(legend: Sequence[MapClass]) -> str:
    """A QGIS style of polygons: a colour a class."""
    entries, symbols = [], []
    for number, one in enumerate(legend):
        colour = ",".join(str(int(one.colour[k : k + 2], 16)) for k in (1, 3, 5))
        name = quoteattr(one.name)
        entries.append(f'      <category symbol="{number}" value={name} label={name} render="true" type="string"/>')
        symbols += [
            f'      <symbol name="{number}" type="fill" alpha="1" clip_to_extent="1">',
            '        <layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">',
            f'          <Option name="color" type="QString" value="{colour},255"/>',
            '          <Option name="outline_color" type="QString" value="60,60,60,255"/>',
            '          <Option name="outline_width" type="QString" value="0.1"/>',
            '          <Option name="outline_style" type="QString" value="solid"/>',
            '          <Option name="style" type="QString" value="solid"/>',
            "        </Option></layer>",
            "      </symbol>",
        ]
    lines = [
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>",
        '<qgis version="3.22.0" styleCategories="Symbology">',
        f"  <!-- {_STYLE_MARK} -->",
        '  <renderer-v2 type="categorizedSymbol" attr="class" enableorderby="0" forceraster="0">',
        "    <categories>",
        *entries,
        "    </categories>",
        "    <symbols>",
        *symbols,
        "    </symbols>",
        "  </renderer-v2>",
        "</qgis>",
    ]
    return "\n".join(lines) + "\n"


_LAYER_STYLES = """
CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time DATETIME DEFAULT CURRENT_TIMESTAMP)
"""


def _add_style(path: Path, style: str, date: str) -> None:
    """Keep a style where QGIS looks for it in a GeoPackage."""
    with closing(sqlite3.connect(path)) as base, base:
        table, column = base.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchone()
        base.execute(_LAYER_STYLES)
        base.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) VALUES ('layer_styles', "
            "'attributes', 'layer_styles', ?)",
            (date,),
        )
        base.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
            "styleQML, useAsDefault, description, owner, update_time) VALUES ('', '', ?, ?, ?, ?, 1, ?, '', ?)",
            (table, column, "classes", style, _STYLE_MARK, date),
        )
