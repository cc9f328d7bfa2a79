"""Finished parts of long work, which a later run reuses: arrays in one atomic file each."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .arrays import parse_npz
from .errors import InputError
from .folder import Folder
from .machine import raise_if_machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_DIGEST = hashlib.sha256().digest_size
_HEADERS = 4096
"""Bytes enough for the headers of a few arrays and their zip entries."""


@dataclass(frozen=True)
class Kept:
    """The finished parts of one piece of work.

    Attributes
    ----------
    folder : of this piece of work only
    """

    folder: Path

    def put(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write a part, preceded by its SHA-256.

        Raises
        ------
        OSError
            It cannot be written, for example because the disk is full; earlier parts stay.
        """
        import numpy as np

        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]
        content = data.getvalue()
        Folder(self.folder).write(name, hashlib.sha256(content).digest() + content)

    def get(self, name: str, limit: int) -> dict[str, NDArray[Any]] | None:
        """A part; None if it is missing or damaged.

        Parameters
        ----------
        limit : most bytes of its arrays

        Raises
        ------
        MachineError
            This machine cannot read it now; that does not mean that it is damaged.
        """
        try:
            data = memoryview(Folder(self.folder).read(name, what="kept part", limit=limit + _DIGEST + _HEADERS))
            if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
                return None
            return dict(parse_npz(bytes(data[_DIGEST:]), "a kept part"))
        except (OSError, ValueError, KeyError, MemoryError) as error:
            raise_if_machine(error, self.folder / name)
            return None

    def has(self, name: str) -> bool:
        """Whether a part exists, intact or damaged."""
        try:
            return Folder(self.folder).size(name) is not None
        except InputError:
            return False
