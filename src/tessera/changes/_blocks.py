"""One pass over the area: distances, classes and a sample of vectors, block by block, kept until files are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.embeddings import CodedVectors
from tessera.geo import Area, Window, ZonePart
from tessera.labels import NO_DATA

from .distance import cosine_distance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.base import Spool
    from tessera.heads import Head

    from ._asked import ChangeSource

SIDE = 512
"""Side of a block, pixels: its codes are 34 MB a year at 128 dims."""
SAMPLE = 20_000
"""Pixels whose vectors are kept to tell how far the model drifts."""


@dataclass(frozen=True)
class Plan:
    """What is read: an area of a store in some years, with a head or without.

    Attributes
    ----------
    area, window : the area, and the window of the lattice that holds it
    dims : of the vectors, all of the store's or those that the head reads
    polygons : (P,) geometries in metres of the window's CRS, whose pixels are counted apart
    stable : (S,) geometries that have not changed
    seed : draws the sample
    """

    store: ChangeSource
    area: Area | Window
    window: Window
    years: tuple[int, ...]
    dims: int
    head: Head | None
    polygons: NDArray[np.object_]
    stable: NDArray[np.object_]
    seed: int

    @property
    def classes(self) -> int:
        """Number of classes; 0 without a head or of numbers."""
        return 0 if self.head is None else len(self.head.classes)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Each year with the next."""
        return list(pairwise(self.years))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.window.height // SIDE), -(-self.window.width // SIDE)

    def block(self, row: int, col: int) -> Window:
        """One block of the window."""
        whole = self.window
        height, width = min(SIDE, whole.height - row * SIDE), min(SIDE, whole.width - col * SIDE)
        return Window(whole.zone, whole.west + col * SIDE, whole.north - row * SIDE, width, height)

    def parts(self) -> Iterator[tuple[str, Callable[[], dict[str, NDArray[Any]]]]]:
        """The parts of a spool: name and maker of each block."""
        shape = None if isinstance(self.area, Window) else self.area.in_zone(self.window.zone)
        rows, cols = self.grid
        for row in range(rows):
            for col in range(cols):
                yield name_of(row, col), partial(self._read, row, col, shape)

    def _read(self, row: int, col: int, shape: ZonePart | None) -> dict[str, NDArray[Any]]:
        block = self.block(row, col)
        years = [self._codes(block, year) for year in self.years]
        inside = np.ones(block.shape, dtype=np.bool_) if shape is None else shape.mask(block)
        out: dict[str, NDArray[Any]] = {}
        distances = [cosine_distance(one, other) for one, other in pairwise(years)]
        out["distance"] = np.stack(distances)
        out["distance"][:, ~inside] = np.nan
        if self.head is not None:
            found = np.stack([self.head.predict_codes(one) for one in years])
            if self.classes:
                index = np.full(256, NO_DATA, dtype=np.uint8)
                index[list(self.head.values)] = np.arange(self.classes, dtype=np.uint8)
                found = index[found]
                found[:, ~inside] = NO_DATA
            else:
                found = found.astype(np.float32)
                found[:, ~inside] = np.nan
            out["found"] = found
        out |= self._sample(years, np.isfinite(out["distance"]).all(axis=0), row, col)
        if len(self.stable):
            out["stable"] = self._known(block)
        out |= self._counted(block, out)
        return out

    def _known(self, block: Window) -> NDArray[np.bool_]:
        """Pixels of a block that lie in a stable place."""
        import shapely

        known = np.zeros(block.shape, dtype=np.bool_)
        touched = shapely.STRtree(self.stable).query(shapely.box(*block.bounds), predicate="intersects")
        for shape in self.stable[touched].tolist():
            part = ZonePart(block.zone, shape)
            box = part.window.intersection(block)
            if box is not None:
                known[box.slices_in(block)] |= part.mask(box)
        return known

    def _codes(self, block: Window, year: int) -> CodedVectors:
        kept = None if self.dims == self.store.dims else self.dims
        strips = list(self.store.iter_codes(self.area, year, kept, within=block))
        codes = np.concatenate([strip.codes for strip in strips])
        scales = np.concatenate([strip.scales for strip in strips])
        if scales.shape != block.shape:
            raise InputError(f"the store returned {scales.shape} of a block of {block.shape} pixels")
        return CodedVectors(codes, scales)

    def _sample(
        self, years: Sequence[CodedVectors], valid: NDArray[np.bool_], row: int, col: int
    ) -> dict[str, NDArray[Any]]:
        """Codes of a few pixels with data in every year, drawn by the seed and the block."""
        there = np.flatnonzero(valid)
        blocks = self.grid[0] * self.grid[1]
        share = SAMPLE * len(there) / (self.window.height * self.window.width) if blocks > 1 else SAMPLE
        count = min(len(there), int(np.ceil(share)))
        drawn = np.random.default_rng((self.seed, row, col)).choice(there, count, replace=False)
        drawn.sort()
        codes = [one.codes.reshape(-1, one.dims)[drawn] for one in years]
        scales = [one.scales.reshape(-1)[drawn] for one in years]
        return {"sample": drawn.astype(np.int64), "codes": np.stack(codes), "scales": np.stack(scales)}

    def _counted(self, block: Window, out: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What lies in each polygon: pixels of each class or sum of numbers in each year, and sum of distances."""
        import shapely

        if not len(self.polygons):
            return {}
        touched = shapely.STRtree(self.polygons).query(shapely.box(*block.bounds), predicate="intersects")
        touched = np.sort(touched)
        years, kinds = len(self.years), max(1, self.classes)
        pixels = np.zeros((len(touched), years, kinds), dtype=np.int64)
        sums = np.zeros((len(touched), years), dtype=np.float64)
        moved = np.zeros((len(touched), years - 1), dtype=np.float64)
        both = np.zeros((len(touched), years - 1), dtype=np.int64)
        for number, polygon in enumerate(self.polygons[touched].tolist()):
            part = ZonePart(block.zone, polygon)
            box = part.window.intersection(block)
            if box is None:
                continue
            inside = part.mask(box)
            place = box.slices_in(block)
            for pair, distance in enumerate(out["distance"]):
                there = distance[place][inside]
                there = there[np.isfinite(there)]
                both[number, pair], moved[number, pair] = len(there), there.astype(np.float64).sum()
            for year, found in enumerate(out.get("found", ())):
                there = found[place][inside]
                if self.classes:
                    pixels[number, year] = np.bincount(there, minlength=256)[: self.classes]
                else:
                    there = there[np.isfinite(there)]
                    pixels[number, year, 0], sums[number, year] = len(there), there.astype(np.float64).sum()
        return {"touched": touched.astype(np.int64), "pixels": pixels, "sums": sums, "moved": moved, "both": both}


def name_of(row: int, col: int) -> str:
    """The name of the part of a block."""
    return f"block-{row}-{col}"


class Blocks:
    """The finished blocks of a plan, read back."""

    def __init__(self, plan: Plan, spool: Spool) -> None:
        self.plan, self._spool = plan, spool
        self._held: tuple[int, list[dict[str, NDArray[Any]]]] = (-1, [])

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        rows, cols = self.plan.grid
        for row in range(rows):
            for col in range(cols):
                yield self._spool.get(name_of(row, col))

    def rows(self, wanted: range, name: str) -> NDArray[Any]:
        """Rows of the window from one array of the blocks: (layers, rows, width).

        Parameters
        ----------
        name : "distance" or "found"
        """
        pieces = []
        for row in range(wanted.start // SIDE, -(-wanted.stop // SIDE)):
            first = row * SIDE
            cut = slice(max(0, wanted.start - first), wanted.stop - first)
            pieces.append(np.concatenate([block[name][:, cut] for block in self._row(row)], axis=2))
        return np.concatenate(pieces, axis=1)

    def _row(self, row: int) -> list[dict[str, NDArray[Any]]]:
        if self._held[0] != row:
            found: list[dict[str, NDArray[Any]]] = []
            for col in range(self.plan.grid[1]):
                block = self._spool.get(name_of(row, col))
                found.append({name: block[name] for name in ("distance", "found") if name in block})
            self._held = row, found
        return self._held[1]
