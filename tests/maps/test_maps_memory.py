from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
from pathlib import Path
from typing import Any
import numpy as np
sys.path.insert(0, sys.argv[1])
from maps_helpers import YEAR, make_head
from tessera.base import silent
from tessera.embeddings import CodedVectors
from tessera.geo import Window
from tessera.maps import write_map
from tessera.testing import SMALL_MODEL

class MadeUp:
    years, dims, model = (YEAR,), 8, SMALL_MODEL
    def region_grid(self, area):
        return area
    def state(self, *_):
        return "made up"
    def iter_codes(self, *_, within):
        rng = np.random.default_rng(within.north)
        fields = rng.integers(-90, 90, (within.height // 8 + 1, within.width // 8 + 1, 8))
        codes = np.repeat(np.repeat(fields, 8, 0), 8, 1)[: within.height, : within.width]
        noisy = rng.random(within.shape) < 0.05
        codes[noisy] = rng.integers(-90, 90, (int(noisy.sum()), 8))
        yield CodedVectors(codes.astype(np.int8), np.full(within.shape, 0.5, np.float32))

window = Window(31, 64500, 561000, 256, int(sys.argv[3]))
write_map(
    make_head(), MadeUp(), window, None, Path(sys.argv[2]) / "map.tif", probabilities=True, min_area_ha=0.2, png=False,
    progress=silent,
)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_height_of_the_area(tmp_path: Path) -> None:
    """A raster of int64 of the whole would take 16 MB more, and its codes as many."""
    peaks = []
    for height in (512, 8192):
        folder = tmp_path / str(height)
        folder.mkdir()
        command = [sys.executable, "-c", RUN, str(Path(__file__).parent), str(folder), str(height)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1000)
    assert peaks[1] - peaks[0] < 14
