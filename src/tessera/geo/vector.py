"""Vector files and tables as plain arrays; the content of a file decides its format.

GeoJSON, GeoPackage, GeoParquet, Parquet, CSV, KML and GPX need only the base install; Shapefile, FlatGeobuf, file
geodatabase and spreadsheets need the extra geo. Formats that refer to other files or to the network are never read.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, exists, open_regular, shown

from ._geojson import from_geojson, load_json
from ._kinds import HEAD, kind_of
from .crs import to_degrees
from .table import MAX_ROWS, VectorTable, Wanted, as_column, joined, listed, of_columns, refuse_twice

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VectorTable", "exists", "read_vector"]

_LIMIT = 4 * 1024**3
_TEXT_LIMIT = 512 * 1024**2
"""Bytes of GeoJSON, KML and GPX, which take about ten times as much memory."""
_LAYER = "|layername="


def read_vector(
    source: object, *, layer: str | None = None, crs: str | None = None, most: int = MAX_ROWS
) -> VectorTable:
    """Read features from a file, GeoJSON or a data frame.

    All layers of a file are read together if their columns and geometry types agree.

    Parameters
    ----------
    source : path of a vector file, or of a table with columns lon and lat in degrees; "plots.gpkg|layername=fields"
        takes one layer; a GeoJSON FeatureCollection, Feature or geometry, as a mapping or as text that starts with "{";
        a GeoDataFrame; a DataFrame with columns lon and lat, degrees; a VectorTable, which is returned unchanged
    layer : the only layer to read
    crs : the CRS of coordinates in a file or table that declares none, such as "EPSG:3035"; tables then have columns x
        and y
    most : features that are read at most

    Raises
    ------
    InputError
        The file is missing or in an unsupported format, has no geometry, has layers that differ, declares another CRS,
        or holds too many features.
    """
    if isinstance(source, VectorTable):
        return source
    wanted = Wanted(layer, crs, most)
    if isinstance(source, dict):
        return from_geojson(source, "the GeoJSON given", wanted)
    if hasattr(source, "geometry") and hasattr(source, "to_crs"):
        return _from_geodataframe(source, "the GeoDataFrame given", wanted)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return _from_dataframe(source, "the DataFrame given", wanted)
    if not isinstance(source, (str, Path)):
        kind = type(source).__name__
        raise InputError(f"{shown(source)} of type {kind}; expected a vector file, GeoJSON or a GeoDataFrame")
    if isinstance(source, str):
        text = source.strip()
        if not text:
            raise InputError(f"empty text {shown(source)}; expected a vector file or GeoJSON")
        if text.startswith("{"):
            return from_geojson(load_json(text, "the GeoJSON given"), "the GeoJSON given", wanted)
    path = Path(source)
    if not exists(path) and _LAYER in str(source):
        name, _, chosen = str(source).partition(_LAYER)
        if layer not in (None, chosen):
            raise InputError(f"layers {shown(chosen)} and {shown(layer)}; expected one")
        path, wanted = Path(name), Wanted(chosen, crs, most)
    if not exists(path):
        hint = "; download it first" if "://" in str(source) or str(source).startswith("/vsi") else ""
        raise InputError(f"vector file not found: {shown(str(source), 200)[1:-1]}{hint}")
    return joined(_layers(path, str(path), wanted), path)


def _layers(path: Path, source: str, wanted: Wanted, *, unpacked: bool = False) -> list[tuple[str, VectorTable]]:
    """The layers of a file by name, or one of them; `unpacked` means that the file comes from an archive."""
    from ._gpkg import read_gpkg
    from ._ogr import read_ogr

    if path.is_dir():
        if (path / "a00000001.gdbtable").is_file():
            return read_ogr(path, "gdb", source, wanted)
        held = sorted(part.name for part in path.iterdir() if part.suffix.lower() in (".shp", ".gpkg", ".geojson"))
        inside = f"; give {listed([str(path / name) for name in held])}" if held else ""
        raise InputError(f"{source} is a folder; expected a vector file{inside}")
    try:
        with open_regular(path, what="vector file") as file:
            head, size = file.read(HEAD), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from None
    kind = kind_of(head, source, path.suffix)
    most = _TEXT_LIMIT if kind in ("json", "kml", "gpx") else _LIMIT
    if size > most:
        raise InputError(
            f"{source} has {size:,} bytes; at most {most:,} are read. GeoPackage and GeoParquet hold as many features "
            "in fewer"
        )
    if kind == "sqlite":
        return read_gpkg(path, source, wanted)
    if kind in ("shp", "dbf", "fgb"):
        return read_ogr(path, kind, source, wanted)
    if kind == "zip":
        return _from_zip(path, source, wanted, unpacked=unpacked)
    return _chosen([(path.stem, _one(path, kind, source, most, wanted))], source, wanted.layer)


def _one(path: Path, kind: str, source: str, most: int, wanted: Wanted) -> VectorTable:
    """A file that holds one table."""
    from ._arrow import read_parquet
    from ._delimited import read_delimited
    from ._kml import read_gpx, read_kml

    if kind == "parquet":
        return read_parquet(path, source, wanted)
    if kind == "text":
        return read_delimited(path, source, wanted)
    with open_regular(path, what="vector file") as file:
        data = file.read(most)
    if kind == "json":
        return from_geojson(load_json(data, source), source, wanted)
    return (read_kml if kind == "kml" else read_gpx)(data, source)


def _from_zip(path: Path, source: str, wanted: Wanted, *, unpacked: bool) -> list[tuple[str, VectorTable]]:
    from ._ogr import read_ogr
    from .archive import unzipped

    with unzipped(path, source) as (kind, datasets):
        if kind != "zip":
            return read_ogr(datasets[0][1], kind, source, wanted)
        if unpacked:
            # nested archives may unpack to any size, or to themselves
            raise InputError(f"{source} is an archive in an archive; unpack it first")
        if len(datasets) == 1:
            name, place = datasets[0]
            return _renamed(_layers(place, f"{source}/{name}", wanted, unpacked=True), place, name)
        found = []
        for name, place in datasets:
            found += _renamed(
                _layers(place, f"{source}/{name}", replace(wanted, layer=None), unpacked=True), place, name
            )
    return _chosen(found, source, wanted.layer)


def _renamed(layers: list[tuple[str, VectorTable]], place: Path, name: str) -> list[tuple[str, VectorTable]]:
    """Rename layers that are named after their temporary file to its name in the archive."""
    return [(Path(name).stem if ours == place.stem else ours, table) for ours, table in layers]


def _chosen(layers: list[tuple[str, VectorTable]], source: str, layer: str | None) -> list[tuple[str, VectorTable]]:
    found = [item for item in layers if layer in (None, item[0])]
    if not found:
        raise InputError(f"{source} has no layer {shown(layer)}; it has {listed([name for name, _ in layers])}")
    return found


def _plain(series: Any) -> list[Any]:
    """A pandas column as plain values: None where missing, dates as text."""
    values = series.astype(object).where(series.notna(), None).tolist()
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in values]


def _column(series: Any) -> NDArray[Any]:
    if series.dtype.kind in "iuf" and isinstance(series.dtype, np.dtype):
        return np.asarray(series.to_numpy())
    return as_column(_plain(series))


def _from_dataframe(frame: Any, source: str, wanted: Wanted) -> VectorTable:
    names = [str(name) for name in frame.columns]
    refuse_twice(names, source)
    columns = {name: _column(frame.iloc[:, index]) for index, name in enumerate(names)}
    return of_columns(columns, source, crs=wanted.crs)


def _from_geodataframe(frame: Any, source: str, wanted: Wanted) -> VectorTable:
    crs = wanted.crs_of(None if frame.crs is None else frame.crs.to_wkt(), source)
    if crs is None:
        raise InputError(f"{source} has no CRS; expected one, or degrees (EPSG:4326)")
    geometry = frame.geometry
    geometries = to_degrees(np.asarray(geometry.to_numpy(), dtype=object), crs, source)
    columns = {str(name): _column(frame[name]) for name in getattr(frame, "columns", ()) if name != geometry.name}
    return VectorTable(geometries, columns, source)
