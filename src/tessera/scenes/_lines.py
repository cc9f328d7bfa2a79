"""The threads of a build: some read bands of scenes for all days at once, some lay days; all end together."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from tessera.base import Crew, raise_if_machine
from tessera.cubes import S2_BANDS
from tessera.net import NetError

from ._mosaic import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ._bands import Reader
    from .records import Scene

LINES = 24
"""Files that are read at once; the published production caps a worker at 64."""
GLANCE = 0.2
"""Seconds between two looks: of a day that waits for files, whether the build was given up; of the build, at its days,
after each of which it tells its progress."""
_IMAGES_BYTES = 128 * 1024**2
"""Images of days that are laid at the same time; a day of a cell has 25 MB."""
_MOST_DAYS = 5
_PARTING = 1.0
"""Seconds that threads have for what they decode when a build is given up; one that waits for a server is left."""
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""mallopt's parameters (glibc's malloc.h); libraries without it are left as they are."""


class Lines:
    """Bands of scenes, read by a number of threads that all days share."""

    def __init__(self, reader: Reader, crew: Crew, given_up: threading.Event) -> None:
        self._reader, self._crew, self._given_up = reader, crew, given_up

    def _read(self, scene: Scene, band: str) -> NDArray[Any]:
        # a job that is cancelled from outside would leave its day waiting for ever
        if self._given_up.is_set():
            raise CancelledError
        return self._reader.read(scene, band)

    def __call__(self, scene: Scene, bands: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        waiting = {self._crew.submit(self._read, scene, band): place for place, band in enumerate(bands)}
        failed: tuple[int, NetError] | None = None
        try:
            # of several bands that fail the first is named, so what is lost reads the same every time
            while waiting and (failed is None or min(waiting.values()) < failed[0]):
                ready, _ = wait(waiting, GLANCE, FIRST_COMPLETED)
                # a server may keep a file's thread waiting for minutes
                if self._given_up.is_set():
                    raise CancelledError
                if not ready:
                    self._crew.check()
                while ready:
                    done = ready.pop()
                    place = waiting.pop(done)
                    try:
                        image = done.result()
                    except NetError as error:
                        failed = (place, error) if failed is None or place < failed[0] else failed
                        continue
                    if failed is None:
                        yield bands[place], image
                    del done, image
        finally:
            for job in waiting:
                job.cancel()
        if failed is not None:
            raise UnreadableError(scene, bands[failed[0]], failed[1]) from None


def days_at_once(shape: tuple[int, int]) -> int:
    """Days of (H, W) pixels that are laid at the same time."""
    height, width = shape
    return max(1, min(_MOST_DAYS, _IMAGES_BYTES // (height * width * 2 * (len(S2_BANDS) + 2))))


@cache
def _few_arenas() -> None:
    """Let threads share memory that was freed: glibc keeps it apart for each thread, a third more in all."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 2)
        libc.mallopt(_MMAP_THRESHOLD, 4 * 1024**2)


@contextmanager
def pools(days: int) -> Iterator[tuple[ThreadPoolExecutor, Crew, threading.Event]]:
    """Threads that lay days and threads that read files; after an error or interrupt what waits is given up."""
    given_up = threading.Event()
    _few_arenas()
    lines = Crew(LINES, "tessera-file")
    try:
        # days end before the caller goes on: they write
        with ThreadPoolExecutor(days, thread_name_prefix="tessera-day") as laying:
            try:
                yield laying, lines, given_up
            except BaseException as error:
                given_up.set()
                laying.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, (MemoryError, RuntimeError)):
                    raise_if_machine(error, "reading scenes")
                raise
    finally:
        lines.dismiss(_PARTING if given_up.is_set() else None)
