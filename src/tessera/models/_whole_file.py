"""A file that a library writes bit by bit, whole or not there."""

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
    """A path to write at, on the same disk, which becomes `target` when all went well and is gone when not.

    Raises
    ------
    InputError
        The path can be no file.
    """
    check_output(target, "encoder", overwrite=True)
    with staging(target) as folder:
        part = folder / target.name
        yield part
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(target)
    sync_folder(target.parent)
