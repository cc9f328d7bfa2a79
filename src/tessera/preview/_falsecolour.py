"""False colours in UTM: of the 160 m overview always, of the 10 m pixels on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.base import Folder, silent
from tessera.net import CorruptError, NetError

from ._build import MEANS, Made, cells_by_unit
from ._levels import FINE, FULL, Box, Unit, codes_of, read_box, rgb_of, scales_of
from ._means import InFluxError, read_strips, source_of
from ._records import NOTHING, Record, read_record, record_key, recorded_units

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.store import Store

    from ._colours import Colours

RGB = {FINE: "rgb160", FULL: "rgb10"}
"""Level that has colours -> kind of its records."""


def update_rgb(
    store: Store, root: Path, years: tuple[int, ...], colours: Colours, *, progress: Progress = silent
) -> int:
    """Colour the 160 m overviews that changed, or all if the colours changed. Returns the number of shards."""
    units = [(year, unit) for year in years for unit in sorted(recorded_units(root, MEANS, year))]
    painted = 0
    layers = (codes_of(FINE, store.dims), scales_of(FINE))
    for done, (year, unit) in enumerate(units):
        progress(done, len(units))
        record = Record(read_record(root, MEANS, year, unit).cells, colours.digest)
        if read_record(root, RGB[FINE], year, unit) == record:
            continue
        size = FINE.shard
        box = Box(unit.row * size, unit.col * size, size, size)
        found = read_box(store.objects, layers, unit.zone, store.years.index(year), box)
        _put(store, root, year, unit, colours.paint(found["embeddings"], found["scales"]), record, full=False)
        painted += 1
    progress(len(units), len(units))
    return painted


def update_full_rgb(
    store: Store, root: Path, years: tuple[int, ...], colours: Colours, *, progress: Progress = silent
) -> Made:
    """Colour the 10 m pixels of cells that changed, or of all if the colours changed."""
    work = cells_by_unit(store, root, RGB[FULL], FULL, years)
    made, done, total = Made(), 0, sum(len(cells) for _, _, cells in work)
    for year, unit, cells in work:
        sources = {name: source_of(store, cell, year) for name, cell in sorted(cells.items())}
        now = {name: source for name, source in sources.items() if source is not None}
        before = read_record(root, RGB[FULL], year, unit)
        if before.colours != colours.digest:
            before = NOTHING
        changed = [name for name in now if before.cells.get(name) != now[name]]
        gone = set(before.cells) - set(now)
        made.kept += len(now) - len(changed)
        made.dropped += len(gone)
        if changed or gone:
            _paint_unit(store, root, year, unit, cells, now, changed, before, colours, made)
        done += len(cells)
        progress(done, total)
    return made


def _paint_unit(
    store: Store,
    root: Path,
    year: int,
    unit: Unit,
    cells: dict[str, Cell],
    now: dict[str, str],
    changed: list[str],
    before: Record,
    colours: Colours,
    made: Made,
) -> None:
    layer, size = rgb_of(FULL), FULL.shard
    place = Box(unit.row * size, unit.col * size, size, size)
    picture: NDArray[np.uint8] = layer.spec.blank(size, size)
    record = {}
    if before.cells:
        # kept cells are copied one by one, so that cells that are gone disappear
        held = read_box(store.objects, (layer,), unit.zone, store.years.index(year), place)["rgb"]
        for name in sorted(set(before.cells) & set(now) - set(changed)):
            view = _view(cells[name], place)
            picture[view] = held[view]
            record[name] = now[name]
    for name in changed:
        view = _view(cells[name], place)
        target = picture[view]
        try:
            for rows, codes, scales in read_strips(store, cells[name], year):
                target[rows] = colours.paint(codes, scales)
        except (CorruptError, InFluxError, NetError) as error:
            made.troubled[f"{name} of {year}"] = str(error)
            target[...] = 0
            continue
        record[name] = now[name]
        made.made += 1
    _put(store, root, year, unit, picture, Record(record, colours.digest), full=True)


def _view(cell: Cell, place: Box) -> tuple[slice, slice]:
    box = Box.around(cell.window, FULL)
    top, left = box.row - place.row, box.col - place.col
    return slice(top, top + box.height), slice(left, left + box.width)


def _put(
    store: Store, root: Path, year: int, unit: Unit, picture: NDArray[np.uint8], record: Record, *, full: bool
) -> None:
    """Write a shard, then its record: after a kill in between, the shard is coloured again."""
    layer = rgb_of(FULL if full else FINE)
    door, key = Folder(root), layer.key(unit.zone, store.years.index(year), unit.row, unit.col)
    data = layer.encode(picture)
    if data is None:
        door.remove(key)
    else:
        door.write(key, data)
    door.write(record_key(RGB[layer.level], year, unit), record.encode())
