"""A cube over two small cells and a tiny model; as a program, runs of `tessera embed` that die at every step.

`scale_tiny.py CUBE MODEL STORE=START+STEP` dies before file operation START, then, run again, before START + STEP, and
so on until a run comes to its end; `scale_tiny.py CUBE MODEL STORE` is killed from outside after ever more time.
Several stores may be given. Each run is a process of its own, forked from one that has imported all, and prints a line:
the name of its store, and how it ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tessera.cubes import PixelCube
from tessera.embeddings import ModelIdentity
from tessera.encode import Encoder
from tessera.encode import row_blocks as blocks_module
from tessera.geo import Cell, Window
from tessera.models import FAMILIES, STUDENT_SPEC, Checkpoint, Shape, write_checkpoint
from tessera.shards import Layout
from tessera.store import Store, create_store

SHAPE = Shape(2, 1, 2, 8, 16)
SPEC = replace(STUDENT_SPEC, dims=16, prefix_dims=(8, 16))
BLOCK_PIXELS = 144
YEAR = 2023


def make_cube(shard: int = 32, height: int = 40, width: int = 24, seed: int = 0) -> PixelCube:
    """A cube over two cells, one above the other, with pixels without data."""
    rng = np.random.default_rng(seed)
    corner = Cell(31, 64_000 // shard, 560_000 // shard, shard).window
    window = Window(31, corner.west + 3, corner.north + height // 3, width, height)
    mask = (rng.random((3, height, width)) < 0.6).astype(np.uint8)
    radar = rng.integers(1, 9000, (2, 1, height, width, 2)).astype(np.int16)
    radar[rng.random((2, 1, height, width)) < 0.5] = 0
    return PixelCube(
        s2=rng.integers(1, 9000, (3, height, width, 10), dtype=np.uint16),
        s2_mask=mask,
        s2_doy=np.asarray([40, 140, 240], np.int16),
        s1_asc=radar[0],
        s1_asc_doy=np.asarray([90], np.int16),
        s1_desc=radar[1],
        s1_desc_doy=np.asarray([91], np.int16),
        grid=window.grid,
        provenance={"year": YEAR},
    )


def make_model(path: Path, seed: int = 0) -> Path:
    rng = torch.Generator().manual_seed(seed)
    sizes = FAMILIES["v2-student"].shapes_of(SHAPE)
    tensors = {key: torch.randn(size, generator=rng) for key, size in sizes.items()}
    write_checkpoint(Checkpoint(SHAPE, SPEC, tensors, "tiny"), path)
    return path


def make_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    network = FAMILIES["v2-student"].build(SHAPE, 0.0).eval().requires_grad_(False)
    return Encoder(network, SPEC, ModelIdentity("tiny", f"{seed:02}" * 32, 16, (8, 16)))


def make_store(path: Path, model: Any, shard: int = 32, dims: int = 16) -> Store:
    return create_store(path, dims, model, zones=(31,), layout=Layout(dims, (), shard, chunk=16))


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of a store, bookkeeping too, but for locks and the hidden parts that killed writes left."""
    found = {str(path.relative_to(store)): path for path in sorted(store.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not _is_trace(name)}


def _is_trace(name: str) -> bool:
    return name.startswith(".tessera/locks/") or (Path(name).name.startswith(".") and name.endswith(".part"))


def leftovers(store: Path) -> list[str]:
    return [str(path) for path in (store / ".tessera" / "work").rglob("*")]


def _armed(limit: int) -> None:
    """Have this process die as by a power cut before its file operation `limit`, counted from 0."""
    count = 0

    def counting(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            if count == limit:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return original(*args, **kwargs)

        return call

    for name in ("replace", "unlink", "mkdir"):
        setattr(Path, name, counting(getattr(Path, name)))
    os.fsync = counting(os.fsync)
    shutil.rmtree = counting(shutil.rmtree)  # type: ignore[assignment]


def _run(command: list[str], limit: int | None, seconds: float | None) -> int:
    """How a run of `tessera embed` in a process of its own ended, as `subprocess` counts."""
    from tessera.cli import main

    child = os.fork()
    if child == 0:
        sys.argv = command
        if limit is not None:
            _armed(limit)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            main()
        except SystemExit as stopped:
            os._exit(stopped.code if isinstance(stopped.code, int) else 0)
        os._exit(99)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _program() -> None:
    # once for all children: what a run imports as it goes takes most of its time
    import numcodecs  # noqa: F401
    import obstore  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import pydantic  # noqa: F401
    import pyproj  # noqa: F401
    import rich.progress  # noqa: F401
    import safetensors.torch  # noqa: F401
    import shapely  # noqa: F401

    import tessera.catalogue
    import tessera.cli.app
    import tessera.scale  # noqa: F401

    torch.set_num_threads(1)
    blocks_module._BLOCK_PIXELS = BLOCK_PIXELS
    cube, model, *stores = sys.argv[1:]
    for given in stores:
        store, *numbers = given.split("=")
        start, step = map(int, numbers[0].split("+")) if numbers else (0, 0)
        command = ["tessera", "embed", cube, "-o", store, "--model", model, "--device", "cpu", "--precision", "fp32"]
        for turn in range(400):
            ended = _run(command, start + turn * step if numbers else None, None if numbers else 0.05 * 1.5**turn)
            print(Path(store).name, ended, flush=True)
            if ended != -signal.SIGKILL:
                break


if __name__ == "__main__":
    _program()
