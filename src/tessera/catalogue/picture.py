"""Draw coverage: a region with its cells, one map per year, or the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.base import InputError, check_picture, require, silent
from tessera.figures import save_figure
from tessera.geo import Window, parse_area

from ._region import draw_region
from ._shade import frame_around
from ._world import draw_world
from .counting import CellRow, has_records, known_cells, years_of

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.base import Progress
    from tessera.store import Store

_DOTS = 900
"""Dots of the longer side of a map."""
_NEAR = 15.0
"""Degrees: cells that fit into such a box are drawn as a region, others on the world."""


def draw_coverage(
    store: Store,
    out: str | Path,
    area: object = None,
    year: int | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Draw where a store has data, as a PNG.

    An area, or cells within 15 degrees, is drawn as a region: one map per year, with outlines of cells. It shows pixels
    up to 32 million, else written chunks. Cells further apart are drawn on the world, coloured by number of years.

    Parameters
    ----------
    area : anything that `tessera.geo.parse_area` reads, or a lattice Window; None for the whole store
    year : None for all years
    overwrite : replace a file too that is no earlier picture of coverage
    progress : called with maps drawn and their total

    Raises
    ------
    InputError
        No such year, no data, or a path that cannot be written or holds something else; also what `coverage` raises.
    """
    require("matplotlib", extra="heads", purpose="a picture of coverage")
    path = check_picture(out, "coverage", overwrite=overwrite)
    years = years_of(store, year)
    if not years:
        raise InputError(f"{store.objects.root} holds no year yet; embed a cube into it first")
    rows = _known(store, area, year)
    if area is None:
        if not rows:
            raise InputError(f"{store.objects.root} holds no cell of {' '.join(map(str, years))}; nothing to draw")
        boxes = [window.lonlat_bounds for window in {row.window for row in rows}]
        frame = frame_around(boxes, 0.06, _DOTS)
        if max(frame.east - frame.west, frame.north - frame.south) > _NEAR:
            return save_figure(draw_world(store, rows or [], years), path, "coverage")
    else:
        frame = frame_around(_area_boxes(area), 0.1, _DOTS)
    return save_figure(draw_region(store, frame, area, years, rows, progress), path, "coverage")


def _known(store: Store, area: object, year: int | None) -> list[CellRow] | None:
    """Cells from records or manifest; None for an area of a store that has neither."""
    try:
        return known_cells(store, None if isinstance(area, Window) else area, year)
    except InputError:
        if area is None or has_records(store):
            raise
        return None


def _area_boxes(area: object) -> list[tuple[float, float, float, float]]:
    import shapely

    if isinstance(area, Window):
        return [area.lonlat_bounds]
    parts = shapely.get_parts(parse_area(area).geometry)
    bounds = shapely.bounds(parts).tolist()
    return [(west, south, east, north) for west, south, east, north in bounds]
