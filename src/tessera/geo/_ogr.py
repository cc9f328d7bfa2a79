"""Formats read through GDAL, which can access only the checked files of one dataset."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, open_regular, require, shown

from ._arrow import columns_of, with_geometry
from .crs import refuse_crs_files
from .table import ANYTHING, VectorTable, Wanted, listed, of_columns, position_names

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVERS = {
    "shp": ("ESRI Shapefile", ".shp"),
    "dbf": ("ESRI Shapefile", ".dbf"),
    "fgb": ("FlatGeobuf", ".fgb"),
    "xlsx": ("XLSX", ".xlsx"),
    "ods": ("ODS", ".ods"),
    "gdb": ("OpenFileGDB", ".gdb"),
}
_CRS_BYTES = {".prj": None, ".fgb": 11 * 1024**2, ".gdbtable": None}
"""Suffix of a file with a CRS -> leading bytes that can hold it (None: all); a FlatGeobuf header has at most 10 MB."""
_SIDES = (".shx", ".dbf", ".prj", ".cpg")
_HEADERS = {"xlsx": {"HEADERS": "FORCE"}, "ods": {"HEADERS": "FORCE"}}


def read_ogr(path: Path, kind: str, source: str, wanted: Wanted = ANYTHING) -> list[tuple[str, VectorTable]]:
    """The layers of a Shapefile, FlatGeobuf, file geodatabase or spreadsheet, by name; or only one.

    GDAL cannot be limited to a list of drivers here. It gets a folder of links to the files of this dataset only, under
    new names, and the driver that it chooses is checked.
    """
    pyogrio: Any = require("pyogrio", extra="geo", purpose=f"reading {path.name}")
    errors: Any = require("pyogrio.errors", extra="geo", purpose=f"reading {path.name}")
    driver, suffix = _DRIVERS[kind]
    with tempfile.TemporaryDirectory(prefix="tessera-") as folder, _quiet():
        own = Path(folder) / f"layer{suffix}"
        _link(path, own, kind)
        try:
            layers = pyogrio.list_layers(own).tolist()
            about = {name: pyogrio.read_info(own, layer=name) for name, _ in layers}
            found = {str(info.get("driver", driver)) for info in about.values()}
            if found - {driver}:
                raise InputError(f"{source} is {listed(sorted(found))} to GDAL; expected {driver}")
            return _read(pyogrio, own, kind, source, _named(layers, about, wanted.layer, path, source), wanted)
        except (errors.DataSourceError, errors.DataLayerError, errors.FieldError, errors.GeometryError) as error:
            said = str(error).replace(str(own), path.name).partition("; It might help")[0]
            raise InputError(f"{source} cannot be read: {shown(said, 160)[1:-1]}") from None
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{source} cannot be read: {shown(error, 160)[1:-1]}") from None


def _named(
    layers: list[list[Any]], about: dict[str, Any], layer: str | None, path: Path, source: str
) -> list[tuple[str, str, Any]]:
    """Layers to read: GDAL's name, our name and its information; layers without geometry only if none has one."""
    found = []
    for name, geometry in layers:
        ours = path.stem if name == "layer" and len(layers) == 1 else name
        if layer in (None, ours):
            found.append((name, ours, about[name], geometry is not None))
    if not found:
        raise InputError(f"{source} has no layer {shown(layer)}; it has {listed([str(name) for name, _ in layers])}")
    shaped = [item[:3] for item in found if item[3]]
    return shaped or [item[:3] for item in found]


def _read(
    pyogrio: Any, own: Path, kind: str, source: str, layers: list[tuple[str, str, Any]], wanted: Wanted
) -> list[tuple[str, VectorTable]]:
    out: list[tuple[str, VectorTable]] = []
    held: list[str] = []
    for name, ours, info in layers:
        wanted.check(info["features"], source)
        meta, table = pyogrio.read_arrow(own, layer=name, **_HEADERS.get(kind, {}))
        geometry = meta.get("geometry_name") or "wkb_geometry"
        what = source if len(layers) == 1 else f"{source}, layer {shown(ours)}"
        if info["geometry_type"] is not None and geometry in table.column_names:
            out.append((ours, with_geometry(table, geometry, wanted.crs_of(meta.get("crs"), what), what)))
            continue
        held = table.column_names
        if position_names(held, wanted.crs) is not None:
            out.append((ours, of_columns(columns_of(table, what), what, crs=wanted.crs)))
    if not out:
        raise InputError(f"{source} has columns {listed(held)}; expected features with a geometry, or lon and lat")
    return out


def _link(path: Path, own: Path, kind: str) -> None:
    """Link the files of a dataset, which must be regular files, under the names that GDAL looks for."""
    files = {own: path}
    if kind == "gdb":
        own.mkdir()
        files = {own / part.name: part for part in sorted(path.iterdir()) if part.is_file()}
    elif kind == "shp":
        beside = {part.name.lower(): part for part in path.parent.iterdir() if part.stem == path.stem}
        names = {suffix: beside.get(f"{path.stem}{suffix}".lower()) for suffix in _SIDES}
        files |= {own.with_suffix(suffix): part for suffix, part in names.items() if part is not None}
        if own.with_suffix(".shx") not in files:
            raise InputError(
                f"{path} lacks its index {path.stem}.shx; a Shapefile is .shp, .shx, .dbf and .prj together"
            )
    for name, part in files.items():
        with open_regular(part, what="vector file") as file:
            if name.suffix in _CRS_BYTES:
                refuse_crs_files(file, _CRS_BYTES[name.suffix], str(part))
            name.symlink_to(os.path.realpath(part))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress GDAL's warnings and log messages."""
    log = logging.getLogger("pyogrio")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
