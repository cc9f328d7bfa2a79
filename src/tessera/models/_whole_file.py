"""Atomic writing of a file by a library that needs a path."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tessera.base import check_output, staging, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A path to write to, on the same disk, which is renamed to `target` on success and removed on failure.

    Raises
    ------
    InputError
        The path cannot be a file.
    """
    check_output(target, "encoder", overwrite=True)
    with staging(target) as folder:
        part = folder / target.name
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(target)
    sync_folder(target.parent)
