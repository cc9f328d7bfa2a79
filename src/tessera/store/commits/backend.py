"""The backends that a store can be written to: a folder or an object store, one writer a cell, atomic commits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tessera.base import InputError
from tessera.net import SCHEMES, open_writer

from ._local import LocalBackend
from ._remote import RemoteBackend
from ._remote_years import create_remote
from ._writer import write_new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell, Window
    from tessera.net import Objects
    from tessera.shards import Header, Layout

    from .commit import Commit


class Backend(Protocol):
    """What a store can be written to: a folder or an object store."""

    def read_header(self) -> Header:
        """The header as it is now; `InputError` where there is no store."""
        ...

    def ensure_year(self, year: int) -> Header:
        """Append a year to the time axis of every zone, unless it is there; safe to kill and to run again."""
        ...

    def recover_all(self, header: Header) -> int:
        """Finish pending commits of dead writers, remove what they staged, and return how many were finished."""
        ...

    def write_cell(self, header: Header, cell: Cell, year: int, part: Embeddings, window: Window) -> Commit:
        """Merge embeddings into a cell and commit it; nothing changes where it holds them already.

        New valid pixels win; a pixel without data never overwrites one that has some.

        Parameters
        ----------
        part : the embeddings of `window`
        window : a rectangle inside the cell

        Raises
        ------
        CorruptError
            What the cell holds already cannot be read.
        TesseraError
            The disk is full or refuses; or, of `tessera.net`, the line or the server failed.
        """
        ...

    def read_commit(self, cell: Cell, year: int) -> Commit | None:
        """The record of a cell, None where it was never committed; `InputError` where it cannot be read."""
        ...

    def is_whole(self, header: Header, cell: Cell, record: Commit) -> bool:
        """Whether the objects of a record are there, of its lengths, and nobody is at work on them; none is read."""
        ...

    def cells(self, year: int, layout: Layout) -> Iterator[Cell]:
        """The cells of a year that have a record, in order of their names."""
        ...

    def scratch(self) -> Path:
        """A folder on this machine for work that is not in the store yet."""
        ...


def is_writable(objects: Objects) -> bool:
    """Whether a store has a backend that can be written to: a folder, or the URL of an object store."""
    return objects.folder is not None or objects.root.partition("://")[0].lower() in SCHEMES


def backend_of(objects: Objects, *, single_writer: bool = False) -> Backend:
    """The backend of a store that is open for reading; `InputError` where it can only be read."""
    if objects.folder is not None:
        return LocalBackend(objects.folder)
    if not is_writable(objects):
        raise InputError(
            f"{objects.root} is read by URL; expected a local path or an {', '.join(SCHEMES)} URL for this"
        )
    return RemoteBackend(open_writer(objects.root, single_writer=single_writer))


def create_empty(path: str | Path, header: Header, *, single_writer: bool = False) -> None:
    """Create an empty store in a folder that does not exist yet, or under a URL where nothing is."""
    text = str(path)
    if "://" in text:
        create_remote(open_writer(text, single_writer=single_writer), header)
    else:
        from pathlib import Path

        write_new(Path(text), header)
