"""Readers of one band of one scene on a window: by the blocks that it touches, or through odc-stac."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, require

from ._bands import dtype_of, href_of, resampling_of
from ._files import open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.geo import Window

    from ._bands import Reader
    from .recipe import Recipe
    from .records import Scene
    from .sources import Source

PACKED_BYTES = 64 * 1024**2
"""Bytes of blocks that are held as they came; a 10 m band of a cell has 2 to 8 MB."""
_READERS = {"ranges": ("rasterio",), "odc": ("rasterio", "odc.stac")}
"""Names, and what each needs."""


class _Budget:
    """Bytes that all threads together may hold; who asks for more than there are waits."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._free = limit, 0, threading.Condition()

    def take(self, size: int) -> None:
        """Take bytes, as soon as they are free; more than the limit where nobody else holds any."""
        with self._free:
            self._free.wait_for(lambda: self._used == 0 or self._used + size <= self._limit)
            self._used += size

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._free:
            self._used -= size
            self._free.notify_all()


class RangeReader:
    """Reads the blocks of a file that the window touches, and no others."""

    def __init__(self, window: Window, sources: Mapping[str, Source], recipe: Recipe) -> None:
        from tessera.rasters import Target

        self._target = Target.of(window)
        self._sources, self._recipe = sources, recipe
        # memory: only so much is held packed, and only so many images are unpacked, whatever the number of lines
        self._packed = _Budget(PACKED_BYTES)
        self._unpacking = threading.Semaphore(os.cpu_count() or 1)

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        """See `Reader`."""
        from tessera.rasters import fetch_crop

        file = open_file(self._sources[scene.source], href_of(scene, band))
        resampling = resampling_of(scene, band, self._recipe)
        held = 0

        def fetch(read: Callable[[tuple[int, int]], bytes], spans: Sequence[tuple[int, int]]) -> Iterable[bytes]:
            nonlocal held
            wanted = sum(stop - start for start, stop in spans)
            self._packed.take(wanted)
            held = wanted
            return map(read, spans)

        try:
            crop = fetch_crop(file, self._target, resampling=resampling, at_once=fetch)
            with self._unpacking:
                return crop.onto(self._target, resampling, dtype_of(band))
        finally:
            self._packed.give(held)


def check_reader(name: str) -> None:
    """Whether there is such a reader, and all that it needs is installed.

    Raises
    ------
    InputError
    """
    if name not in _READERS:
        raise InputError(f"reader {name!r}; expected {' or '.join(_READERS)}")
    for module in _READERS[name]:
        require(module, extra="scenes", purpose="reading scenes")


def make_reader(name: str, window: Window, sources: Mapping[str, Source], recipe: Recipe) -> Reader:
    """The reader of a name, "ranges" or "odc"."""
    check_reader(name)
    if name == "ranges":
        return RangeReader(window, sources, recipe)
    from ._odc import OdcReader

    return OdcReader(window, sources, recipe)
