"""Finished parts of a long export, kept beside its target until it is whole, so that a run that was stopped goes on.

A part is one file that appears whole or not at all. Parts belong to one request: to another store, another state of its
cells, another area or other options they are of no use, and go.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from tessera.base import Folder, InputError, Kept, TesseraError, prefetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress

    Arrays = dict[str, NDArray[Any]]

_LIMIT = 4 * 1024**3
"""Bytes of a part."""
_PLACED = "placed.json"
_FORMAT = 2
"""Raised when parts of older versions can no longer be used."""


class Spool:
    """Parts of one request.

    Parameters
    ----------
    folder : where they lie
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._kept = folder, Kept(folder)
        self.finished = False

    def has(self, name: str) -> bool:
        """Whether a part is there."""
        return self._kept.has(_file(name))

    def put(self, name: str, arrays: Arrays) -> None:
        """Keep a part."""
        self._kept.put(_file(name), arrays)

    def placing(self, files: Iterable[Path]) -> None:
        """Note finished files that are about to be moved to their place, so that the next run knows them again."""
        Folder(self.folder).write(_PLACED, json.dumps({file.name: _about(file) for file in files}).encode())

    def get(self, name: str) -> Arrays:
        """A part, its checksums checked; a damaged one is removed, so that the next run makes it anew."""
        found = self._kept.get(_file(name), _LIMIT)
        if found is None:
            path = self.folder / _file(name)
            path.unlink(missing_ok=True)
            raise TesseraError(f"{path} is damaged; run the same command again to make it anew")
        return found

    def fill(self, parts: Iterable[tuple[str, Callable[[], Arrays]]], total: int, progress: Progress) -> None:
        """Make the parts (name and maker of each) that are not there, one being read while another is kept."""
        progress(0, total)

        made = ((name, None if self.has(name) else make()) for name, make in parts)
        for done, (name, arrays) in enumerate(prefetched(made), 1):
            if arrays is not None:
                self.put(name, arrays)
            progress(done, total)


def _file(name: str) -> str:
    return f"{name}.part"


def _folder(target: Path) -> Path:
    return target.with_name(f".{target.name}.spool")


def request_digest(request: dict[str, Any]) -> str:
    """SHA-256 of a request, as `spooling` takes it."""
    text = json.dumps({"format": _FORMAT, **request}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def was_placed(target: Path, path: Path) -> bool:
    """Whether a file is what a run for `target` put in its place just before it was killed."""
    try:
        listed = Folder(target.parent).json(_folder(target) / _PLACED, what="list of placed files", limit=1 << 20)
    except (InputError, OSError):
        return False
    return listed.get(path.name) == _about(path)


def drop_spool(target: Path) -> None:
    """Remove what a run for `target` left that was killed after it had put its output in place."""
    folder = _folder(target)
    if (folder / _PLACED).is_file():
        Folder(target.parent).remove_tree(folder)


def _about(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def spooled_bytes(target: Path) -> int:
    """Bytes of the parts that lie beside a target."""
    return sum(path.stat().st_size for path in _folder(target).glob("*.part"))


@contextmanager
def spooling(target: Path, request: dict[str, Any]) -> Iterator[Spool]:
    """The spool of a request, beside its target; it stays when the work is stopped and goes when it is `finished`.

    The request holds plain values that say all that the parts depend on.
    """
    folder = _folder(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    door = Folder(folder.parent)
    door.inner(folder)
    lock = door.lock(folder / "lock", wait=False) if os.name == "posix" else nullcontext()
    try:
        with lock:
            digest = request_digest(request).encode()
            mark = folder / "request"
            if not door.holds(mark, digest):
                for path in (*folder.glob("*.part"), *folder.glob("*.npz")):
                    door.remove(path)
                door.write(mark, digest)
            spool = Spool(folder)
            try:
                yield spool
            finally:
                if spool.finished or not any(folder.glob("*.part")):
                    door.remove_tree(folder)
    except BlockingIOError:
        raise InputError(f"{target} is being written by another process") from None
