"""A small cube put into a spool, in a process that dies: `python spool_tiny.py TARGET [FIRST STEP]`."""

from __future__ import annotations

import datetime as dt
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tessera.cubes import PixelCube, open_spool
from tessera.geo import Grid, Window

SHAPE = (140, 6)
"""Two chunks a date."""
ABOUT = {"what": "a small cube"}
GRID: Grid = Window(31, 66_000, 560_000, SHAPE[1], SHAPE[0]).grid
PROVENANCE = {"year": 2023, "source": "test"}
DATES = {
    "s2": [dt.date(2023, 1, 5), dt.date(2023, 3, 1), dt.date(2023, 12, 31)],
    "s1_asc": [dt.date(2023, 2, 2), dt.date(2023, 2, 14)],
    "s1_desc": [dt.date(2023, 7, 1)],
}
NOTHING = ("s2", dt.date(2023, 2, 1))
"""A date without a clear pixel."""


def images_of(stack: str, day: dt.date, version: int = 0) -> dict[str, Any]:
    """What a date holds."""
    rng = np.random.default_rng([list(DATES).index(stack), day.toordinal(), version])
    if stack == "s2":
        mask = rng.integers(0, 2, SHAPE, dtype=np.uint8)
        return {"s2": rng.integers(0, 10_000, (*SHAPE, 10), dtype=np.uint16) * mask[..., None], "s2_mask": mask}
    return {stack: rng.integers(0, 9000, (*SHAPE, 2), dtype=np.int16)}


def in_memory() -> PixelCube:
    """The cube that the spool must give."""
    parts: dict[str, Any] = {}
    for stack, days in DATES.items():
        made = [images_of(stack, day) for day in days]
        parts |= {name: np.stack([images[name] for images in made]) for name in made[0]}
        parts[f"{stack}_doy"] = np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)
    return PixelCube(**parts, grid=GRID, provenance=PROVENANCE)


def build(target: Path, seed: int) -> None:
    """One run: what is not finished yet, in an order of its own, by two threads."""
    with open_spool(target, ABOUT, SHAPE) as spool:
        wanted = [NOTHING, *((stack, day) for stack, days in DATES.items() for day in days)]
        wanted = [key for key in wanted if spool.record(*key) is None]
        random.Random(seed).shuffle(wanted)

        def put(key: tuple[str, dt.date]) -> None:
            spool.put(*key, None if key == NOTHING else images_of(*key), {"day": key[1].isoformat()})

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(put, wanted))
        spool.finish(GRID, PROVENANCE)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _armed(limit: int) -> None:
    """Have this process die before its file operation `limit`, counted from 0."""
    count = 0

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return original(*args, **kwargs)

        return call

    for name in ("replace", "rename", "unlink", "mkdir", "rmdir", "write_bytes"):
        setattr(Path, name, counting(getattr(Path, name)))
    for name in ("fsync", "unlink", "rmdir"):
        setattr(os, name, counting(getattr(os, name)))
    shutil.rmtree = counting(shutil.rmtree)  # type: ignore[assignment]
    tempfile.mkdtemp = counting(tempfile.mkdtemp)


def _run(target: Path, turn: int, limit: int | None, seconds: float | None) -> int:
    child = os.fork()
    if child == 0:
        try:
            if limit is not None:
                _armed(limit)
            build(target, turn)
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _program() -> None:
    """Run until a run ends well: each dies a step later than the one before, or is killed at a random moment."""
    import zarr.codecs  # noqa: F401 - once, not in every child

    target, *numbers = sys.argv[1:]
    moments = random.Random(0)
    for turn in range(300):
        limit = int(numbers[0]) + turn * int(numbers[1]) if numbers else None
        seconds = None if numbers else moments.uniform(0.005, 0.05) + 0.005 * turn
        ended = _run(Path(target), turn, limit, seconds)
        print(ended, flush=True)
        if Path(target).exists() or ended not in (0, -signal.SIGKILL):
            break


if __name__ == "__main__":
    _program()
