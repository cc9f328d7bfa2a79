"""A map strip by strip: which rows and windows are read, and what is predicted for them into a spool."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import prefetched
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.geo import Window
from tessera.labels import NO_DATA

from ._layers import MAP, PROBABILITIES, UNCERTAINTY, bands, compute, compute_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tessera.base import Progress, Spool
    from tessera.geo import ZonePart

    from ._layers import Layers
    from .asked import MapHead
    from .sources import Sources

ROWS, COLS = 256, 1024
"""Pixels of a block: 34 MB of codes of 128 dims. A stop costs the strip that was not finished."""
_WINDOWED = 512
"""Rows of a strip of a learner that reads around each pixel, so that less is read twice."""
_LEAST_ROWS = 32
_STRIP_BYTES = 64 * 1024**2
"""Of all layers of a strip; wide maps have thinner strips."""


@dataclass(frozen=True)
class Strips:
    """What is predicted, in strips from north to south that end where rows of the lattice are full multiples.

    Attributes
    ----------
    head : that predicts
    sources : of its vectors
    layers : that are computed
    """

    head: MapHead
    sources: Sources
    layers: Layers

    @property
    def window(self) -> Window:
        """The pixels of the map."""
        return self.sources.window

    @cached_property
    def rows(self) -> list[range]:
        """The rows of each strip."""
        width, numbers = self.window.width, not self.head.classes
        pixel = 4 if numbers else 1
        pixel += len(self.head.classes) * (PROBABILITIES in self.layers.names)
        pixel += 4 * len(bands(self.head)) * (UNCERTAINTY in self.layers.names)
        most = _WINDOWED if self._margin else ROWS
        step = min(most, max(_LEAST_ROWS, _STRIP_BYTES // (pixel * width) // _LEAST_ROWS * _LEAST_ROWS))
        found, start, north = [], 0, self.window.north
        while start < self.window.height:
            stop = min(start + step - (start - north) % step, self.window.height)
            found.append(range(start, stop))
            start = stop
        return found

    @property
    def _margin(self) -> int:
        return int(getattr(self.head.learnt, "margin", 0))

    @cached_property
    def _shown(self) -> ZonePart | None:
        """The area in the window's CRS; None where it is the window."""
        area = self.sources.area
        return None if isinstance(area, Window) else area.in_zone(self.window.zone)

    def fill(self, spool: Spool, progress: Progress) -> None:
        """Predict the strips that the spool does not have; `progress` counts rows."""
        progress(0, self.window.height)
        todo = [number for number in range(len(self.rows)) if not self._has(spool, number)]
        blocks = [(number, block) for number in todo for block in self._blocks(number)]
        made = prefetched((number, block, self._vectors(block)) for number, block in blocks)
        try:
            held: dict[str, NDArray[Any]] = {}
            done = 0
            for index, (number, block, vectors) in enumerate(made):
                while done < number:
                    done = self._passed(done, progress)
                held = held or self._empty(number)
                if vectors is not None:
                    self._predict(vectors, block, number, held)
                if index + 1 == len(blocks) or blocks[index + 1][0] != number:
                    # the map's own part last: it says that the strip is whole
                    for name in reversed(self.layers.names):
                        spool.put(part_name(name, number), {name: held[name]})
                    held = {}
                    done = self._passed(done, progress)
            while done < len(self.rows):
                done = self._passed(done, progress)
        finally:
            made.close()

    def _passed(self, number: int, progress: Progress) -> int:
        progress(self.rows[number].stop, self.window.height)
        return number + 1

    def _has(self, spool: Spool, number: int) -> bool:
        return all(spool.has(part_name(name, number)) for name in self.layers.names)

    def _blocks(self, number: int) -> Iterator[Window]:
        """Windows of a strip, of a width of cells."""
        rows, window = self.rows[number], self.window
        west, step = window.west, COLS * (2 if self._margin else 1)
        while west < window.east:
            east = min(west + step - west % step, window.east)
            yield Window(window.zone, west, window.north - rows.start, east - west, len(rows))
            west = east

    def _vectors(self, block: Window) -> StackedVectors | None:
        """The vectors of a block, with the learner's margin; those outside the area are no data. None without any."""
        inside = _inside(self._shown, block)
        if inside is not None and not inside.any():
            return None
        margin = self._margin
        if margin:
            return self.sources.read_grown(block, margin)
        vectors = self.sources.read(block)
        if inside is None:
            return vectors
        first = vectors.parts[0]
        scales = np.where(inside, first.scales, np.float32(np.nan))
        return StackedVectors((CodedVectors(first.codes, scales), *vectors.parts[1:]))

    def _empty(self, number: int) -> dict[str, NDArray[Any]]:
        shape, head = (len(self.rows[number]), self.window.width), self.head
        kinds: dict[str, tuple[tuple[int, ...], Any, float]] = {
            MAP: (shape, np.uint8, NO_DATA) if head.classes else (shape, np.float32, np.nan),
            PROBABILITIES: ((*shape, len(head.classes)), np.uint8, NO_DATA),
            UNCERTAINTY: ((*shape, len(bands(head))), np.float32, np.nan),
        }
        return {name: np.full(kinds[name][0], kinds[name][2], kinds[name][1]) for name in self.layers.names}

    def _predict(self, vectors: StackedVectors, block: Window, number: int, held: dict[str, NDArray[Any]]) -> None:
        into = slice(block.west - self.window.west, block.east - self.window.west)
        if self._margin:
            found = compute_window(self.head, self.layers, vectors, (block.west, block.north))
            inside = _inside(self._shown, block)
            if inside is not None:
                for name, values in self._empty(number).items():
                    found[name][~inside] = values[:, into][~inside]
        else:
            found = compute(self.head, self.layers, vectors)
        for name, values in found.items():
            held[name][:, into] = values


class Finished:
    """Rows of a layer out of the spool.

    Parameters
    ----------
    strips, spool : whose parts they are
    name : of the layer
    """

    def __init__(self, strips: Strips, spool: Spool, name: str) -> None:
        self._strips, self._spool, self._name = strips, spool, name
        self._held: tuple[int, NDArray[Any]] | None = None

    def read(self, rows: range) -> NDArray[Any]:
        """Any rows, (rows, width[, bands])."""
        found = [
            self._part(number)[max(rows.start - strip.start, 0) : rows.stop - strip.start]
            for number, strip in enumerate(self._strips.rows)
            if strip.start < rows.stop and strip.stop > rows.start
        ]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _part(self, number: int) -> NDArray[Any]:
        if self._held is None or self._held[0] != number:
            self._held = None
            self._held = number, self._spool.get(part_name(self._name, number))[self._name]
        return self._held[1]


def part_name(layer: str, number: int) -> str:
    """Name of a layer's strip in the spool."""
    return f"{layer}-{number:06d}"


def _inside(shown: ZonePart | None, block: Window) -> NDArray[np.bool_] | None:
    """Which pixels of a block lie in the area; None where all do."""
    import shapely

    if shown is None:
        return None
    shapely.prepare(shown.geometry)
    box = shapely.box(*block.bounds)
    if shapely.contains(shown.geometry, box):
        return None
    return shown.mask(block) if shapely.intersects(shown.geometry, box) else np.zeros(block.shape, dtype=np.bool_)
