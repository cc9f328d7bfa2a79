"""Killed at any moment and run again, `tessera embed` ends with the same bytes and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import scale_tiny
from scale_tiny import files_of, leftovers, make_cube, make_model, make_store

from tessera.cubes import write_cube
from tessera.encode import load_encoder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cube, a model, and a store that was written without a stop."""
    folder = tmp_path_factory.mktemp("killed")
    write_cube(make_cube(), folder / "cube.zarr")
    make_model(folder / "tiny.safetensors")
    assert run(folder, "whole", 10**9, 1) == [0]
    assert leftovers(folder / "whole") == []
    return folder


def run(folder: Path, store: str, *numbers: int) -> list[int]:
    """How the runs ended that it took until one came to its end."""
    make_store(folder / store, load_encoder(folder / "tiny.safetensors", device="cpu"))
    paths = [folder / "cube.zarr", folder / "tiny.safetensors", folder / store]
    command = [sys.executable, scale_tiny.__file__, *map(str, paths), *map(str, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "Traceback" not in done.stderr
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize(("start", "step"), [(0, 5), (9, 13)])
def test_dying_before_any_file_operation_ends_with_the_same_bytes(work: Path, start: int, step: int) -> None:
    store = f"s{start}"
    ended = run(work, store, start, step)
    assert ended == [-9] * (len(ended) - 1) + [0]
    assert len(ended) > 5
    assert files_of(work / store) == files_of(work / "whole")
    assert leftovers(work / store) == []


def test_dying_at_any_time_ends_with_the_same_bytes(work: Path) -> None:
    ended = run(work, "timed")
    assert ended[-1] == 0
    assert ended.count(-9) >= 1
    assert files_of(work / "timed") == files_of(work / "whole")
    assert leftovers(work / "timed") == []
