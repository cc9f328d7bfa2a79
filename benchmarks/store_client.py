"""A client in a process of its own: tessera, or in its own environment the published one. See store.py.

store_client.py tessera|geotessera URL: then a line of JSON for each thing to do; a line of JSON answers each.
"""

from __future__ import annotations

import hashlib
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
        import tessera.shards.reader

        self.tessera = tessera

    def open(self, cached: bool = False) -> None:
        """One request; the cache's folder is this process's own."""
        self.store = self.tessera.open_store(self.url, cache=cached)

    def points(self, points: Any, year: int) -> dict[str, Any]:
        """How many have data, and what they are."""
        found = self.store.sample_points(points, year)
        return {"found": int((found[:, 0] == found[:, 0]).sum()), "values": digest(found)}

    def region(self, bbox: Any, year: int, inner: Any) -> dict[str, Any]:
        """Pixels of a region of one zone, and where it lies; `inner` is a window in it for `check`."""
        found = self.store.read_region(tuple(bbox), year)
        self.last, self.corner, self.inner = found.values, found.attrs["transform"], inner
        return shape(found.shape, found.attrs["transform"])

    def check(self) -> dict[str, Any]:
        """What the last region held in its inner window: clients differ by a row at the edges. It is not timed."""
        west, north, width, height = self.inner
        row, col = round(self.corner[5] / 10) - north, west - round(self.corner[2] / 10)
        return {"found": 0, "values": digest(self.last[row : row + height, col : col + width])}

    def stream(self, window: Any, year: int) -> dict[str, Any]:
        """Pixels of a window, strip by strip."""
        from tessera.geo import Window

        parts = self.store.iter_region(Window(*window), year)
        return {"found": sum(part.shape[0] * part.shape[1] for part in parts)}


class Theirs(Ours):
    """geotessera's Zarr client, which keeps metadata in a cache folder where it is asked to."""

    def prepare(self) -> None:
        """Import what a first use imports."""
        import geotessera.store

        self.module = geotessera.store

    def open(self, cached: bool = False) -> None:
        """Its own way."""
        self.store = self.module.GeoTesseraZarr(self.url, cache_dir=str(Path.home() / "cache") if cached else None)

    def points(self, points: Any, year: int) -> dict[str, Any]:
        """One point by itself, or many at once."""
        if len(points) == 1:
            found = self.store.sample_at(*points[0], year, search_px=0)[None]
        else:
            found = self.store.sample_points([tuple(point) for point in points], year, progress=False, search_px=0)
        return {"found": int((found[:, 0] == found[:, 0]).sum()), "values": digest(found)}

    def region(self, bbox: Any, year: int, inner: Any) -> dict[str, Any]:
        """Pixels of a region of one zone, and where it lies; `inner` is a window in it for `check`."""
        found, transform, _ = self.store.read_region(tuple(bbox), year)
        self.last, self.corner, self.inner = found, transform, inner
        return shape(found.shape, transform)


def digest(values: Any) -> str:
    """SHA-256 of float32 vectors that are all valid."""
    return hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()


def shape(size: Any, transform: Any) -> dict[str, Any]:
    """Pixels of a region, and its west, north, width and height in pixels."""
    west, north = round(tuple(transform)[2] / 10), round(tuple(transform)[5] / 10)
    return {"found": int(size[0] * size[1]), "window": [west, north, int(size[1]), int(size[0])]}


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
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), **(found or {"found": 0})}), flush=True)


if __name__ == "__main__":
    main()
