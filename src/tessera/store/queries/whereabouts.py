"""Find where a store has data, and whether an area has any, before pixels are read."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.geo import EAST, NORTH, SOUTH, WEST, Window, from_lonlat, lonlat_box, parse_area
from tessera.net import NetError
from tessera.shards import SCALES, ShardedSource, open_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tessera.geo import Cell

    from .query import Readable

_MARGIN = 64
"""Pixels around an area that count as in it: the reach of a kernel, and of edges that bend between samples."""
_SIDES = 3.2
"""Degrees of longitude from a zone's middle within which it may have an area's pixels."""
_SAMPLES = 9
_MOST_ASKED = 64
"""Shards that are looked for in a store that does not list its cells; commit records that are read to see whether an
area was written."""
_MOST_RECORDS = 256
"""Commit records that are read to say which windows were written; of more cells the cells themselves are named."""


def refuse_empty(store: Readable, area: object, years: Sequence[int]) -> None:
    """Refuse an area in which a store has nothing of any of some years, and say where its data lie.

    A store that lists its cells is asked for these. Of others up to 64 shards are looked for; where an area has more,
    or the line fails, nothing is refused.
    """
    windows = list(_windows(area))
    try:
        held = [_held(store, year, windows) for year in years]
    except InputError:
        with suppress(NetError):
            held = [_found(store, year, windows) for year in years]
            if held and not any(held):
                raise InputError(_nothing(store, area, years, "")) from None
        return
    if held and not any(held):
        where = f"{where_data_lie(store, years, windows)}{_swapped(store, area, years)}"
        raise InputError(_nothing(store, area, years, where))


def where_data_lie(store: Readable, years: Sequence[int], near: Sequence[Window] = ()) -> str:
    """Where a store's data of some years lie, as a clause of a message; "" where the store does not list its cells.

    Parameters
    ----------
    near : windows, of which the nearest written one is named too
    """
    try:
        cells = [(cell, year) for year in years for cell in store.cells(year)]
    except InputError:
        return ""
    if not cells:
        return "it holds no cell of that time"
    if len(cells) > _MOST_RECORDS:
        return f"its data lie in cells within {_box([cell.window for cell, _ in cells])} (west,south,east,north)"
    windows = list(dict.fromkeys(window for cell, year in cells for window in _written(store, cell, year)))
    text = f"its data lie within {_box(windows)} (west,south,east,north)"
    pairs = [(_apart(one, other), one) for one in windows for other in near if one.zone == other.zone]
    if len(windows) > 1 and pairs:
        text += f", those nearest to the area within {_box([min(pairs, key=lambda pair: pair[0])[1]])}"
    return text


def _written(store: Readable, cell: Cell, year: int) -> list[Window]:
    """The windows of a cell that were written, by its commit record; the whole cell where that does not say."""
    try:
        record = store.commit(cell, year)
    except InputError:
        return [cell.window]
    return [Window(cell.zone, *part["window"]) for part in record.inputs] if record and record.inputs else [cell.window]


def _box(windows: list[Window]) -> str:
    zones = sorted({window.zone for window in windows})
    box = lonlat_box([_around([window for window in windows if window.zone == zone]) for zone in zones])
    return ",".join(f"{value:g}" for value in box or [])


def _apart(one: Window, other: Window) -> int:
    """Pixels between two windows of a zone."""
    return max(one.west - other.east, other.west - one.east, one.south - other.north, other.south - one.north, 0)


def _around(windows: list[Window]) -> Window:
    west, north = min(window.west for window in windows), max(window.north for window in windows)
    east, south = max(window.east for window in windows), min(window.south for window in windows)
    return Window(windows[0].zone, west, north, east - west, north - south)


def _nothing(store: Readable, area: object, years: Sequence[int], where: str) -> str:
    time = " ".join(map(str, years))
    box = lonlat_box([area]) if isinstance(area, Window) else [round(float(v), 5) for v in _bounds(area)]
    place = ",".join(f"{value:g}" for value in box or [])
    said = where or "tessera store coverage says where it has data"
    return f"{store.objects.root} holds nothing of {time} in {place}; {said}"


def _swapped(store: Readable, area: object, years: Sequence[int]) -> str:
    """What to add of an area whose box meets a listed cell when latitude and longitude change places; else ""."""
    if isinstance(area, Window):
        return ""
    west, south, east, north = _bounds(area)
    other = ",".join(f"{round(value, 5):g}" for value in (south, west, north, east))
    try:
        windows = list(_windows(other))
    except InputError:
        return ""
    held = any(_held(store, year, windows) for year in years)
    return f"; latitude seems to come first: exchanged it is {other}" if held else ""


def _bounds(area: object) -> tuple[float, float, float, float]:
    west, south, east, north = parse_area(area).geometry.bounds
    return float(west), float(south), float(east), float(north)


def _held(store: Readable, year: int, windows: list[Window]) -> bool:
    """Whether a part that was written meets one of the windows; True too where that would take too long to tell."""
    by_zone: dict[int, list[Window]] = {}
    for window in windows:
        by_zone.setdefault(window.zone, []).append(window)
    asked = 0
    for cell in store.cells(year):
        here = [one for one in by_zone.get(cell.zone, ()) if cell.window.intersection(one) is not None]
        if not here:
            continue
        asked += 1
        if asked > _MOST_ASKED:
            return True
        if any(part.intersection(one) is not None for part in _written(store, cell, year) for one in here):
            return True
    return False


def _found(store: Readable, year: int, windows: list[Window]) -> bool:
    """Whether a shard of scales lies in one of the windows; True too where that would take too long to tell."""
    source = store.source
    if not isinstance(source, ShardedSource):
        return True
    form, index, asked = source.forms[SCALES.name], store.header.years.index(year), set[str]()
    for window in windows:
        for extent in source.extents.get(window.zone, ()):
            time = source.time_index(extent, index)
            for place in () if time is None else extent.places(window, form.shard):
                key = place.key(SCALES, time or 0)
                if key in asked:
                    continue
                if len(asked) == _MOST_ASKED:
                    return True
                asked.add(key)
                if open_shard(source.reading, key, form, trust=True) is not None:
                    return True
    return False


def _windows(area: object) -> Iterator[Window]:
    """The windows that hold an area and a little more, in every zone that may have its pixels."""
    import shapely

    if isinstance(area, Window):
        boxes: list[Any] = [area.lonlat_bounds]
    else:
        boxes = shapely.bounds(shapely.get_parts(parse_area(area).geometry)).tolist()
    for west, south, east, north in boxes:
        east = east if east >= west else east + 360
        low, high = max(south, -80.0), min(north, 84.0)
        for zone in range(1, 61):
            for turn in (-360.0, 0.0, 360.0):
                middle = 6 * zone - 183 + turn
                left, right = max(west, middle - _SIDES), min(east, middle + _SIDES)
                if left > right or low > high:
                    continue
                lon, lat = np.meshgrid(np.linspace(left, right, _SAMPLES) - turn, np.linspace(low, high, _SAMPLES))
                x, y = from_lonlat(lon.reshape(-1), lat.reshape(-1), zone)
                first, last = int(x.min() // 10) - _MARGIN, int(x.max() // 10) + 1 + _MARGIN
                bottom, top = int(y.min() // 10) - _MARGIN, int(y.max() // 10) + 1 + _MARGIN
                first, last, bottom, top = max(first, WEST), min(last, EAST), max(bottom, SOUTH), min(top, NORTH)
                if first < last and bottom < top:
                    yield Window(zone, first, top, last - first, top - bottom)
