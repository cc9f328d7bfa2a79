"""The backend for a store in a folder: locks, staged files, atomic renames (see `commit`)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.base import Folder, InputError, TesseraError

from ._writer import check_folders, ensure_year, read_header, write_cell
from .commit import BOOKKEEPING, all_there, committed_cells, is_pending, read_commit, recover_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell, Window
    from tessera.shards import Header, Layout

    from .commit import Commit


@dataclass(frozen=True)
class LocalBackend:
    """See `backend.Backend`."""

    folder: Path

    def read_header(self) -> Header:
        header = read_header(self.folder)
        check_folders(self.folder, header)
        return header

    def ensure_year(self, year: int) -> Header:
        with _disk(self.folder):
            return ensure_year(self.folder, year)

    def recover_all(self, header: Header) -> int:
        with _disk(self.folder):
            return recover_all(self.folder, header.layout)

    def write_cell(self, header: Header, cell: Cell, year: int, part: Embeddings, window: Window) -> Commit:
        with _disk(self.folder):
            return write_cell(self.folder, header, cell, year, part, window)

    def read_commit(self, cell: Cell, year: int) -> Commit | None:
        return read_commit(self.folder, year, cell)

    def is_whole(self, header: Header, cell: Cell, record: Commit) -> bool:  # noqa: ARG002 - its keys are in the record
        return not is_pending(self.folder, record.year, cell) and all_there(self.folder, record)

    def cells(self, year: int, layout: Layout) -> Iterator[Cell]:
        return committed_cells(self.folder, year, layout)

    def scratch(self) -> Path:
        return Folder(self.folder).inner(f"{BOOKKEEPING}/work")


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """One line for a disk that is full or refuses."""
    try:
        yield
    except (InputError, TesseraError):
        raise
    except OSError as error:
        raise TesseraError(
            f"{folder} cannot be written ({error.strerror or error}); what was committed before is as it was"
        ) from None
