"""How much of an area a store covers, year by year."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tessera.base import silent
from tessera.embeddings import is_valid
from tessera.geo import PIXEL_SIZE, Window

from ._runs import Runs, runs_of
from ._schema import PIXEL_COLUMNS
from .manifest import gather
from .read import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow

    from tessera.base import Progress
    from tessera.store import Store

READ_PIXELS = 32_000_000
"""Largest area, pixels, whose scales are read by URL: 128 MB per year."""
_KM2 = (PIXEL_SIZE / 1000) ** 2

How = Literal["pixels", "records", "manifest"]


@dataclass(frozen=True)
class YearCoverage:
    """Coverage of one year.

    Attributes
    ----------
    year : year of the embeddings
    cells : written cells in the area
    valid, no_data, not_written : pixels of the area with an embedding, processed without data, and never written
    """

    year: int
    cells: int
    valid: int
    no_data: int
    not_written: int

    @property
    def pixels(self) -> int:
        """Pixels of the area, or of the year's cells if no area was given."""
        return self.valid + self.no_data + self.not_written

    @property
    def share(self) -> float:
        """Share of these with an embedding, 0 to 1."""
        return self.valid / self.pixels if self.pixels else 0.0

    @property
    def km2(self) -> float:
        """Area of pixels with an embedding, km2, in the UTM grid (within 0.2 % of the ground)."""
        return self.valid * _KM2

    @property
    def area_km2(self) -> float:
        """Area of all counted pixels, km2."""
        return self.pixels * _KM2

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        areas = {"km2": self.km2, "area_km2": self.area_km2}
        return {**asdict(self), "pixels": self.pixels, "share": self.share, **areas}


