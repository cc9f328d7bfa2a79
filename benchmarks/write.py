"""Time and memory of writing whole cells to a local store, beside zarr-python writing the same arrays in one run.

python benchmarks/write.py [--cells 16] [--dir DIR]

Each writer is a process of its own: cells of 1024 x 1024 pixels, 128 dims and the prefix of 16, codes that do not
compress, all pixels valid. Ours stages, hashes and syncs each cell; zarr-python puts shards in place and is synced once
at its end. The figure is megabytes of codes, prefixes, scales and counts a second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import NORTH, WEST, Cell, Window
from tessera.store import create_store

SIDE, DIMS, YEAR = 1024, 128, 2024
MODEL = ModelIdentity("benchmark", "ab" * 32, DIMS, (16, DIMS))
CELL_BYTES = SIDE * SIDE * (DIMS + 16 + 4 + 6)


def cell_window(number: int) -> Window:
    """Cells in rows of four."""
    return Cell(31, 60 + number % 4, 540 + number // 4).window


def pixels(number: int) -> Embeddings:
    """One cell's embeddings."""
    rng = np.random.default_rng(number)
    window = cell_window(number)
    codes = rng.integers(-127, 128, (SIDE, SIDE, DIMS), dtype=np.int8)
    scales = rng.uniform(0.01, 0.2, (SIDE, SIDE)).astype(np.float32)
    counts = rng.integers(0, 99, (SIDE, SIDE, 3)).astype(np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid, {"cell": number})


def write_ours(folder: Path, cells: int) -> float:
    """Seconds of `Store.write` alone."""
    store = create_store(folder, DIMS, MODEL, zones=(31,))
    spent = 0.0
    for number in range(cells):
        given = pixels(number)
        began = time.perf_counter()
        store.write(given, YEAR)
        spent += time.perf_counter() - began
        del given
    return spent


def write_zarr(folder: Path, cells: int) -> float:
    """Seconds of assigning to zarr-python's arrays, and of one sync at the end."""
    import zarr

    create_store(folder, DIMS, MODEL, zones=(31,)).write(pixels(0).crop(slice(0, 1), slice(0, 1)), YEAR)
    group: Any = zarr.open_group(folder / "utm31", mode="r+", use_consolidated=False)
    spent = 0.0
    for number in range(cells):
        given, window = pixels(number), cell_window(number)
        top, left = NORTH - window.north, window.west - WEST
        rows, cols = slice(top, top + SIDE), slice(left, left + SIDE)
        began = time.perf_counter()
        codes = np.moveaxis(given.codes, -1, 0)
        group["embeddings"][0, :, rows, cols] = codes
        group["embeddings_d16"][0, :, rows, cols] = codes[:16]
        group["scales"][0, rows, cols] = given.scales
        group["observation_counts"][0, :, rows, cols] = np.moveaxis(given.counts, -1, 0)
        spent += time.perf_counter() - began
        del given, codes
    began = time.perf_counter()
    os.sync()
    return spent + time.perf_counter() - began


def only_pixels(folder: Path, cells: int) -> float:  # noqa: ARG001 - one signature for all
    """What the data themselves take, for the memory."""
    for number in range(cells):
        pixels(number)
    return 0.0


WRITERS = {"data alone": only_pixels, "tessera": write_ours, "zarr-python": write_zarr}


def main() -> None:
    """Run each writer in a process and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--dir", type=Path, default=None, help="where to write, a temporary folder where left out")
    parser.add_argument("--one", choices=WRITERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        seconds = WRITERS[given.one](given.dir, given.cells)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
        print(json.dumps({"seconds": seconds, "peak_mb": peak}))
        return
    found = {}
    for name in WRITERS:
        with tempfile.TemporaryDirectory(dir=given.dir) as folder:
            target = Path(folder) / "store"
            command = [sys.executable, __file__, "--one", name, "--dir", str(target), "--cells", str(given.cells)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name] = json.loads(done.stdout)
            shutil.rmtree(target, ignore_errors=True)
    size = given.cells * CELL_BYTES / 1e6
    print(f"{given.cells} cells, {size:,.0f} MB")
    for name, took in found.items():
        rate = f"{size / took['seconds']:7.0f} MB/s  {took['seconds']:6.1f} s" if took["seconds"] else " " * 22
        print(f"{name:12} {rate}  peak {took['peak_mb']:5.0f} MB")
    print(f"ratio of rates {found['zarr-python']['seconds'] / found['tessera']['seconds']:.2f}")


if __name__ == "__main__":
    main()
