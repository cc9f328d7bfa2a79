"""An area over two by two small cells, with a builder that works in steps; as a program, runs that die at every step.

`area_tiny.py STORE START STEP` dies before file operation START, then, run again, before START + STEP, and so on until
a run comes to its end; `area_tiny.py STORE` is killed from outside after ever more time. Each prints how a run ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scale_tiny import BLOCK_PIXELS, YEAR, _armed, make_encoder

from tessera.base import write_atomic
from tessera.cubes import PixelCube, write_cube
from tessera.encode import row_blocks as blocks_module
from tessera.geo import Cell, Window
from tessera.scale import CubeSource, EmbedReport, How, Reporter, embed_area
from tessera.store import Store, open_store

IDENTITY: dict[str, Any] = {"period": ["2023-04-01", "2023-09-30"], "source": "near,far", "recipe": {"day": "solar"}}
_CORNER = Cell(31, 2000, 17_500, 32).window
WINDOW = Window(31, _CORNER.west + 10, _CORNER.north + 12, 40, 34)
"""Over cells e2000 and e2001, n17500 and n17501, and not the whole of any of them."""
CELLS = ("utm31_e2000_n17501", "utm31_e2001_n17501", "utm31_e2000_n17500", "utm31_e2001_n17500")
STEPS = 3


def observed(window: Window, seed: int = 0) -> PixelCube:
    """The observations of a part of `WINDOW`."""
    height, width = WINDOW.shape
    rng = np.random.default_rng(seed)
    radar = rng.integers(1, 9000, (2, 1, height, width, 2)).astype(np.int16)
    radar[rng.random((2, 1, height, width)) < 0.5] = 0
    whole = PixelCube(
        s2=rng.integers(1, 9000, (3, height, width, 10), dtype=np.uint16),
        s2_mask=(rng.random((3, height, width)) < 0.6).astype(np.uint8),
        s2_doy=np.asarray([100, 140, 240], np.int16),
        s1_asc=radar[0],
        s1_asc_doy=np.asarray([110], np.int16),
        s1_desc=radar[1],
        s1_desc_doy=np.asarray([111], np.int16),
        grid=WINDOW.grid,
        provenance={"year": YEAR, **IDENTITY, "scenes_found": 5},
    )
    rows, cols = window.slices_in(WINDOW)
    return whole.window(rows.start, rows.stop, cols.start, cols.stop)


@dataclass
class Builder:
    """Builds in steps that it keeps in <out>.part, and notes the windows that it was asked for."""

    seed: int = 0
    windows: list[Window] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    before: Callable[[Window, int], None] = lambda window, step: None

    def __call__(self, window: Window, out: Path, progress: Any) -> PixelCube:
        assert not out.exists()
        self.windows.append(window)
        part = out.with_name(f"{out.name}.part")
        for step in range(STEPS):
            self.before(window, step)
            if not (part / str(step)).exists():
                write_atomic(part / str(step), bytes(100))
                self.steps.append(step)
            progress(step + 1, STEPS)
        cube = write_cube(observed(window, self.seed), out)
        shutil.rmtree(part)
        return cube


def take(store: Store, build: Any, area: object = WINDOW, **more: Any) -> EmbedReport:
    """Embed an area; what is given besides goes to where `embed_area` takes it."""
    encoder = more.pop("encoder", None) or make_encoder()
    options = more.pop("options", None) or encoder.options()
    told = {name: more.pop(name) for name in ("asked", "scenes") if name in more}
    source = CubeSource(build, more.pop("identity", IDENTITY), **told)
    reporter = Reporter(**{name: more.pop(name) for name in ("reading", "embedding", "cell") if name in more})
    year = more.pop("year", YEAR)
    return embed_area(store, area, year, source, How(encoder, options, **more), reporter)


def _run(store: str, limit: int | None, seconds: float | None) -> int:
    child = os.fork()
    if child == 0:
        if limit is not None:
            _armed(limit)
        report = take(open_store(store), Builder())
        os._exit(0 if report.written + report.skipped == len(CELLS) else 98)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _program() -> None:
    import numcodecs  # noqa: F401 - once for all children
    import shapely  # noqa: F401
    import zarr  # noqa: F401

    torch.set_num_threads(1)
    blocks_module._BLOCK_PIXELS = BLOCK_PIXELS
    store, *numbers = sys.argv[1:]
    for turn in range(400):
        limit = int(numbers[0]) + turn * int(numbers[1]) if numbers else None
        ended = _run(store, limit, None if numbers else 0.1 * (turn + 1))
        print(ended, flush=True)
        if ended != -signal.SIGKILL:
            break


if __name__ == "__main__":
    _program()
