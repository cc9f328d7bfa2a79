"""Limits on the items and memory of a search, however many pages a provider sends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tessera.net import PermanentError

from ..records import SCENES_LIMIT

if TYPE_CHECKING:
    from ..records import Scene

HELD = 1024**3
"""Bytes of all that a search keeps: 160,000 Sentinel-2 scenes (a year of 2,000 tiles), or 300,000 OPERA bursts (three
years of a country of 300,000 km2)."""
LEFT_OUT = 500
"""Bytes of an item that is left out, of which only the reason is kept."""
_SCENE, _CORNER, _ASSET = 1000, 128, 250
"""Bytes of the Python objects, without their text."""


class Tally:
    """What the threads of one search keep in total: at most `items` items of `held` bytes."""

    def __init__(self, where: str, items: int = SCENES_LIMIT, held: int = HELD) -> None:
        self._where, self._most = where, (items, held)
        self._items = self._held = 0
        self._lock = threading.Lock()

    def take(self, items: int, held: int) -> None:
        """Add to the counts; negative numbers subtract. A search beyond its limits is a `PermanentError`."""
        with self._lock:
            self._items += items
            self._held += held
            over = self._items > self._most[0] or self._held > self._most[1]
        if over and items > 0:
            raise PermanentError(
                f"{self._where} returns more than {self._most[0]} items or {self._most[1]} bytes of them; "
                "search a smaller area or a shorter time"
            )

    def stop(self) -> None:
        """End the search: threads that still read pages stop at their next item."""
        with self._lock:
            self._most = (0, 0)


def weight(scene: Scene) -> int:
    """Approximate bytes of a scene in memory."""
    letters = sum(map(len, (scene.id, scene.platform, scene.datatake)))
    assets = sum(_ASSET + len(asset.href) for asset in scene.assets.values())
    return _SCENE + _CORNER * len(scene.footprint) + letters + assets
