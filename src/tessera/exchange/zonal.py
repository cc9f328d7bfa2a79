"""Mean vectors of polygons as a table, summed square by square into a spool."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError, silent, spooled_bytes, spooling, staging
from tessera.geo import VectorTable, read_vector
from tessera.store import SquareSums, cells_of, plan_zonal, state_of

from ._tables import VALUE_TEXT, is_several, refuse_taken, vector_names, write_table, years_of
from .sizes import Estimate, window_bytes
from .targets import TABLE_SUFFIXES, check_table, parse_target

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Arrays, Progress
    from tessera.geo import Window
    from tessera.store import Store, Zonal, ZonalPlan


@dataclass(frozen=True)
class _Polygons:
    """Polygons that are to be measured into a table."""

    target: Path
    plan: ZonalPlan  # what is read
    columns: dict[str, NDArray[Any]]  # what comes before the means
    windows: list[Window]  # all that is read of the store
    squares: int  # squares, shared: how many squares, and pairs of a square and a polygon in it
    shared: int

    def estimate(self, store: Store) -> Estimate:
        """Whole chunks of codes and scales."""
        query = self.plan.query
        years = len(query.years)
        rows = len(self.plan.shapes) * years
        value = VALUE_TEXT if self.target.suffix.lower() == ".csv" else 4
        read = window_bytes(store, self.windows, query.spec.pixel_bytes, query.years)
        work = self.shared * years * (8 * query.dims + 32)
        what = f"{len(self.plan.shapes):,} polygons"
        return Estimate(what, years, query.dims, read, work, rows * (value * query.dims + 400))


def _plan_polygons(
    store: Store, polygons: object, year: object, out: str | Path, dims: int | None, all_touched: bool
) -> _Polygons:
    target = parse_target(out, TABLE_SUFFIXES)
    given = polygons if isinstance(polygons, (list, tuple, np.ndarray)) else read_vector(polygons)
    plan = plan_zonal(store, given, years_of(year), dims, all_touched=all_touched)
    columns = dict(given.columns) if isinstance(given, VectorTable) else {}
    names = ["pixels", "valid", "share", "geometry", *["year"] * is_several(year)]
    refuse_taken(columns, [*vector_names(plan.query.dims), *names], "polygons")
    windows: list[Window] = []
    count = shared = 0
    for square in plan.squares():
        windows.extend(square.windows)
        count, shared = count + 1, shared + len(np.unique(square.spans.owner))
    return _Polygons(target, plan, columns, windows, count, shared)


def estimate_zonal(
    store: Store,
    polygons: object,
    year: object,
    out: str | Path,
    *,
    dims: int | None = None,
    all_touched: bool = False,
) -> Estimate:
    """What `export_zonal` takes, at most; raises what it raises."""
    return _plan_polygons(store, polygons, year, out, dims, all_touched).estimate(store)


def export_zonal(
    store: Store,
    polygons: object,
    year: object,
    out: str | Path,
    *,
    dims: int | None = None,
    all_touched: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Zonal:
    """Write the mean vector of each polygon as a table: the polygons' own columns, pixels, valid, share, then means.

    Several years give a row a polygon and year. Parquet has the polygons as `geometry`, which makes it GeoParquet.

    Parameters
    ----------
    polygons, all_touched : as `Store.zonal` takes them
    out : a .csv or .parquet file; it appears whole or not at all
    overwrite : whether a file in its place that is no earlier export of the kind is replaced too
    progress : called with squares of the store done and their total

    Raises
    ------
    InputError
        Another suffix, a path that holds something else, or what `Store.zonal` refuses.
    """
    check_table(out, "zonal", overwrite=overwrite)
    planned = _plan_polygons(store, polygons, year, out, dims, all_touched)
    target, plan = planned.target, planned.plan
    years, shapes = plan.query.years, plan.shapes
    planned.estimate(store).check(target, spooled_bytes(target))
    cells = cells_of(planned.windows, store.layout.shard)
    state = state_of(store, cells, years)
    request = {"state": state, "polygons": _digest(shapes), "years": years, "dims": plan.query.dims}
    request["touched"] = all_touched
    with spooling(target, request) as spool:
        spool.fill(
            ((square.key, partial(_square, plan, square)) for square in plan.squares()), planned.squares, progress
        )
        if state_of(store, cells, years) != state:
            raise TesseraError(f"{store.objects.root} was written to while it was read; run the same command again")
        totals = plan.totals()
        for square in plan.squares():
            totals.add(SquareSums(**spool.get(square.key)))
        found = totals.result()
        counts = {"pixels": np.repeat(found.pixels, len(years)), "valid": found.counts, "share": found.share}
        with staging(target) as folder:
            write_table(
                folder / target.name,
                planned.columns,
                years if is_several(year) else (),
                found.means,
                counts,
                {},
                _polygon_wkb(shapes),
                "zonal",
            )
            spool.placing([folder / target.name])
            (folder / target.name).replace(target)
        spool.finished = True
    return found


def _square(plan: ZonalPlan, square: Any) -> Arrays:
    part = plan.read(square)
    return {"owners": part.owners, "pixels": part.pixels, "counts": part.counts, "sums": part.sums}


def _digest(shapes: NDArray[np.object_]) -> str:
    import shapely

    digest = hashlib.sha256()
    for data in shapely.to_wkb(shapes):
        digest.update(b"-" if data is None else data)
    return digest.hexdigest()


def _polygon_wkb(shapes: NDArray[np.object_]) -> tuple[NDArray[np.object_], dict[str, Any]]:
    return shapes, {"geometry_types": sorted({shape.geom_type for shape in shapes if shape is not None})}
