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

RUNS = {"whole": "=1000000000+1", "every 5th": "=0+5", "every 13th": "=9+13", "timed": ""}
"""Store -> where its runs die, see `scale_tiny`; the first one is written without a stop."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]]]:
    """A folder with the stores, and how the runs ended that each took until one came to its end."""
    folder = tmp_path_factory.mktemp("killed")
    write_cube(make_cube(), folder / "cube.zarr")
    make_model(folder / "tiny.safetensors")
    encoder = load_encoder(folder / "tiny.safetensors", device="cpu")
    for store in RUNS:
        make_store(folder / store, encoder)
    given = [f"{folder / store}{numbers}" for store, numbers in RUNS.items()]
    command = [sys.executable, scale_tiny.__file__, str(folder / "cube.zarr"), str(folder / "tiny.safetensors"), *given]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert "Traceback" not in done.stderr
    lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    return folder, {store: [int(ended) for name, ended in lines if name == store] for store in RUNS}


def test_a_run_without_a_stop_leaves_nothing_behind(work: tuple[Path, dict[str, list[int]]]) -> None:
    folder, ended = work
    assert ended["whole"] == [0]
    assert leftovers(folder / "whole") == []


@pytest.mark.parametrize("store", ["every 5th", "every 13th"])
def test_dying_before_any_file_operation_ends_with_the_same_bytes(
    work: tuple[Path, dict[str, list[int]]], store: str
) -> None:
    folder, runs = work
    ended = runs[store]
    assert ended == [-9] * (len(ended) - 1) + [0]
    assert len(ended) > 5
    assert files_of(folder / store) == files_of(folder / "whole")
    assert leftovers(folder / store) == []


def test_dying_at_any_time_ends_with_the_same_bytes(work: tuple[Path, dict[str, list[int]]]) -> None:
    folder, ended = work
    assert ended["timed"][-1] == 0
    assert ended["timed"].count(-9) >= 1
    assert files_of(folder / "timed") == files_of(folder / "whole")
    assert leftovers(folder / "timed") == []
