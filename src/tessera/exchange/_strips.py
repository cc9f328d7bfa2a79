"""The strips of a region: read one after the other into a spool, and from there into a file."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import TesseraError
from tessera.embeddings import dequantise, is_valid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.base import Arrays, Spool
    from tessera.store import Region


UNIT_BYTES = 64 * 1024**2
"""Float32 values of one strip; what a stop costs at most."""


class Strips:
    """A region whose strips lie in a spool.

    Parameters
    ----------
    region : what it is
    spool : where its parts lie
    quantised : whether codes and scales are wanted instead of values
    """

    def __init__(self, region: Region, spool: Spool | None, quantised: bool) -> None:
        self.region, self.spool, self.quantised = region, spool, quantised
        self.rows = strips_of(region)
        self.found = 0
        self._kept: tuple[str, Arrays] | None = None

    @property
    def units(self) -> int:
        """How many parts there are."""
        return len(self.rows) * len(self.region.query.years)

    def parts(self) -> Iterator[tuple[str, Any]]:
        """Name and maker of each part."""
        for year in range(len(self.region.query.years)):
            for number, rows in enumerate(self.rows):
                yield _name(year, number), partial(self._make, year, rows)

    def _make(self, year: int, rows: range) -> Arrays:
        index, cols = self.region.query.indexes[year], range(self.region.shape[1])
        if self.region.warp is not None:
            return {"values": self.region.values(rows, cols, index)}
        codes, scales = self.region.quantised(rows, cols, index)
        return {"codes": codes, "scales": scales}

    def read(self, year: int, rows: range) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
        """Values (rows, width, D) float32, or codes int8 with their scales (rows, width)."""
        found = [
            (self._part(year, number), strip)
            for number, strip in enumerate(self.rows)
            if strip.start < rows.stop and strip.stop > rows.start
        ]
        cut = [
            {name: array[max(rows.start - strip.start, 0) : rows.stop - strip.start] for name, array in part.items()}
            for part, strip in found
        ]
        whole = {name: np.concatenate([part[name] for part in cut]) for name in cut[0]}
        if self.quantised:
            return whole["codes"], np.where(is_valid(whole["scales"]), whole["scales"], np.float32(np.nan))
        if "values" in whole:
            return whole["values"], None
        return dequantise(whole["codes"], whole["scales"]), None

    def _part(self, year: int, number: int) -> Arrays:
        name = _name(year, number)
        if self._kept is None or self._kept[0] != name:
            if self.spool is None:
                raise TesseraError("no strips were read")
            self._kept = name, self.spool.get(name)
        return self._kept[1]

    def valid(self) -> int:
        """Pixels with data, of all years."""
        total = 0
        for year in range(len(self.region.query.years)):
            for number in range(len(self.rows)):
                part = self._part(year, number)
                good = np.isfinite(part["values"][..., 0]) if "values" in part else is_valid(part["scales"])
                total += int(good.sum())
        return total


def _name(year: int, number: int) -> str:
    return f"{year}-{number:06d}"


def strips_of(region: Region) -> list[range]:
    """The rows of each strip."""
    return list(region.strips(limit=UNIT_BYTES))


def described(region: Region) -> dict[str, Any]:
    """All that the pixels of a region depend on, as plain values."""
    target, outline = region.target, region.outline
    clip = None
    if outline is not None:
        arrays = (outline.x0, outline.y0, outline.x1, outline.y1)
        clip = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return {
        "crs": target.crs,
        "transform": target.transform,
        "shape": target.shape,
        "others": target.others,
        "method": "nearest" if region.warp is None else region.warp.method,
        "clip": clip,
        "unit": UNIT_BYTES,
    }
