"""Heads and stores of a few kB for tests of maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.embeddings import StackedVectors
from tessera.geo import Window
from tessera.heads import Head, HeadInput
from tessera.learners import LinearModel
from tessera.maps import ramp
from tessera.testing import SMALL_MODEL, random_embeddings, small_store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.store import Store

YEAR = 2024
WINDOW = Window(31, 64400, 561100, 300, 220)
"""Off the corners of cells and strips on purpose; near 5.1 E, 50.6 N."""
NAMES = ("forest", "town", "water", "10")
COLOURS = ("#00aa00", "#aa0000", "#0000aa", "#aaaa00")


def make_store(path: Path, window: Window = WINDOW, seed: int = 0, **kwargs: Any) -> Store:
    """A store with random codes of one year."""
    store = small_store(path)
    store.write(random_embeddings(window, seed, **kwargs), YEAR)
    return store


def make_head(seed: int = 0, *, numbers: bool = False, years: tuple[int, ...] = (YEAR,), **kwargs: Any) -> Head:
    """A linear head with random weights."""
    rng = np.random.default_rng(seed)
    dims, count = 8 * len(years), 1 if numbers else len(NAMES)
    weights = rng.normal(size=(count, dims)).astype(np.float32) / 40
    parts: tuple[Any, ...] = (
        weights,
        rng.normal(size=count).astype(np.float32),
        np.zeros(dims, np.float32),
        np.ones(dims, np.float32),
    )
    inputs = tuple(HeadInput(year, 8, SMALL_MODEL) for year in years)
    learnt = LinearModel(0 if numbers else count, *parts)
    if numbers:
        return Head("linear", learnt, (), (-3.5, 4.25), "height", inputs, ramp(5), {}, **kwargs)
    return Head("linear", learnt, NAMES, None, "class", inputs, COLOURS, {}, **kwargs)


def stacked(store: Store, window: Window, years: tuple[int, ...] = (YEAR,)) -> StackedVectors:
    """What a head reads of a window."""
    parts = []
    for year in years:
        strips = list(store.iter_codes(window, year, rows=window.height))
        assert len(strips) == 1
        parts.append(strips[0])
    return StackedVectors(tuple(parts))


def files_of(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of all files of a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class FakeTrust:
    """Squares probabilities; a set holds classes of at least 0.2; abstains below 0.5; intervals of 2."""

    threshold = 0.5

    def __init__(self, *, numbers: bool = False) -> None:
        self.calibration = None if numbers else "squares"

    def probabilities(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        found = raw**2
        return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float32)

    def sets(self, p: NDArray[np.float32]) -> NDArray[np.bool_]:
        return p >= 0.2

    def abstains(self, p: NDArray[np.float32]) -> NDArray[np.bool_]:
        return np.asarray(p.max(axis=1) < self.threshold)

    def interval(self, found: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return found - np.float32(0.5), found + np.float32(1.5)

    def to_json(self) -> dict[str, Any]:
        return {"fake": self.threshold}


class FakeApplicability:
    """The mean of the values."""

    dims = 8

    def distance(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(values.mean(axis=1), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"mean": np.zeros(1)}