@dataclass(frozen=True)
class Coverage:
    """How much of an area a store covers.

    Attributes
    ----------
    store : path or URL
    area : name of the area, None for the whole store
    exact : False if it was estimated: cells that the area cuts, from their chunks and a manifest that may be old
    how : what was counted: "pixels", whole cells by commit "records", or the "manifest"
    years : coverage of each year, ascending
    """

    store: str
    area: str | None
    exact: bool
    how: How
    years: tuple[YearCoverage, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        head = {"store": self.store, "area": self.area, "exact": self.exact, "how": self.how}
        return {**head, "years": [year.to_json() for year in self.years]}


@dataclass(frozen=True)
class CellRow:
    """A cell of a year by its commit record: window, counts of pixels, bitmap of written chunks."""

    year: int
    window: Window
    valid: int
    no_data: int
    not_written: int
    chunks: bytes

    def bitmap(self, side: int) -> Any:
        """(side, side) bool: chunks with a written pixel."""
        return np.unpackbits(np.frombuffer(self.chunks, np.uint8), count=side**2).reshape(side, side).astype(bool)


def coverage(store: Store, area: object = None, year: int | None = None, *, progress: Progress = silent) -> Coverage:
    """Count the pixels of an area that have an embedding.

    A pixel belongs to the area if its centre does, and counts in the zone of its longitude. The count is exact for a
    local store, and by URL up to 32 million pixels; above that it comes from the manifest.

    Parameters
    ----------
    area : anything that `tessera.geo.parse_area` reads, or a lattice Window; None for all written cells, where
        overlapping cells of neighbouring zones both count
    year : None for all years
    progress : called with cells done and their total

    Raises
    ------
    InputError
        No such year, no area, or a large area of a store by URL that has no manifest.
    CorruptError
        A shard or the manifest is damaged.
    NetError
        The network or the server failed.
    """
    years = years_of(store, year)
    root = store.objects.root
    if area is None:
        how: How = "records" if has_records(store) else "manifest"
        found = [row for row in known_cells(store, None, year) if row.year in years]
        totals = {each: [row for row in found if row.year == each] for each in years}
        counted = tuple(_sum(each, rows) for each, rows in totals.items())
        return Coverage(root, None, how == "records", how, counted)
    runs, name = runs_of(area)
    local = has_records(store)
    if not local and sum(part.pixels for part in runs) > READ_PIXELS:
        rows = known_cells(store, None if isinstance(area, Window) else area, year)
        return Coverage(root, name, False, "manifest", tuple(_estimate(store, runs, rows, each) for each in years))
    rows = known_cells(store, None, year) if local else []
    whole = {(row.year, row.window): row for row in rows if _is_there(store, row)}
    held = {(row.year, row.window) for row in rows}
    only = held if local else None
    counted = tuple(_count(store, runs, each, whole, only, progress) for each in years)
    return Coverage(root, name, True, "pixels", counted)


def has_records(store: Store) -> bool:
    """Whether a store's commit records can be read: it is local, and was written by tessera."""
    folder = store.objects.folder
    return folder is not None and (folder / "tessera.json").is_file()


def years_of(store: Store, year: int | None) -> tuple[int, ...]:
    """The given year, or all years, ascending."""
    if year is None:
        return tuple(sorted(store.years))
    return (store.years[store.header.year_index(year, store.objects.root)],)


def known_cells(store: Store, area: object, year: int | None) -> list[CellRow]:
    """Cells from the commit records of a local store, else from the manifest."""
    table = gather(store).table if has_records(store) else read_manifest(store, area, year).table
    return [row for row in _rows(table) if year is None or row.year == year]


def _rows(table: pyarrow.Table) -> Iterator[CellRow]:
    names = [name for name in PIXEL_COLUMNS if name != "bbox"]
    columns = (table[name].to_pylist() for name in names)
    for year, zone, west, north, size, valid, no_data, not_written, chunks in zip(*columns, strict=True):
        yield CellRow(year, Window(zone, west, north, size, size), valid, no_data, not_written, chunks)


def _sum(year: int, rows: list[CellRow]) -> YearCoverage:
    sums = (sum(values) for values in zip(*((r.valid, r.no_data, r.not_written) for r in rows), strict=True))
    return YearCoverage(year, len(rows), *sums) if rows else YearCoverage(year, 0, 0, 0, 0)


def _is_there(store: Store, row: CellRow) -> bool:
    """Whether a cell's file of scales exists. If not, the cell is read, and the reader reports the fault."""
    folder = store.objects.folder
    spec = next(spec for spec in store.layout.arrays if spec.name == "scales")
    cell = next(iter(row.window.cells(store.layout.shard)))
    return folder is not None and (folder / store.layout.key(spec, cell, store.years.index(row.year))).is_file()


def _count(
    store: Store,
    runs: list[Runs],
    year: int,
    whole: dict[tuple[int, Window], CellRow],
    only: set[tuple[int, Window]] | None,
    progress: Progress,
) -> YearCoverage:
    """Count pixels cell by cell. A cell that lies wholly in the area is counted by its record."""
    side = store.layout.shard
    cells = valid = no_data = not_written = 0
    index = store.years.index(year)
    for part in runs:
        if part.window is None:
            continue
        if only is None:
            windows = [cell.window for cell in part.window.cells(side)]
        else:
            windows = [window for each, window in sorted(only, key=_place) if each == year and window.zone == part.zone]
        rest = part.pixels
        for done, window in enumerate(windows if part.zone in store.zones else ()):
            progress(done, len(windows))
            here = part.inside(window)
            if not here.pixels:
                continue
            row = whole.get((year, window))
            if row is not None and here.pixels == side**2:
                counts = row.valid, row.no_data, row.not_written
            else:
                box = here.window
                assert box is not None  # noqa: S101 - it has pixels
                scales = store.source.read_window(box, index, ())["scales"]
                mine = scales[here.mask(box)]
                good = int(is_valid(mine).sum())
                lacking = int(np.isposinf(mine).sum())
                counts = good, len(mine) - good - lacking, lacking
            cells += counts[0] + counts[1] > 0
            valid, no_data, not_written = valid + counts[0], no_data + counts[1], not_written + counts[2]
            rest -= here.pixels
        not_written += rest
    return YearCoverage(year, cells, valid, no_data, not_written)


def _place(key: tuple[int, Window]) -> tuple[int, int, int, int]:
    year, window = key
    return year, window.zone, -window.north, window.west


def _estimate(store: Store, runs: list[Runs], rows: list[CellRow], year: int) -> YearCoverage:
    """Count by the manifest: whole cells exactly, others in proportion to their written chunks."""
    side, chunk = store.layout.side, store.layout.chunk
    parts = {part.zone: part for part in runs}
    cells = valid = no_data = 0
    for row in rows:
        if row.year != year or row.window.zone not in parts:
            continue
        here = parts[row.window.zone].inside(row.window)
        if not here.pixels:
            continue
        cells += 1
        if here.pixels == row.window.width**2:
            valid, no_data = valid + row.valid, no_data + row.no_data
            continue
        bitmap = row.bitmap(side)
        touched = here.mask(row.window).reshape(side, chunk, side, chunk).sum(axis=(1, 3))
        room = int(bitmap.sum()) * chunk**2
        share = int(touched[bitmap].sum()) / room if room else 0.0
        valid, no_data = valid + round(share * row.valid), no_data + round(share * row.no_data)
    pixels = sum(part.pixels for part in runs)
    return YearCoverage(year, cells, valid, no_data, pixels - valid - no_data)
