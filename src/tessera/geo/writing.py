"""Features to a vector file, whole or not at all; the suffix decides the format."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_output, is_parquet, is_text, require, shown, staging, sync_folder

from .crs import parse_crs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

VECTOR_SUFFIXES = (".parquet", ".geoparquet", ".gpkg", ".fgb", ".geojson")
_DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON"}
_ROWS = 65_536
"""Rows of a row group: a reader of one area skips the others."""
_MARKED = 1 << 20
"""Leading bytes that hold the description of a layer."""


_DATE = "1970-01-01T00:00:00.000Z"


def check_vector(path: str | Path, kind: str, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Check the path of a vector file before it is made; an earlier one of the same kind may be replaced.

    Parameters
    ----------
    path : ending in .parquet, .geoparquet, .gpkg, .fgb or .geojson
    kind : what it holds, such as "labels"
    inputs, overwrite : see `tessera.base.check_output`

    Raises
    ------
    InputError
        Another suffix, or what `check_output` refuses.
    """
    target, mark = Path(path), f"tessera {kind}"
    suffix = target.suffix.lower()
    if suffix not in VECTOR_SUFFIXES:
        raise InputError(f"{kind} {shown(str(path))}; expected a path that ends in {', '.join(VECTOR_SUFFIXES)}")
    ours = is_parquet(mark) if suffix in VECTOR_SUFFIXES[:2] else is_text(mark, _MARKED)
    return check_output(target, kind, inputs=inputs, ours=ours, overwrite=overwrite)


def write_vector(
    path: Path,
    geometries: NDArray[np.object_],
    columns: Mapping[str, NDArray[Any]],
    *,
    kind: str,
    crs: str = "EPSG:4326",
    notes: Mapping[str, str] | None = None,
    date: str = _DATE,
) -> None:
    """Write features to a path that `check_vector` has checked. The same features give the same bytes.

    Parameters
    ----------
    path : its suffix decides the format. GeoParquet needs the base install, the others the extra geo
    geometries : (N,) shapely geometries in units of `crs`
    columns : attribute name -> (N,) numbers, or text with None where missing
    kind : as for `check_vector`; the file carries the mark "tessera <kind>"
    crs : of the geometries
    notes : name -> text, such as a licence; in the footer of a GeoParquet file, in the description of other layers
    date : of the last change, which a GeoPackage holds; the clock's would make the bytes differ

    Raises
    ------
    InputError
        The file cannot be written, or GeoJSON of a CRS other than degrees.
    """
    about = {"writer": f"tessera {kind}", **(notes or {})}
    try:
        with staging(path) as folder:
            part = folder / path.name
            if path.suffix.lower() in VECTOR_SUFFIXES[:2]:
                _write_parquet(part, geometries, columns, crs, about)
            else:
                _write_ogr(part, geometries, columns, crs, about, date)
            part.replace(path)
            sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def _write_parquet(
    path: Path, geometries: NDArray[np.object_], columns: Mapping[str, NDArray[Any]], crs: str, about: dict[str, str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    held: dict[str, Any] = {name: _arrow(values) for name, values in columns.items()}
    held["geometry"] = pa.array(shapely.to_wkb(geometries).tolist(), pa.binary())
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted({str(geometry.geom_type) for geometry in geometries.tolist()}),
        "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
    }
    boxes = shapely.bounds(geometries).reshape(-1, 4)
    sides = [pa.array(boxes[:, side]) for side in range(4)]
    held["bbox"] = pa.StructArray.from_arrays(sides, names=["xmin", "ymin", "xmax", "ymax"])
    if crs != "EPSG:4326":
        column["crs"] = parse_crs(crs, "the features").to_json_dict()
    if len(geometries):
        column["bbox"] = [float(value) for value in shapely.total_bounds(geometries)]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pa.table(held).replace_schema_metadata({"geo": json.dumps(geo), **about})
    pq.write_table(table, path, row_group_size=_ROWS, compression="zstd")


def _write_ogr(
    path: Path,
    geometries: NDArray[np.object_],
    columns: Mapping[str, NDArray[Any]],
    crs: str,
    about: dict[str, str],
    date: str,
) -> None:
    raw: Any = require("pyogrio.raw", extra="geo", purpose=f"writing {path.suffix}")
    import shapely

    if path.suffix.lower() == ".geojson" and crs != "EPSG:4326":
        raise InputError(f"GeoJSON holds degrees, the features are in {crs}; expected another suffix")
    kinds = {str(geometry.geom_type) for geometry in geometries.tolist()}
    if {kind.removeprefix("Multi") for kind in kinds} == {"Polygon"} and len(kinds) > 1:
        # one type a layer
        parts = [shapely.multipolygons([one]) if one.geom_type == "Polygon" else one for one in geometries.tolist()]
        geometries, kinds = np.asarray(parts, dtype=object), {"MultiPolygon"}
    said = "; ".join(f"{name}: {text}" for name, text in about.items())
    with _clock_at(date):
        raw.write(
            path,
            shapely.to_wkb(geometries),
            field_data=list(columns.values()),
            fields=list(columns),
            layer=path.stem,
            driver=_DRIVERS[path.suffix.lower()],
            geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
            crs=crs,
            layer_options={"DESCRIPTION": said},
        )


@contextmanager
def _clock_at(date: str) -> Iterator[None]:
    """Let GDAL write a date instead of the clock's."""
    pyogrio: Any = require("pyogrio", extra="geo", purpose="writing features")
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": date})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _arrow(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array(values) if values.dtype.kind in "iufb" else pa.array(values.tolist())
