"""How much the answers of a search may hold, however long a provider goes on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tessera.net import PermanentError

from ..records import SCENES_LIMIT

if TYPE_CHECKING:
    from ..records import Scene

HELD = 1024**3
"""Bytes of all that a search keeps: 160,000 scenes of Sentinel-2, or a year of 2,000 tiles; 300,000 bursts of OPERA, or
three years of a country of 300,000 km2."""
LEFT_OUT = 500
"""Bytes that an item takes of which only the reason is kept."""
_SCENE, _CORNER, _ASSET = 1000, 128, 250
"""Bytes of Python's objects besides the letters that they hold."""


class Tally:
    """What the threads of one search hold together.

    Parameters
    ----------
    where : who is searched, in its line
    items, held : at most so many items, and bytes
    """

    def __init__(self, where: str, items: int = SCENES_LIMIT, held: int = HELD) -> None:
        self._where, self._most = where, (items, held)
        self._items = self._held = 0
        self._lock = threading.Lock()

    def take(self, items: int, held: int) -> None:
        """Count what is kept; numbers below 0 give it back.

        Raises
        ------
        PermanentError
            It is more than a search may hold.
        """
        with self._lock:
            self._items += items
            self._held += held
            over = self._items > self._most[0] or self._held > self._most[1]
        if over and items > 0:
            raise PermanentError(
                f"{self._where} tells of more than {self._most[0]} items or {self._most[1]} bytes of them; "
                "expected less: search a smaller area or a shorter time"
            )

    def stop(self) -> None:
        """Nobody waits for more: threads that still read pages end at their next item."""
        with self._lock:
            self._most = (0, 0)


def weight(scene: Scene) -> int:
    """Bytes that a scene takes, about."""
    letters = sum(map(len, (scene.id, scene.platform, scene.datatake)))
    assets = sum(_ASSET + len(asset.href) for asset in scene.assets.values())
    return _SCENE + _CORNER * len(scene.footprint) + letters + assets
