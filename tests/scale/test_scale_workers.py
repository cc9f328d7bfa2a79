"""Several processes: the same bytes as one, one line where a process dies or fails, and the next run finishes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from scale_tiny import YEAR, files_of, leftovers, make_cube, make_model, make_store

from tessera.base import TesseraError
from tessera.cubes import PixelCube, open_cube, write_cube
from tessera.encode import Encoder, load_encoder
from tessera.scale import Workers, embed_cube

T = TypeVar("T")
SHARD = 256


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A cube of four blocks in two cells, a model, and a store that one process wrote."""
    folder = tmp_path_factory.mktemp("workers")
    write_cube(make_cube(SHARD, 330, 200), folder / "cube.zarr")
    make_model(folder / "tiny.safetensors")
    encoder, cube = opened(folder)
    embed_cube(make_store(folder / "whole", encoder, SHARD), encoder, cube, YEAR, encoder.options())
    return folder


def opened(folder: Path) -> tuple[Encoder, PixelCube]:
    return load_encoder(folder / "tiny.safetensors", device="cpu"), open_cube(folder / "cube.zarr")


def workers_of(folder: Path, model: str = "tiny.safetensors") -> Workers:
    return Workers(folder / "cube.zarr", str(folder / model), None, "fp32", ("cpu", "cpu"))


def test_two_processes_write_the_bytes_of_one(work: Path) -> None:
    encoder, cube = opened(work)
    store = make_store(work / "two", encoder, SHARD)
    seen: list[tuple[int, int]] = []
    options = encoder.options()
    done = embed_cube(
        store, encoder, cube, YEAR, options, workers=workers_of(work), progress=lambda *both: seen.append(both)
    )
    assert done == (2, 0)
    assert seen[-1] == (66_000, 66_000)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 4
    assert files_of(work / "two") == files_of(work / "whole")
    assert leftovers(work / "two") == []
    assert multiprocessing.active_children() == []


def test_workers_that_die_are_told_in_one_line_and_the_next_run_finishes(work: Path) -> None:
    encoder, cube = opened(work)
    store = make_store(work / "dead", encoder, SHARD)

    def kill(done: int, total: int) -> None:
        if done:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)

    with pytest.raises(TesseraError, match=r"the worker on cpu ended with signal 9 .* run the same command") as caught:
        embed_cube(store, encoder, cube, YEAR, encoder.options(), workers=workers_of(work), progress=kill)
    assert "\n" not in str(caught.value)
    assert multiprocessing.active_children() == []
    embed_cube(store, encoder, cube, YEAR, encoder.options())
    assert files_of(work / "dead") == files_of(work / "whole")
    assert leftovers(work / "dead") == []


def test_an_error_in_a_worker_is_passed_on(work: Path) -> None:
    encoder, cube = opened(work)
    store = make_store(work / "wrong", encoder, SHARD)
    with pytest.raises(TesseraError, match=r"worker on cpu: .*none\.safetensors"):
        embed_cube(store, encoder, cube, YEAR, encoder.options(), workers=workers_of(work, "none.safetensors"))
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the processes of Linux from /proc")
def test_workers_end_when_the_process_that_started_them_was_killed(work: Path) -> None:
    encoder, _ = opened(work)
    command = [sys.executable, "-m", "tessera", "embed", str(work / "cube.zarr"), "-o", str(work / "orphans")]
    make_store(work / "orphans", encoder, SHARD)
    command += ["--model", str(work / "tiny.safetensors"), "--device", "cpu", "--precision", "fp32", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        children = _wait(lambda: found if len(found := _workers_of(process.pid)) == 2 else None, 60)
        process.kill()
    assert children is not None
    assert _wait(lambda: not any(Path(f"/proc/{child}").exists() for child in children) or None, 60)


def _workers_of(parent: int) -> list[int]:
    """Children that multiprocessing started to work, not the one that tracks resources."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and b"spawn_main" in (stat.parent / "cmdline").read_bytes():
                found.append(int(stat.parent.name))
    return found


def _wait(ready: Callable[[], T | None], seconds: float) -> T | None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (value := ready()) is not None:
            return value
        time.sleep(0.1)
    return None
