"""Cubes built by processes that die: `python resume_tiny.py TARGET SOURCE whole|files|reads|timed [FIRST STEP]`.

A line of JSON on standard output for each run: how it ended, and which files of days it read that were finished before.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tessera.geo import Window
from tessera.scenes import _files, build_cube

WINDOW = Window(31, 64 * 1024 + 3, 548 * 1024 - 5, 30, 20)
YEAR = 2021
_DAY = re.compile(r"_(20\d\d)(\d\d)(\d\d)T")


def day_of(path: str) -> str:
    """The day that a file's path names, such as "2021-04-09"."""
    found = _DAY.search(path)
    assert found is not None, path
    return "-".join(found.groups())


def finished(target: Path) -> set[str]:
    """Days that the work folder of a cube has whole; no two stacks of the test's scenes share one."""
    return {folder.name for folder in target.with_name(f"{target.name}.part").glob("dates/*/*")}


class _Deadly:
    """Counts calls; this process dies before call `limit`, counted from 0."""

    def __init__(self, limit: int) -> None:
        self._limit, self._count, self._lock = limit, 0, threading.Lock()

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                if self._count >= self._limit:
                    os.kill(os.getpid(), signal.SIGKILL)
                self._count += 1
            return original(*args, **kwargs)

        return call


def _arm(what: str, limit: int) -> None:
    deadly = _Deadly(limit)
    if what == "reads":
        _files.RemoteFile.read = deadly(_files.RemoteFile.read)  # type: ignore[method-assign]
        return
    for name in ("replace", "rename", "unlink", "mkdir", "rmdir", "write_bytes"):
        setattr(Path, name, deadly(getattr(Path, name)))
    for name in ("replace", "rename", "fsync", "unlink", "rmdir"):
        setattr(os, name, deadly(getattr(os, name)))
    shutil.rmtree = deadly(shutil.rmtree)  # type: ignore[assignment]
    tempfile.mkdtemp = deadly(tempfile.mkdtemp)


def _log_reads(log: Path) -> None:
    original = _files.RemoteFile.read

    def read(self: Any, start: int, stop: int) -> bytes:
        with log.open("a") as file:
            file.write(f"{self.name}\n")
        return original(self, start, stop)

    _files.RemoteFile.read = read  # type: ignore[method-assign]


def _run(target: Path, source: str, what: str, limit: int, seconds: float | None) -> dict[str, Any]:
    log = target.with_name(f"{target.name}.log")
    log.write_text("")
    before = finished(target)
    child = os.fork()
    if child == 0:
        try:
            _log_reads(log)
            if what in ("files", "reads"):
                _arm(what, limit)
            build_cube(WINDOW, YEAR, source=source, out=target)
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    read = log.read_text().split()
    return {"ended": ended, "finished": len(before), "reads": len(read), "again": sorted(before & {*map(day_of, read)})}


def _program() -> None:
    import pandas  # noqa: F401 - once, not in every child
    import pyarrow.parquet  # noqa: F401
    import pyproj  # noqa: F401
    import rasterio  # noqa: F401
    import shapely  # noqa: F401
    import urllib3  # noqa: F401
    import zarr.codecs  # noqa: F401

    from tessera.rasters import crop as _crop  # noqa: F401
    from tessera.scenes.sources import stac_api  # noqa: F401

    path, source, what, *numbers = sys.argv[1:]
    target, (first, step) = Path(path), [*map(int, numbers), 0, 0][:2]
    moments = random.Random(first)
    for turn in range(200):
        seconds = moments.uniform(0.1, 0.2) * 1.3**turn if what == "timed" else None
        told = _run(target, source, what, first + turn * step, seconds)
        print(json.dumps(told), flush=True)
        if what == "whole" or not step or target.exists() or told["ended"] not in (0, -signal.SIGKILL):
            break


if __name__ == "__main__":
    _program()
