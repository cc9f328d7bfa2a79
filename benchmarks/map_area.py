"""Time and peak memory of a map of many cells, each kind of map in a process of its own.

    python benchmarks/map_area.py --cells 10        # 10 x 10 cells: 105 million pixels of 128 dims

The store is made up: fields with noise, the same in every cell, so that nothing but the map is measured. Peak memory is
VmHWM of the process, with Python, numpy and GDAL.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import silent
from tessera.embeddings import CodedVectors, ModelIdentity
from tessera.geo import CELL_SIZE, Window
from tessera.heads import Head, HeadInput
from tessera.learners import LinearModel
from tessera.maps import ramp, write_map

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = ModelIdentity("made-up", "ab" * 32, 128)
YEAR, CLASSES, FIELD, WRONG = 2024, 10, 24, 0.05
"""Of the fields: pixels a side, and the share of pixels that look like another class."""
KINDS: dict[str, dict[str, Any]] = {
    "map": {},
    "map, probabilities, uncertainty": {"probabilities": True, "uncertainty": True},
    "map, 0.3 ha, polygons": {"min_area_ha": 0.3, "polygons": "map.gpkg"},
}


class MadeUp:
    """Fields of one class each, noise and wrong pixels; every cell holds the same."""

    years, dims, model = (YEAR,), MODEL.dims, MODEL

    def __init__(self, noise: float = 60.0) -> None:
        rng = np.random.default_rng(0)
        self.centres = rng.integers(-60, 60, (CLASSES, self.dims)).astype(np.int8)
        rows, cols = np.indices((CELL_SIZE, CELL_SIZE)) // FIELD
        fields = rng.integers(0, CLASSES, (CELL_SIZE, CELL_SIZE))[rows, cols]
        wrong = rng.random(fields.shape) < WRONG
        fields[wrong] = rng.integers(0, CLASSES, int(wrong.sum()))
        self.codes = np.empty((CELL_SIZE, CELL_SIZE, self.dims), dtype=np.int8)
        for start in range(0, CELL_SIZE, 64):
            part = self.centres[fields[start : start + 64]].astype(np.int16)
            part += rng.normal(0, noise, part.shape).astype(np.int16)
            self.codes[start : start + 64] = np.clip(part, -127, 127)
        self.scales = np.full((CELL_SIZE, CELL_SIZE), 0.01, dtype=np.float32)

    def region_grid(self, area: Window) -> Window:
        return area

    def state(self, *_: object) -> str:
        return "made up"

    def iter_codes(self, *_: object, within: Window) -> Iterator[CodedVectors]:
        window = within
        down = np.arange(-window.north, -window.south) % CELL_SIZE
        right = np.arange(window.west, window.east) % CELL_SIZE
        yield CodedVectors(self.codes[np.ix_(down, right)], self.scales[np.ix_(down, right)])


def head_of(source: MadeUp) -> Head:
    """Nearest centre, as a linear head."""
    centres = source.centres.astype(np.float32)
    mean, std = np.zeros(128, np.float32), np.ones(128, np.float32)
    bias = -0.5 * (centres**2).sum(axis=1) * np.float32(0.01)
    learnt = LinearModel(CLASSES, centres, bias, mean, std)
    names = tuple(f"class {number}" for number in range(CLASSES))
    return Head("linear", learnt, names, None, "class", (HeadInput(YEAR, 128, MODEL),), ramp(CLASSES), {})


def measure(kind: str, cells: int) -> None:
    """Make one map and print what it took."""
    source = MadeUp()
    side = cells * CELL_SIZE
    window = Window(31, 15 * CELL_SIZE + 100, 550 * CELL_SIZE + 100, side, side)
    options = dict(KINDS[kind])
    with tempfile.TemporaryDirectory() as folder:
        if "polygons" in options:
            options["polygons"] = Path(folder) / options["polygons"]
        start = time.perf_counter()
        made_up: Any = source
        write_map(head_of(source), made_up, window, None, Path(folder) / "map.tif", progress=silent, **options)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1e6
    pixels = side**2 / 1e6
    print(f"| {kind} | {pixels:.0f} | {seconds:.0f} | {pixels / seconds:.2f} | {peak:.2f} | {size / 1e6:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=10, help="cells a side")
    parser.add_argument("--kind", choices=list(KINDS))
    given = parser.parse_args()
    if given.kind:
        measure(given.kind, given.cells)
        return
    print("| files | million pixels | seconds | million pixels a second | peak GB | MB written |")
    print("|---|---|---|---|---|---|", flush=True)
    for kind in KINDS:
        command = [sys.executable, __file__, "--cells", str(given.cells), "--kind", kind]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
