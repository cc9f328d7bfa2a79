"""Finished parts of long work, kept beside its target until it is whole, so that a run that was stopped goes on.

A part is one file that appears whole or not at all. Parts belong to one request: to another store, another state of its
cells, another area or other options they are of no use, and go.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, TesseraError
from .folder import Folder
from .journal import Journal
from .kept import Kept
from .prefetch import prefetched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from .progress import Progress

    Arrays = dict[str, NDArray[Any]]
else:
    Arrays = dict

_LIMIT = 4 * 1024**3
"""Bytes of a part."""
_PLACED = "placed.json"
_HOLDER = "holder.json"
_LOOKS = 20
"""Times that the holder of a lock is looked for."""
_FORMAT = 2
"""Raised when parts of older versions can no longer be used."""


class Spool:
    """Parts of one request.

    Parameters
    ----------
    folder : where they lie

    Attributes
    ----------
    finished : set it when the work is done, so that the folder goes
    was_placed : whether an earlier run of the same request had begun to put its files in place, which is done now
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._kept = folder, Kept(folder)
        self.finished = self.was_placed = False

    @property
    def staging(self) -> Path:
        """A folder for finished files, which `place` moves."""
        return self.folder / "files"

    def has(self, name: str) -> bool:
        """Whether a part is there."""
        return self._kept.has(_file(name))

    def put(self, name: str, arrays: Arrays) -> None:
        """Keep a part."""
        self._kept.put(_file(name), arrays)

    def placing(self, files: Iterable[Path]) -> None:
        """Note finished files that are about to be moved to their place, so that the next run knows them again."""
        Folder(self.folder).write(_PLACED, json.dumps({file.name: _about(file) for file in files}).encode())

    def place(
        self, names: Sequence[str], *, gone: Sequence[str] = (), elsewhere: Callable[[], None] | None = None
    ) -> None:
        """Move files from `staging` beside the target as one commit: a kill at any point is finished by the next run.

        The last file is hidden first and appears last, so that it never stands beside files of another run.

        Parameters
        ----------
        names : files in `staging`, in the order in which they appear
        gone : files beside the target that are removed
        elsewhere : puts files in other folders, while the last file is hidden. A run that is killed meanwhile is not
            `was_placed`, so that the next one does it again
        """
        for name in names:
            _flush(self.staging / name)
        steps: list[tuple[str, str | None]] = [*((name, None) for name in gone), *((name, name) for name in names)]
        request = (self.folder / "request").read_text()
        journal = _journal(self.folder)
        journal.check(key for key, _ in steps)
        journal.stage({}, (), {"request": request, "steps": steps, "elsewhere": elsewhere is not None})
        if elsewhere is not None:
            journal.hide(steps, {names[-1]})
            elsewhere()
        journal.finish(steps, {names[-1]})

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


def _journal(folder: Path) -> Journal:
    return Journal(folder.parent, folder / "files")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def request_digest(request: Mapping[str, Any]) -> str:
    """SHA-256 of a request, as `spooling` takes it."""
    text = json.dumps({"format": _FORMAT, **request}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def was_placed(target: Path, path: Path) -> bool:
    """Whether a file is what a run for `target` put in its place just before it was killed."""
    folder = _folder(target)
    if any(path.name == name for name, _ in _pending(folder)[1]):
        return True
    try:
        listed = Folder(target.parent).json(folder / _PLACED, what="list of placed files", limit=1 << 20)
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


def _pending(folder: Path) -> tuple[str, list[tuple[str, str | None]]]:
    """Request and steps of a commit that was begun; none where none was, or where its intent is not ours. No request
    where the commit had files in other folders, which only the run itself can put there."""
    try:
        value = Folder(folder.parent).json(folder / "files" / "intent.json", what="intent", limit=1 << 20)
        steps = [(str(key), None if name is None else str(name)) for key, name in value["steps"]]
        if not all(Path(key).name == key != ".." and name in (None, key) for key, name in steps):
            return "", []
        return "" if value.get("elsewhere", False) else str(value["request"]), steps
    except (InputError, OSError, KeyError, TypeError, ValueError):
        return "", []


@contextmanager
def spooling(target: Path, request: Mapping[str, Any]) -> Iterator[Spool]:
    """The spool of a request, beside its target; it stays when the work is stopped and goes when it is `finished`.

    Parameters
    ----------
    target : the file that is made
    request : plain values that say all that the parts depend on

    Raises
    ------
    InputError
        Another process works on the target, or another user left work there that this one may not change.
    """
    folder = _folder(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    door = Folder(folder.parent)
    door.inner(folder)
    lock = door.lock(folder / "lock", wait=False) if os.name == "posix" else nullcontext()
    try:
        with lock:
            spool = _begin(door, folder, target, request_digest(request))
            try:
                yield spool
            finally:
                if spool.finished or not any(folder.glob("*.part")):
                    door.remove_tree(folder)
    except BlockingIOError:
        raise InputError(f"{target} is being written by another process{_holder(folder)}") from None


def _begin(door: Folder, folder: Path, target: Path, digest: str) -> Spool:
    spool = Spool(folder)
    try:
        about = {"process": os.getpid(), "user": _user(os.geteuid() if os.name == "posix" else 0)}
        door.write(folder / _HOLDER, json.dumps(about).encode())
        request, steps = _pending(folder)
        if steps:
            _journal(folder).finish(steps, {steps[-1][0]})
            spool.was_placed = request == digest
        mark = folder / "request"
        if not door.holds(mark, digest.encode()):
            for path in (*folder.glob("*.part"), *folder.glob("*.npz")):
                door.remove(path)
            door.write(mark, digest.encode())
        door.remove_tree(spool.staging)
        door.make(spool.staging)
    except PermissionError:
        owner = _user(folder.stat().st_uid)
        raise InputError(
            f"{target} was begun by user {owner}, whose unfinished work in {folder} you may not change; expected "
            "another path, or that folder removed"
        ) from None
    return spool


def _user(number: int) -> str:
    with suppress(ImportError, KeyError):
        import pwd

        return pwd.getpwuid(number).pw_name
    return str(number)


def _holder(folder: Path) -> str:
    """Who works in a folder, as part of a sentence."""
    for _ in range(_LOOKS):
        with suppress(InputError, OSError, KeyError, TypeError, ValueError):
            value = Folder(folder.parent).json(folder / _HOLDER, what="holder", limit=1 << 16)
            return f" (process {int(value['process'])} of user {str(value['user'])[:40]})"
        # it has the lock, and writes its name in a moment
        time.sleep(0.05)
    return ""
