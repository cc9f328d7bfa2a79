"""A client in a process of its own: tessera, or in its own environment the published one. See store.py.

store_client.py tessera|geotessera URL: then a line of JSON for each thing to do; a line of JSON answers each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


class Ours:
    """tessera, without a cache on disk."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store: Any = None

    def prepare(self) -> None:
        """Import what a first use imports."""
        import tessera
        import tessera.store.reader

        self.tessera = tessera

    def open(self) -> None:
        """One request."""
        self.store = self.tessera.open_store(self.url, cache=False)

    def points(self, points: Any, year: int) -> int:
        """How many have data."""
        found = self.store.sample_points(points, year)
        return int((found[:, 0] == found[:, 0]).sum())

    def region(self, bbox: Any, year: int) -> int:
        """Pixels of a region of one zone."""
        found = self.store.read_region(tuple(bbox), year)
        return int(found.shape[0] * found.shape[1])

    def stream(self, window: Any, year: int) -> int:
        """Pixels of a window, strip by strip."""
        from tessera.geo import Window

        return sum(part.shape[0] * part.shape[1] for part in self.store.iter_region(Window(*window), year))


class Theirs(Ours):
    """geotessera's Zarr client, which keeps metadata in a cache folder of this process's own."""

    def prepare(self) -> None:
        """Import what a first use imports."""
        import geotessera.store

        self.module = geotessera.store

    def open(self) -> None:
        """Its own way."""
        self.store = self.module.GeoTesseraZarr(self.url)

    def points(self, points: Any, year: int) -> int:
        """One point by probe, as its sample_at does, or many at once."""
        if len(points) == 1:
            return int(self.store.probe(*points[0], year, search_px=0)[1] == "valid")
        found = self.store.sample_points([tuple(point) for point in points], year, progress=False, search_px=0)
        return int((found[:, 0] == found[:, 0]).sum())

    def region(self, bbox: Any, year: int) -> int:
        """Pixels of a region of one zone."""
        found = self.store.read_region(tuple(bbox), year)[0]
        return int(found.shape[0] * found.shape[1])


def peak_mib() -> float:
    """Most memory of this process; the kernel's ru_maxrss would begin with that of the process which started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    kind, url = sys.argv[1:]
    client = {"tessera": Ours, "geotessera": Theirs}[kind](url)
    client.prepare()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        call, args = json.loads(line)
        start = time.perf_counter()
        found = getattr(client, call)(*args)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "found": found, "peak_mib": peak_mib()}), flush=True)


if __name__ == "__main__":
    main()
