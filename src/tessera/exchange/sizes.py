"""How much an export reads, keeps and writes, told before it begins."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tessera.geo import Window
    from tessera.store import Region, Store

_SCALE_BYTES = 4
_INDEX_SHARE = 16
"""Bytes of a shard's index a chunk: an offset and a length."""


@dataclass(frozen=True)
class Estimate:
    """What an export takes.

    Attributes
    ----------
    what : of which kind, in words
    years, dims : how many
    read : bytes of the store at most; cells that are known to be empty count nothing
    work : bytes of working files beside the target while it is made, at most
    written : bytes of the target at most; without compression
    """

    what: str
    years: int
    dims: int
    read: int
    work: int
    written: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        years = f"{self.years} year{'s' * (self.years != 1)}"
        return (
            f"{self.what}, {self.dims} dims, {years}: at most {_size(self.read)} to read, {_size(self.written)} to "
            f"write, {_size(self.work)} of working files meanwhile"
        )

    def check(self, target: Path, kept: int = 0) -> None:
        """Refuse a disk that is too small.

        Parameters
        ----------
        kept : bytes of working files that are there already

        Raises
        ------
        InputError
            Fewer bytes are free than the export takes at most.
        """
        folder = next(folder for folder in (target.parent, *target.parent.parents) if folder.is_dir())
        free = shutil.disk_usage(folder).free
        need = self.written + self.work - kept
        if need > free:
            raise InputError(
                f"{target}: {self.what} of {self.dims} dims take up to {_size(need)} with working files; "
                f"{free / 1e9:,.1f} GB are free there"
            )


def _size(count: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:,.1f} {unit}"
    return f"{count} bytes"


def window_bytes(store: Store, windows: Iterable[Window], pixel_bytes: int, years: Sequence[int]) -> int:
    """Bytes of the chunks that windows touch, in cells that were committed where the store tells which were."""
    chunk, side = store.layout.chunk, store.layout.shard
    touched = [(cell, window) for window in windows for cell in window.cells(side)]
    index = 2 * _INDEX_SHARE * store.layout.side**2
    total = 0
    for year in years:
        try:
            there = set(store.cells(year))
        except InputError:
            there = {cell for cell, _ in touched}
        total += index * len(there.intersection(cell for cell, _ in touched))
        for cell, window in touched:
            part = cell.window.intersection(window) if cell in there else None
            if part is not None:
                total += _rounded(part, cell.window, chunk) * (pixel_bytes + _SCALE_BYTES)
    return total


def _rounded(part: Window, cell: Window, chunk: int) -> int:
    """Pixels of the chunks that a part of a cell touches."""
    rows, cols = part.slices_in(cell)
    tall = (rows.stop - 1) // chunk - rows.start // chunk + 1
    wide = (cols.stop - 1) // chunk - cols.start // chunk + 1
    return int(tall * wide * chunk * chunk)


def region_bytes(store: Store, region: Region) -> int:
    """Bytes of the store that a region reads, at most; in other CRSs an area's worth with its margins."""
    query = region.query
    window = region.target.window
    if window is not None and not region.target.others:
        return window_bytes(store, [window], query.spec.pixel_bytes, query.years)
    height, width = region.shape
    chunk = store.layout.chunk
    pixels: int = min(height * width * chunk**2, int((height * region.step + 64) * (width * region.step + 64) * 1.3))
    return (query.spec.pixel_bytes + _SCALE_BYTES) * pixels * len(query.years)
