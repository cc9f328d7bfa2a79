"""Commits of several files in a folder that become visible together; a kill at any point loses nothing.

New files are staged on the same disk, then an intent that names them is written. The files that readers open first are
hidden, so that readers see no data meanwhile; then all files are moved into place in order. Any process that finds an
intent finishes it. The caller defines the content of an intent and holds the lock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .files import sync_folder
from .folder import Folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer


@dataclass(frozen=True)
class Journal:
    """Commits of files in a folder.

    Attributes
    ----------
    root : the folder
    staging : a folder in it that belongs only to this journal
    """

    root: Path
    staging: Path

    @property
    def intent(self) -> Path:
        """The path of the intent while a commit is pending."""
        return self.staging / "intent.json"

    @property
    def is_pending(self) -> bool:
        """Whether a commit has begun and is not finished."""
        return self.intent.exists()

    @property
    def folder(self) -> Folder:
        """Safe access to `root`."""
        return Folder(self.root)

    def check(self, keys: Iterable[str]) -> None:
        """Refuse links that lead out of the folder, before anything is moved.

        Raises
        ------
        InputError
            A link leads out.
        """
        self.folder.at(self.intent)
        for key in keys:
            self.folder.at(key)

    def stage(self, files: Mapping[str, Buffer], keys: Iterable[str], intent: dict[str, Any]) -> None:
        """Stage files and write the intent.

        Parameters
        ----------
        files : name -> bytes
        keys : targets of the files; their folders are made now, so that moving cannot fail for lack of space
        intent : all that is needed to finish the commit, as plain values

        Raises
        ------
        OSError
            The disk is full or refuses; then nothing is staged.
        """
        try:
            for name, data in files.items():
                self.folder.write(self.staging / name, data)
            for key in keys:
                self.folder.make(key.rpartition("/")[0])
            self.folder.write(self.intent, json.dumps(intent, sort_keys=True).encode())
        except OSError:
            self.forget()
            raise

    def finish(self, steps: Sequence[tuple[str, str | None]], hidden: Collection[str]) -> None:
        """Move staged files into place; files that were already moved are passed over.

        Parameters
        ----------
        steps : key and staged name of each file, in the order in which they appear
        hidden : keys that are removed first and appear again in their turn

        Raises
        ------
        OSError
            The disk refuses; the commit stays pending.
        """
        self.hide(steps, hidden)
        for key, name in steps:
            if name is None:
                self.folder.remove(key)
            elif (self.staging / name).exists():
                self.folder.make(key.rpartition("/")[0])
                self.folder.move(self.staging / name, key)
                self._sync(key)
        self.folder.remove(self.intent)
        self.forget()

    def hide(self, steps: Sequence[tuple[str, str | None]], hidden: Collection[str]) -> None:
        """Remove files that readers open first, where a new one is staged; arguments as of `finish`."""
        for key, name in steps:
            if key in hidden and (name is None or (self.staging / name).exists()):
                self.folder.remove(key)
                self._sync(key)

    def forget(self) -> None:
        """Remove the staged files."""
        self.folder.remove_tree(self.staging)

    def _sync(self, key: str) -> None:
        parent = (self.root / key).parent
        if parent.is_dir():
            sync_folder(parent)
