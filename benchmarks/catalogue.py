"""The manifest and STAC of many cells: seconds from nothing, with nothing changed and with one record changed.

python benchmarks/catalogue.py [--cells 50000]

The commit records are made up, of the size that real ones have; there are no shards, which neither looks at.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.catalogue import read_manifest, write_manifest, write_stac
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Window
from tessera.store import Store, create_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MODEL = ModelIdentity("random", "0" * 64, 128, (16, 128))
YEAR = 2023
ARRAYS = ("embeddings", "embeddings_d16", "observation_counts", "scales")


def dates(rng: np.random.Generator, count: int) -> list[str]:
    """Days of a year."""
    first = datetime.date(YEAR, 1, 1)
    return [(first + datetime.timedelta(int(day))).isoformat() for day in np.unique(rng.integers(0, 365, count))]


def record_of(cell: Cell, rng: np.random.Generator) -> dict[str, Any]:
    """A record as a cell of a real run has it."""

    def digest() -> str:
        return rng.bytes(32).hex()

    window = cell.window
    provenance = {
        "source": "earth-search",
        "s2_dates": dates(rng, 90),
        "s1_asc_dates": dates(rng, 60),
        "s1_desc_dates": dates(rng, 60),
        "scenes_used": 220,
        "scenes_lost": 0,
        "cube_sha256": digest(),
    }
    place = [window.west, window.north, window.width, window.height]
    return {
        "format": "tessera-commit",
        "version": 1,
        "cell": cell.name,
        "year": YEAR,
        "model": MODEL.sha256,
        "objects": {
            name: {
                "key": f"utm{cell.zone}/{name}/c/0/{cell.north}/{cell.east}",
                "bytes": int(rng.integers(10**6, 10**8)),
                "sha256": digest(),
            }
            for name in ARRAYS
        },
        "chunks": "ff" * 128,
        "pixels": {"valid": 1_048_000, "no_data": 576, "not_written": 0},
        "inputs": [{"window": place, "intact": True, "provenance": provenance}],
        "software": "0",
    }


def cells(count: int) -> Iterator[Cell]:
    """Cells of three zones, from the south of the northern half."""
    per_zone = -(-count // 3)
    for number in range(count):
        zone, place = divmod(number, per_zone)
        yield Cell(31 + zone, 15 + place % 68, 200 + place // 68)


def made(folder: Path, count: int) -> Store:
    """A store with so many records, which look old."""
    store = create_store(folder, 128, MODEL, zones=(31, 32, 33))
    window = Window(31, 15 * 1024, 201 * 1024, 1, 1)
    blank = np.zeros((1, 1, 128), np.int8), np.full((1, 1), np.nan, np.float32), np.zeros((1, 1, 3), np.uint16)
    store.write(Embeddings(*blank, MODEL, window.grid), YEAR)
    rng = np.random.default_rng(0)
    past = time.time() - 100
    for cell in cells(count):
        path = folder / "commits" / str(YEAR) / f"{cell.name}.json"
        path.write_text(json.dumps(record_of(cell, rng), indent=1, sort_keys=True))
        os.utime(path, (past, past))
    return store


def told(what: str, act: Callable[[], str]) -> None:
    """One line of the table."""
    start = time.perf_counter()
    text = act()
    print(f"| {what} | {time.perf_counter() - start:.1f} s | {text} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=50_000)
    count = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as temporary:
        store = made(Path(temporary) / "store", count)

        def manifest() -> str:
            written = write_manifest(store)
            return f"{written.rows:,} rows, {written.read:,} records read, {written.path.stat().st_size / 1e6:.1f} MB"

        def stac() -> str:
            written = write_stac(store)
            return f"{written.items:,} items, {written.changed:,} files changed"

        print("| | time | |\n|---|---|---|")
        told("manifest from nothing", manifest)
        told("nothing changed", manifest)
        os.utime(next((Path(temporary) / "store" / "commits" / str(YEAR)).iterdir()))
        told("one record changed", manifest)
        told("read whole", lambda: f"{len(read_manifest(store)):,} rows")
        told("read an area", lambda: f"{len(read_manifest(store, area=(3.0, 20.0, 3.4, 20.4))):,} rows")
        told("STAC from nothing", stac)
        told("STAC unchanged", stac)


if __name__ == "__main__":
    main()
