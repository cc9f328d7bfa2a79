"""What a store holds as files that other tools open: points as tables, regions as GeoTIFF or .npy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require, silent, staging
from tessera.geo import parse_points, read_vector

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.store import Store

TABLE_SUFFIXES = (".csv", ".parquet")
REGION_SUFFIXES = (".tif", ".tiff", ".npy")


def export_points(store: Store, points: object, year: int, out: str | Path, *, dims: int | None = None) -> int:
    """Write the vectors at points as a table: lon, lat, the points' own columns, then one a dimension, nan = no data.

    Parameters
    ----------
    points : as `Store.sample_points` takes them
    out : a .csv or .parquet file; it appears whole or not at all

    Returns
    -------
    How many of the points have data.

    Raises
    ------
    InputError
        Another suffix, or what `Store.sample_points` refuses.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    target = _target(out, TABLE_SUFFIXES)
    lonlat = parse_points(points)
    values = store.sample_points(lonlat, year, dims)
    columns: dict[str, Any] = {"lon": lonlat[:, 0], "lat": lonlat[:, 1]}
    if not isinstance(points, (list, tuple, np.ndarray)):
        table = read_vector(points)
        columns |= {name: _arrow(column.tolist()) for name, column in table.columns.items() if name not in columns}
    vectors = {f"e{band}": values[:, band] for band in range(values.shape[1])}
    taken = sorted(columns.keys() & vectors.keys())
    if taken:
        raise InputError(f"the points have columns {', '.join(taken[:3])}, as the vectors have; expected other names")
    columns |= vectors
    table = pa.table(columns)
    with staging(target) as folder:
        part = folder / target.name
        if target.suffix.lower() == ".csv":
            csv.write_csv(table, part)
        else:
            parquet.write_table(table, part)
        part.replace(target)
    return int(np.isfinite(values[:, 0]).sum()) if len(values) else 0


def _arrow(values: list[Any]) -> Any:
    """A column of one type; what Arrow cannot hold or CSV cannot write becomes text."""
    import pyarrow as pa

    try:
        array = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        array = None
    if array is None or pa.types.is_nested(array.type):
        array = pa.array([None if value is None else str(value) for value in values])
    return array


def export_region(
    store: Store, area: object, year: int, out: str | Path, *, dims: int | None = None, progress: Progress = silent
) -> tuple[int, int, int, int]:
    """Write a region's vectors, strip by strip: float32, NaN = no data.

    Parameters
    ----------
    area : as `Store.read_region` takes it
    out : .tif (a band a dimension, tiled, compressed; needs the extra geo) or .npy (height, width, dims); it appears
        whole or not at all
    progress : called with rows done and their total

    Returns
    -------
    height, width, dims, and how many pixels have data

    Raises
    ------
    InputError
        Another suffix, or what `Store.read_region` refuses.
    """
    target = _target(out, REGION_SUFFIXES)
    window = store.region_grid(area)
    kept = store.dims if dims is None else dims
    need = 4 * window.height * window.width * kept
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if need > free:
        raise InputError(
            f"{target}: {window.height} x {window.width} pixels of {kept} dims take up to {need / 1e9:,.1f} GB; "
            f"{free / 1e9:,.1f} GB are free there"
        )
    write = _write_npy if target.suffix.lower() == ".npy" else _write_tiff
    with staging(target) as folder:
        shape = write(store, area, year, folder / target.name, dims, window, progress)
        (folder / target.name).replace(target)
    return shape


def _target(out: str | Path, suffixes: tuple[str, ...]) -> Path:
    target = Path(out)
    if target.suffix.lower() not in suffixes:
        raise InputError(f"output {target.name}; expected one of {', '.join(suffixes)}")
    if target.is_dir():
        raise InputError(f"output {target} is a folder; expected a file")
    return target


def _write_npy(
    store: Store, area: object, year: int, part: Path, dims: int | None, window: Any, progress: Progress
) -> tuple[int, int, int, int]:
    kept = store.dims if dims is None else dims
    target: Any = None
    row = found = 0
    for strip in store.iter_region(area, year, dims):
        if target is None:
            shape = (*window.shape, kept)
            target = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=shape)
        target[row : row + strip.shape[0]] = strip.values
        row += strip.shape[0]
        found += int(np.isfinite(strip.values[..., 0]).sum())
        progress(row, window.height)
    target.flush()
    return (*window.shape, kept, found)


def _write_tiff(
    store: Store, area: object, year: int, part: Path, dims: int | None, window: Any, progress: Progress
) -> tuple[int, int, int, int]:
    rasterio = require("rasterio", extra="geo", purpose="writing a GeoTIFF")
    kept = store.dims if dims is None else dims
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": kept,
        "height": window.height,
        "width": window.width,
        "crs": window.grid.crs,
        "transform": rasterio.Affine(*window.grid.transform),
        "nodata": float("nan"),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "BIGTIFF": "IF_SAFER",
    }
    row = found = 0
    with rasterio.open(part, "w", **profile) as target:
        target.update_tags(TESSERA_YEAR=str(year), TESSERA_MODEL=store.model.name, TESSERA_SHA256=store.model.sha256)
        for strip in store.iter_region(area, year, dims):
            box = rasterio.windows.Window(0, row, window.width, strip.shape[0])
            target.write(np.moveaxis(strip.values, -1, 0), window=box)
            row += strip.shape[0]
            found += int(np.isfinite(strip.values[..., 0]).sum())
            progress(row, window.height)
    return (*window.shape, kept, found)
