"""Commit files of the overviews together, with `tessera.base.Journal`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.base import InputError, TesseraError, parsing
from tessera.base import Journal as Files

from ._levels import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEY = re.compile(rf"{FOLDER}(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")

_INTENT_LIMIT = 1024**2


@dataclass(frozen=True)
class Journal:
    """Changes of the derived files of one store, under the lock of their one writer."""

    root: Path  # the store's folder
    work: Path  # a folder on the same disk, of this journal alone

    def commit(self, changes: Mapping[str, bytes | bytearray | None], hidden: set[str]) -> None:
        """Replace files, or remove those whose bytes are None; if the disk refuses, everything is as it was before.

        `changes` go from key to bytes, in the order in which they are to appear; `hidden` keys are taken away first.
        """
        files = self._files
        files.forget()
        files.check(changes)
        steps = [[key, None if data is None else str(number)] for number, (key, data) in enumerate(changes.items())]
        staged = {str(number): data for number, data in enumerate(changes.values()) if data is not None}
        kept = [key for key, data in changes.items() if data is not None]
        try:
            files.stage(staged, kept, {"files": steps, "hidden": sorted(hidden)})
        except OSError as error:
            raise TesseraError(f"{self.root / FOLDER} was not updated: {error.strerror}; it is as it was") from None
        self.recover()

    def recover(self) -> bool:
        """Finish a pending commit, or forget staged files. Returns whether there was an intent."""
        files = self._files
        if not files.is_pending:
            files.forget()
            return False
        intent = files.folder.json(files.intent, what="intent", limit=_INTENT_LIMIT)
        with parsing(f"{files.intent} is no intent", f"; remove {self.work}"):
            steps = [(str(key), None if name is None else str(int(name))) for key, name in intent["files"]]
            hidden = {str(key) for key in intent["hidden"]}
        for key, _ in steps:
            if not _KEY.fullmatch(key):
                raise InputError(f"{files.intent} names {key[:80]!r}, which is outside {FOLDER}; remove {self.work}")
        files.check(key for key, _ in steps)
        files.finish(steps, hidden)
        return True

    @property
    def _files(self) -> Files:
        return Files(self.root, self.work)
