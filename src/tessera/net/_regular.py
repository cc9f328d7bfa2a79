"""A folder as a zarr-python store that opens only regular files and limits the size of objects."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

from zarr.storage import ObjectStore, WrapperStore

from .errors import CorruptError, OversizeError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

OBJECT_LIMIT = 1024**3
"""Most bytes of an object that is read whole; larger ones are read by range only."""


class RegularStore(WrapperStore[ObjectStore[Any]]):
    """The objects of a folder; anything but a regular file is refused before it is opened."""

    def __init__(self, store: ObjectStore[Any], folder: Path) -> None:
        super().__init__(store)
        self._folder = folder

    def _with_store(self, store: ObjectStore[Any]) -> RegularStore:
        return type(self)(store, self._folder)

    def _check(self, key: str, *, whole: bool) -> None:
        path = self._folder / key
        try:
            about = path.stat()
        except FileNotFoundError:
            return
        if not stat.S_ISREG(about.st_mode) and not stat.S_ISDIR(about.st_mode):
            raise CorruptError(f"{path} is no regular file")
        if whole and about.st_size > OBJECT_LIMIT:
            raise OversizeError(f"{path} has {about.st_size:,} bytes; at most {OBJECT_LIMIT:,} are read")

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        self._check(key, whole=byte_range is None)
        return await self._store.get(key, prototype, byte_range)

    async def get_partial_values(self, prototype: Any, key_ranges: Iterable[tuple[str, Any]]) -> Any:
        wanted = list(key_ranges)
        for key, byte_range in wanted:
            self._check(key, whole=byte_range is None)
        return await self._store.get_partial_values(prototype, wanted)
