"""Vectors at points as a table, sampled cell by cell into a spool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError, silent, spooled_bytes, spooling, staging
from tessera.geo import VectorTable, read_vector, zones_of
from tessera.store import PointStatus, cells_at, parse_anywhere, state_of

from ._tables import (
    VALUE_TEXT,
    geometry_name,
    is_several,
    own_columns,
    refuse_taken,
    vector_names,
    write_table,
    years_of,
)
from .sizes import Estimate
from .targets import TABLE_SUFFIXES, check_table, parse_target

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Arrays, Progress, Spool
    from tessera.store import Store

BATCH = 16_384
"""Points of one part."""
_SCALE_BYTES = 4
_INDEX_BYTES = 16
"""Of a chunk, in a shard's index."""


@dataclass(frozen=True)
class _Points:
    """Points that are to be sampled into a table."""

    target: Path
    lonlat: NDArray[np.float64]  # lonlat, inside: (N, 2) degrees and which of them lie on the grid
    inside: NDArray[np.bool_]
    years: tuple[int, ...]  # years, dims: of the vectors
    dims: int
    verify: bool  # whether whole chunks are read
    columns: dict[str, NDArray[Any]]  # what comes before the vectors

    def estimate(self, store: Store) -> Estimate:
        """Exact ranges of codes and scales, and the indexes of shards that are not known yet."""
        rows = len(self.lonlat) * len(self.years)
        cells = len(cells_at(self.lonlat[self.inside], store.layout.shard)) * len(self.years)
        pixel = self.dims + _SCALE_BYTES
        if self.verify:
            pixel = (store.dims + _SCALE_BYTES) * store.layout.chunk**2
        read = rows * pixel + cells * 2 * _INDEX_BYTES * store.layout.side**2
        value = VALUE_TEXT if self.target.suffix.lower() == ".csv" else 4
        work, written = rows * (8 * self.dims + 64), rows * (value * self.dims + 200)
        return Estimate(f"{len(self.lonlat):,} points", len(self.years), self.dims, read, work, written)


def _plan_points(
    store: Store, points: object, year: object, out: str | Path, dims: int | None, search: int, verify: bool
) -> _Points:
    target = parse_target(out, TABLE_SUFFIXES)
    table = points if isinstance(points, (list, tuple, np.ndarray)) else read_vector(points)
    lonlat, inside = parse_anywhere(table)
    years = years_of(year)
    # what is wrong is said before anything is made
    store.sample([], years, dims, search=search)
    kept = store.dims if dims is None else dims
    columns = {"lon": lonlat[:, 0], "lat": lonlat[:, 1]}
    if isinstance(table, VectorTable):
        columns |= own_columns(table, lonlat)[0]
    refuse_taken(
        columns, [*vector_names(kept), "status", *geometry_name(target), *["year"] * is_several(year)], "points"
    )
    return _Points(target, lonlat, inside, years, kept, verify, columns)


def point_notes(points: object) -> list[str]:
    """What `export_points` reads or writes in another way than one may think, a line each."""
    table = read_vector(points)
    return [*table.notes, *own_columns(table, parse_anywhere(table)[0])[1]]


def estimate_points(
    store: Store,
    points: object,
    year: object,
    out: str | Path,
    *,
    dims: int | None = None,
    search: int = 0,
    verify: bool = False,
) -> Estimate:
    """What `export_points` takes, at most; raises what it raises."""
    return _plan_points(store, points, year, out, dims, search, verify).estimate(store)


def export_points(
    store: Store,
    points: object,
    year: object,
    out: str | Path,
    *,
    dims: int | None = None,
    search: int = 0,
    verify: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> int:
    """Write the vectors at points as a table: lon, lat, the points' own columns, then one a dimension, nan = no data.

    Several years give a row a point and year, with the column `year`. The last columns are `status`, which says why a
    point has no vector, and in Parquet `geometry`, which makes it GeoParquet.

    Parameters
    ----------
    points, search, verify : as `Store.sample` takes them
    out : a .csv or .parquet file; it appears whole or not at all
    overwrite : whether a file in its place that is no earlier export of the kind is replaced too
    progress : called with batches done and their total

    Returns
    -------
    How many of the rows have data.

    Raises
    ------
    InputError
        Another suffix, a path that holds something else, or what `Store.sample` refuses.
    """
    check_table(out, "points", overwrite=overwrite)
    plan = _plan_points(store, points, year, out, dims, search, verify)
    target, lonlat, years, kept = plan.target, plan.lonlat, plan.years, plan.dims
    plan.estimate(store).check(target, spooled_bytes(target))
    order = _by_cell(lonlat, store.layout.shard)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    cells = cells_at(lonlat[plan.inside], store.layout.shard)
    state = state_of(store, cells, years)
    digest = hashlib.sha256(np.ascontiguousarray(lonlat).tobytes()).hexdigest()
    request = {
        "state": state,
        "points": digest,
        "years": years,
        "dims": kept,
        "search": search,
        "batch": BATCH,
        "verify": verify,
    }
    with spooling(target, request) as spool:

        def sample(members: NDArray[np.int64]) -> Arrays:
            found = store.sample(lonlat[members], years, dims, search=search, verify=verify)
            return {"values": found.values, "status": found.status}

        parts = [(f"{number:06d}", partial(sample, members)) for number, members in enumerate(batches)]
        spool.fill(parts, len(parts), progress)
        if state_of(store, cells, years) != state:
            raise TesseraError(f"{store.objects.root} was written to while it was read; run the same command again")
        with staging(target) as folder:
            values, status = _gathered(spool, batches, (len(lonlat), len(years), kept), folder)
            names = np.array([kind.name.lower() for kind in PointStatus], dtype=object)
            write_table(
                folder / target.name,
                plan.columns,
                years if is_several(year) else (),
                values,
                {},
                {"status": names[status]},
                _point_wkb(lonlat),
                "points",
            )
            spool.placing([folder / target.name])
            (folder / target.name).replace(target)
        spool.finished = True
    return int((status == PointStatus.VALID).sum())


def _by_cell(lonlat: NDArray[np.float64], side: int) -> NDArray[np.int64]:
    """An order of points in which those of one cell, about, follow each other."""
    step = side / 11_000
    lat, lon = np.floor(lonlat[:, 1] / step), np.floor(lonlat[:, 0] / step)
    return np.lexsort((lon, lat, zones_of(lonlat[:, 0])))


def _gathered(
    spool: Spool, batches: list[NDArray[np.int64]], shape: tuple[int, int, int], folder: Path
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The batches' values in the points' own order, in a file of their own."""
    values: Any = np.zeros(shape, dtype=np.float32)
    if values.size:
        values = np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float32, shape=shape)
    status = np.zeros(shape[:2], dtype=np.uint8)
    for number, members in enumerate(batches):
        part = spool.get(f"{number:06d}")
        values[members], status[members] = part["values"], part["status"]
    return values, status


def _point_wkb(lonlat: NDArray[np.float64]) -> tuple[NDArray[np.object_], dict[str, Any]]:
    import shapely

    points = np.asarray(shapely.points(lonlat), dtype=object).reshape(-1)
    return points, {"geometry_types": ["Point"] if len(points) else []}
