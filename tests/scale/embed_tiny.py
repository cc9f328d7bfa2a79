"""Runs of `tessera.embed` in Python, each a process of its own, forked from one that has imported all.

`embed_tiny.py SCENES MODEL STORE=killed STORE=armed:STEP STORE=together:COUNT` makes each store in its way: killed from
outside at random moments, dying before file operation 0, STEP, 2 x STEP and so on, or by several runs that start at the
same time. A line is printed for each run: the store's name and how it ended.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from scale_tiny import _armed

import tessera
from tessera.geo import Cell, Window

_CORNER = Cell(31, 64, 548).window
SCENES = Window(31, _CORNER.west - 6, _CORNER.north + 4, 14, 10)
"""The corner of four cells."""
AREA = tuple(round(value, 6) for value in SCENES.lonlat_bounds)
YEAR = 2021


def embed(scenes: Path, model: Path, store: Path, **more: Any) -> tessera.EmbedReport:
    given: dict[str, Any] = {
        "source": str(scenes),
        "out": store,
        "model": str(model),
        "device": "cpu",
        "precision": "fp32",
    }
    return tessera.embed(AREA, YEAR, **given | more)


def _begin(scenes: Path, model: Path, store: Path, limit: int | None = None) -> int:
    child = os.fork()
    if child == 0:
        if limit is not None:
            _armed(limit)
        report = embed(scenes, model, store)
        os._exit(0 if report.written + report.skipped == len(report.outcomes) else 98)
    return child


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _make(scenes: Path, model: Path, store: Path, how: str) -> None:
    way, _, number = how.partition(":")
    if way == "together":
        for child in [_begin(scenes, model, store) for _ in range(int(number))]:
            print(store.name, _ended(child), flush=True)
        return
    moments = random.Random(16)
    for turn in range(400):
        child = _begin(scenes, model, store, turn * int(number) if way == "armed" else None)
        if way == "killed":
            time.sleep(moments.uniform(0.0, 0.1 * 1.5**turn) if turn else 0.0)
            os.kill(child, signal.SIGKILL)
        ended = _ended(child)
        print(store.name, ended, flush=True)
        if ended != -signal.SIGKILL:
            return


def _program() -> None:
    # once for all children: what a run imports as it goes takes most of its time
    import numcodecs  # noqa: F401
    import obstore  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pydantic  # noqa: F401
    import pyproj  # noqa: F401
    import safetensors.torch  # noqa: F401
    import shapely  # noqa: F401
    import zarr  # noqa: F401

    import tessera.rasters
    import tessera.scale  # noqa: F401

    torch.set_num_threads(1)
    scenes, model, *stores = sys.argv[1:]
    for given in stores:
        path, _, how = given.partition("=")
        _make(Path(scenes), Path(model), Path(path), how)


if __name__ == "__main__":
    _program()
