"""Several files that become visible together: staged, intended, moved; a kill at any point loses nothing.

What readers look at first (the scales) is taken away before the rest is moved and comes last, so that meanwhile they
see no data. Whoever comes next finishes what was intended.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.base import Folder, InputError, TesseraError, sync_folder

from ._levels import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

_KEY = re.compile(rf"{FOLDER}(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")

_INTENT_LIMIT = 1024**2


@dataclass(frozen=True)
class Journal:
    """Changes of the derived files of one store, under the lock of their one writer.

    Attributes
    ----------
    root : the store's folder
    work : a folder on the same disk, of this journal alone
    """

    root: Path
    work: Path

    def commit(self, changes: dict[str, bytes | None], hidden: set[str]) -> None:
        """Replace files, or remove those whose bytes are None.

        Parameters
        ----------
        changes : key from the store's root -> bytes, in the order in which they are to appear
        hidden : keys that are taken away first and appear in their turn

        Raises
        ------
        TesseraError
            The disk is full or refuses; everything is as it was before.
        """
        door = self._door
        door.remove_tree(self.work)
        for key in changes:
            door.at(key)
        files = [[key, None if data is None else str(number)] for number, (key, data) in enumerate(changes.items())]
        try:
            for (_, name), data in zip(files, changes.values(), strict=True):
                if name is not None and data is not None:
                    door.write(self.work / name, data)
            intent = {"files": files, "hidden": sorted(hidden)}
            door.write(self.work / "intent.json", json.dumps(intent).encode())
        except OSError as error:
            door.remove_tree(self.work)
            raise TesseraError(f"{self.root / FOLDER} was not updated: {error.strerror}; it is as it was") from None
        self.recover()

    def recover(self) -> bool:
        """Finish what was intended, or forget what was only staged; whether there was an intent.

        Raises
        ------
        InputError
            The intent cannot be read or leaves the folder of derived files.
        """
        door, path = self._door, self.work / "intent.json"
        if door.size(path) is None:
            door.remove_tree(self.work)
            return False
        intent = door.json(path, what="intent", limit=_INTENT_LIMIT)
        try:
            files = [(str(key), None if name is None else str(int(name))) for key, name in intent["files"]]
            hidden = {str(key) for key in intent["hidden"]}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is no intent: {error!r}; remove {self.work}") from None
        for key, _ in files:
            if not _KEY.fullmatch(key):
                raise InputError(f"{path} names {key[:80]!r}, which is outside {FOLDER}; remove {self.work}")
            door.at(key)
        for key, name in files:
            target = self.root / key
            if key in hidden and (name is None or (self.work / name).exists()) and door.remove(target):
                sync_folder(target.parent)
        for key, name in files:
            target = self.root / key
            if name is None:
                door.remove(target)
            elif (self.work / name).exists():
                door.make(target.parent)
                door.move(self.work / name, target)
                sync_folder(target.parent)
        door.remove(path)
        door.remove_tree(self.work)
        return True

    @property
    def _door(self) -> Folder:
        return Folder(self.root)
