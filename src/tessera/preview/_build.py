"""Compute the overviews of a store, unit by unit, where a cell changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tessera.base import InputError, silent
from tessera.geo import parse_cell
from tessera.net import CorruptError, NetError

from ._document import Overviews, declare, read_overviews
from ._levels import COARSE, FINE, LEVELS, Box, Unit, layers_of, read_box, scales_of
from ._means import InFluxError, cell_means, source_of
from ._records import NOTHING, Record, read_record, record_key, recorded_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tessera.base import Progress
    from tessera.geo import Cell, Window
    from tessera.store import Store

    from ._journal import Journal
    from ._levels import Level
    from ._means import Means

_BATCH = 16 * 1024**2
"""Pixels of 10 m between two writes of a unit: the most work that a kill loses."""
MEANS = "means"
"""Kind of record of overviews."""
_STRIDE = 4096
"""Side, in pixels of 10 m, of the squares that find the units under a window; it divides a unit's side."""


@dataclass
class Made:
    """What a run did."""

    # made, kept, dropped: cells whose derived pixels were computed, were right already, and are gone from the store
    made: int = 0
    kept: int = 0
    dropped: int = 0
    # cell -> why it could not be read; its derived pixels stay as they were, and count as not current
    troubled: dict[str, str] = field(default_factory=dict)


def parse_store(store: Store) -> Path:
    """The folder of a store that overviews can be written into."""
    folder = store.objects.folder
    if folder is None:
        raise InputError(f"{store.objects.root} is read by URL; a preview is made where the store is a local folder")
    if store.layout.shard < COARSE.factor:
        raise InputError(
            f"a store with cells of {store.layout.shard} pixels; overviews need cells of at least {COARSE.factor}"
        )
    return folder


def parse_years(store: Store, years: Iterable[int] | None) -> tuple[int, ...]:
    """The years to work on; None means all of the store."""
    chosen = store.years if years is None else tuple(years)
    for year in chosen:
        store.header.year_index(year, store.objects.root)
    return chosen


def cells_by_unit(
    store: Store, root: Path, kind: str, level: Level, years: Iterable[int]
) -> list[tuple[int, Unit, dict[str, Cell]]]:
    """(year, unit, cells by name) of a level; a recorded unit whose cells are all gone has none."""
    work: list[tuple[int, Unit, dict[str, Cell]]] = []
    for year in years:
        units: dict[Unit, dict[str, Cell]] = {unit: {} for unit in recorded_units(root, kind, year)}
        for cell in store.cells(year):
            units.setdefault(Unit.of(cell, level), {})[cell.name] = cell
        work += [(year, unit, units[unit]) for unit in sorted(units)]
    return work


def update_overviews(
    store: Store, journal: Journal, years: tuple[int, ...], *, progress: Progress = silent
) -> tuple[Overviews, Made]:
    """Update the means of some years. Unchanged cells are not read."""
    root = parse_store(store)
    held = read_overviews(store) or Overviews(store.model)
    work = cells_by_unit(store, root, MEANS, FINE, years)
    zones = tuple({unit.zone for _, unit, _ in work})
    declare(store, root, held, (), zones)
    made, done, total = Made(), 0, sum(len(cells) for _, _, cells in work)
    for year, unit, cells in work:

        def count(inside: int, before: int = done) -> None:
            progress(before + inside, total)

        _update_unit(store, journal, year, unit, cells, made, count)
        done += len(cells)
        progress(done, total)
    return declare(store, root, held, years, zones), made


def _update_unit(
    store: Store,
    journal: Journal,
    year: int,
    unit: Unit,
    cells: dict[str, Cell],
    made: Made,
    progress: Callable[[int], None],
) -> None:
    before = read_record(journal.root, MEANS, year, unit)
    if before.cells and not (journal.root / _scales_key(unit, store.years.index(year))).exists():
        before = NOTHING
    sources = {name: source_of(store, cell, year) for name, cell in cells.items()}
    now = {name: source for name, source in sources.items() if source is not None}
    gone = [parse_cell(name, store.layout.shard) for name in sorted(before.cells) if name not in now]
    changed = [cells[name] for name in sorted(now) if before.cells.get(name) != now[name]]
    made.kept += len(now) - len(changed)
    made.dropped += len(gone)
    record = {name: source for name, source in before.cells.items() if name in now}
    each = max(1, _BATCH // store.layout.shard**2)
    batches = [changed[start : start + each] for start in range(0, len(changed), each)] or ([[]] if gone else [])
    for number, batch in enumerate(batches):
        means: dict[Cell, dict[str, Means]] = {}
        for count, cell in enumerate(batch):
            try:
                means[cell] = cell_means(store, cell, year)
                record[cell.name] = now[cell.name]
                made.made += 1
            except (CorruptError, InFluxError, NetError) as error:
                made.troubled[f"{cell.name} of {year}"] = str(error)
            progress(number * each + count + 1)
        if means or gone:
            _write(store, journal, year, unit, means, gone if number == 0 else [], Record(dict(record)))


def _scales_key(unit: Unit, year_index: int) -> str:
    return scales_of(FINE).key(unit.zone, year_index, unit.row, unit.col)


def _write(
    store: Store,
    journal: Journal,
    year: int,
    unit: Unit,
    means: dict[Cell, dict[str, Means]],
    gone: list[Cell],
    record: Record,
) -> None:
    """Commit means to the unit's shard of each level, together with the unit's record."""
    index = store.years.index(year)
    changes: dict[str, bytes | bytearray | None] = {}
    last: dict[str, bytes | bytearray | None] = {}
    for level in LEVELS:
        size = level.shard
        per = level.span // FINE.span
        row, col = unit.row // per, unit.col // per
        layers = layers_of(level, store.dims)
        arrays = read_box(store.objects, layers, unit.zone, index, Box(row * size, col * size, size, size))
        for cell in (*gone, *means):
            box = Box.around(cell.window, level)
            top, left = box.row - row * size, box.col - col * size
            view = slice(top, top + box.height), slice(left, left + box.width)
            for layer in layers:
                arrays[layer.name][view] = (
                    getattr(means[cell][level.name], "codes" if layer.name == "embeddings" else layer.name)
                    if cell in means
                    else layer.spec.fill
                )
        for layer in layers:
            kind = last if layer.name == "scales" else changes
            kind[layer.key(unit.zone, index, row, col)] = layer.encode(arrays[layer.name])
    changes |= last
    # an empty record is kept: the next run must know the unit to update its colours
    changes[record_key(MEANS, year, unit)] = record.encode()
    journal.commit(changes, set(last))


def is_current(store: Store, year: int, windows: Iterable[Window]) -> bool:
    """Whether the overview of these windows matches the store as it is now. Local stores only."""
    root, seen = parse_store(store), list(windows)

    def inside(cell: Cell) -> bool:
        return any(cell.window.intersection(window) is not None for window in seen)

    held = {cell.name: cell for cell in store.cells(year) if inside(cell)}
    units = {Unit.of(cell, FINE) for cell in held.values()}
    units |= {Unit.of(corner, FINE) for window in seen for corner in window.cells(_STRIDE)}
    made: dict[str, str] = {}
    for unit in units:
        made |= read_record(root, MEANS, year, unit).cells
    made = {name: source for name, source in made.items() if inside(parse_cell(name, store.layout.shard))}
    return made == {name: source_of(store, cell, year) for name, cell in held.items()}
