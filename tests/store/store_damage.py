"""Ways to harm a small store, and smooth fields to lay over several cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from store_helpers import BASE, CELL, LAYOUT, MODEL

from tessera.base import sha256_hex
from tessera.check import Report
from tessera.embeddings import Embeddings, quantise
from tessera.geo import Cell, Window
from tessera.shards import SCALES, ArraySpec, Header
from tessera.store.commits.merge import Pixels, draw_up

CODES = LAYOUT.codes
PREFIX = LAYOUT.prefix_arrays[0]
RIGHT = Cell(31, 501, 4300, 128)
BELOW = Cell(31, 500, 4299, 128)
FOUR = Window(31, BASE.west, BASE.north, 256, 256)


def object_path(root: Path, spec: ArraySpec, cell: Cell = CELL, index: int = 0) -> Path:
    return root / LAYOUT.key(spec, cell, index)


def record_path(root: Path, cell: Cell = CELL, year: int = 2024) -> Path:
    return root / "commits" / str(year) / f"{cell.name}.json"


def flip(path: Path, position: int, bit: int = 1) -> int:
    data = bytearray(path.read_bytes())
    data[position] ^= bit
    return path.write_bytes(data)


def lose(*paths: Path) -> int:
    for path in paths:
        path.unlink()
    return len(paths)


def append(path: Path, data: bytes) -> None:
    path.write_bytes(path.read_bytes() + data)


def change_record(root: Path, **changes: Any) -> None:
    path = record_path(root)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def sign(root: Path) -> int:
    """Make a record name what lies there: damage that no hash tells."""
    path = record_path(root)
    record = json.loads(path.read_text())
    for info in record["objects"].values():
        data = (root / info["key"]).read_bytes()
        info.update(bytes=len(data), sha256=sha256_hex(data))
    return path.write_text(json.dumps(record))


def put_pixels(root: Path, codes: NDArray[Any], scales: NDArray[Any]) -> None:
    """Commit values that a writer would refuse."""
    header = Header(MODEL, LAYOUT, (2024,), (31,))
    counts = np.ones((128, 128, 3), np.uint16)
    record, shards = draw_up(header, CELL, 2024, Pixels(codes, scales, counts), None, BASE, {})
    for name, data in shards.items():
        spec = next(spec for spec in LAYOUT.arrays if spec.name == name)
        path = object_path(root, spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)
            record.objects[name] = {"key": LAYOUT.key(spec, CELL, 0), "bytes": len(data), "sha256": sha256_hex(data)}
    path = record_path(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(record.encode())


def smooth(window: Window, seed: int = 0, along: float = 12.0) -> Embeddings:
    """A smooth random field that depends on the place only: sums of waves of at least `along` pixels."""
    rng = np.random.default_rng(seed)
    rows = (window.north - np.arange(window.height))[:, None, None]
    cols = (window.west + np.arange(window.width))[None, :, None]
    values = np.zeros((*window.shape, 8), np.float32)
    for _ in range(12):
        angle, length = rng.uniform(0, 2 * np.pi, 8), rng.uniform(along, 4 * along, 8)
        phase = (rows * np.sin(angle) + cols * np.cos(angle)) * 2 * np.pi / length
        values += np.sin(phase + rng.uniform(0, 2 * np.pi, 8)).astype(np.float32)
    codes, scales = quantise(values * np.float32(0.05))
    return Embeddings(codes, scales, np.ones((*window.shape, 3), np.uint16), MODEL, window.grid, {"seed": seed})


def moved(window: Window, down: int, right: int, seed: int = 0) -> Embeddings:
    """The field as a cell shows it that was written some pixels aside."""
    other = Window(window.zone, window.west - right, window.north + down, window.width, window.height)
    field = smooth(other, seed)
    return Embeddings(field.codes, field.scales, field.counts, MODEL, window.grid)


def texts(report: Report, severity: str = "error") -> list[str]:
    return [problem.line for problem in report.problems if problem.severity == severity]


__all__ = ["BELOW", "CODES", "FOUR", "PREFIX", "RIGHT", "SCALES"]
