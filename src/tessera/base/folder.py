"""An untrusted folder: nothing outside it is read, written, moved, locked or removed."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .documents import read_json
from .errors import InputError
from .files import file_lock, sync_folder, write_atomic
from .paths import file_size, open_regular, read_regular, safe_path
from .quoting import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer as Buffer


@dataclass(frozen=True)
class Folder:
    """Safe access to a shared folder: a store, a work folder, an export that is continued.

    Every method takes a key such as "commits/2024", or the whole path as a `Path`. If a symbolic link leads out of the
    folder, it raises `InputError` before anything is done.

    Attributes
    ----------
    root : the folder; it may itself be a link, since its user chose it
    """

    root: Path

    def at(self, place: str | Path) -> Path:
        """The path of a key; the folders above it are inside, the last part may be a link."""
        return safe_path(self.root, self._path(place))

    def _path(self, place: str | Path) -> Path:
        return self.root / place if isinstance(place, str) else place

    def inner(self, place: str | Path) -> Path:
        """The path of a folder; it and the folders above it, as far as they exist, are inside."""
        path = self._path(place)
        safe_path(self.root, path / "-")
        return path

    def check(self, *places: str) -> None:
        """Check some folders recursively for links that lead out, before any work starts.

        Raises
        ------
        InputError
            A folder in one of `places` is a link that leads out.
        """
        for place in places:
            top = self.inner(place)
            if top.is_symlink():
                top = Path(os.path.realpath(top))
            for above, folders, _ in os.walk(top):
                for name in folders:
                    if (Path(above) / name).is_symlink():
                        self.inner(Path(above) / name)

    def read(self, place: str | Path, *, what: str, limit: int) -> bytes:
        """The bytes of a regular file of at most `limit` bytes; `what` names it in a message.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        InputError
            It is not a regular file, is larger, or a link leads out.
        """
        return read_regular(self._path(place), what=what, limit=limit, inside=self.root)

    def json(self, place: str | Path, *, what: str, limit: int) -> dict[str, Any]:
        """A JSON object of at most `limit` bytes; see `read_json`."""
        return read_json(self._path(place), what=what, limit=limit, inside=self.root)

    def size(self, place: str | Path) -> int | None:
        """Bytes of a file, None if it is missing.

        Raises
        ------
        InputError
            It is not a file, or a link.
        """
        return file_size(self.root, self._path(place))

    def holds(self, place: str | Path, data: Buffer) -> bool:
        """Whether a regular file in this folder has exactly these bytes."""
        view = memoryview(data)
        try:
            with open_regular(self._path(place), what="file", inside=self.root) as file:
                return os.fstat(file.fileno()).st_size == view.nbytes and file.read(view.nbytes + 1) == view
        except (OSError, InputError):
            return False

    def write(self, place: str | Path, data: Buffer) -> None:
        """Write a file atomically and create the folders above it; see `write_atomic`."""
        write_atomic(self.at(place), data)

    def settle(self, place: str | Path, data: Buffer) -> bool:
        """Write a file unless it already has these bytes, so that caches stay valid; returns whether it was written.

        Raises
        ------
        InputError
            A link leads out.
        """
        path = self.at(place)
        if self.holds(path, data):
            return False
        write_atomic(path, data)
        return True

    def make(self, place: str | Path) -> Path:
        """Create a folder and those above it, flushed to disk; returns its path."""
        path = self.inner(place)
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)
        return self._path(place)

    def move(self, source: str | Path, target: str | Path) -> None:
        """Rename a file or folder within the folder; links are refused.

        Raises
        ------
        InputError
            It is a link, or a link leads out.
        """
        old, new = self.at(source), self.at(target)
        if old.is_symlink():
            raise InputError(f"{shown(str(old))} is a symbolic link; expected what was written there")
        old.replace(new)

    def remove(self, place: str | Path) -> bool:
        """Remove a file, or a link but not its target; returns whether there was one."""
        path = self.at(place)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def remove_tree(self, place: str | Path, *, careful: bool = False) -> None:
        """Remove a folder with its contents, or a link to one.

        Parameters
        ----------
        careful : raise `OSError` if something cannot be removed; else it is left
        """
        path = self.at(place)
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=not careful)

    @contextmanager
    def lock(self, place: str | Path, *, wait: bool = True) -> Iterator[None]:
        """Hold an exclusive lock on a file of the folder; see `file_lock`."""
        with file_lock(self.at(place), wait=wait):
            yield
