"""Stores of two or three years with a change that is known, and a head that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tessera.embeddings import Embeddings, StackedVectors
from tessera.geo import Window
from tessera.heads import Head
from tessera.heads.inputs import HeadInput
from tessera.maps import edges_of
from tessera.store import Store
from tessera.testing import SMALL_MODEL as MODEL
from tessera.testing import small_store

WINDOW = Window(31, 64000, 550400, 160, 96)
"""Pixels of the made stores; more than one cell and, with blocks of 64, six blocks."""
CENTRES = np.array([[100, 0, 0, 0, 20, 0, 0, 5], [0, 100, 0, 0, 0, 20, 0, 5], [0, 0, 100, 0, 0, 0, 20, 5]])
NAMES = ("crop", "7", "water")
"""The second is its own value on a map."""


def truth(year: int) -> np.ndarray:
    """Class of each pixel: stripes of three classes; from 2022 on a block of forest is crop."""
    rows, cols = np.mgrid[: WINDOW.height, : WINDOW.width]
    out = (cols // 40 + rows // 48) % 3
    if year >= 2022:
        out[(rows >= 10) & (rows < 30) & (cols >= 45) & (cols < 75) & (out == 1)] = 0
    return np.asarray(out)


def embeddings(year: int, *, noise: float = 6.0, shift: int = 0, no_data: float = 0.05) -> Embeddings:
    """Codes around the centre of each pixel's class, with noise of the year."""
    rng = np.random.default_rng(year)
    codes = CENTRES[truth(year)] + rng.normal(0, noise, (*WINDOW.shape, 8)) + shift * np.eye(8)[7]
    scales = rng.uniform(0.01, 0.02, WINDOW.shape).astype(np.float32)
    scales[rng.random(WINDOW.shape) < no_data] = np.nan
    codes = np.clip(np.rint(codes), -127, 127).astype(np.int8)
    codes[np.isnan(scales)] = 0
    return Embeddings(codes, scales, np.zeros((*WINDOW.shape, 3), dtype=np.uint16), MODEL, WINDOW.grid, {})


def years_store(path: Path, years: tuple[int, ...] = (2021, 2022), **options: Any) -> Store:
    store = small_store(path)
    for year in years:
        store.write(embeddings(year, **options), year)
    return store


class Nearest:
    """A model: the class whose centre has the largest product with the codes; or the sum of the first two codes."""

    dims = 8

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def arrays(self) -> dict[str, np.ndarray]:
        return {"centres": CENTRES.astype(np.int16)}

    def predict_codes(self, vectors: Any) -> np.ndarray:
        (part,) = StackedVectors.of(vectors).parts
        if not self.classes:
            return np.where(part.valid, part.codes[..., :2].sum(axis=-1), np.nan).astype(np.float32)
        found = (part.codes @ CENTRES.T.astype(np.int64)).argmax(axis=-1).astype(np.uint8)
        return np.where(part.valid, found, np.uint8(255))


def fake_head(confusion: Any = ((499, 1, 0), (0, 500, 0), (0, 1, 499))) -> Head:
    """A head of three classes whose values on a map are not their indexes."""
    model: Any = Nearest(3)
    colours = ("#e8c14a", "#1f7a3a", "#2b7bba")
    metrics = {"confusion": {"classes": list(NAMES), "counts": [list(row) for row in confusion]}}
    return Head("nearest", model, NAMES, None, "cover", (HeadInput(2021, 8, MODEL),), colours, metrics)


def number_head() -> Head:
    """A head of numbers: the sum of the first two codes."""
    model: Any = Nearest(0)
    colours = ("#000000",) * (len(edges_of(0.0, 200.0)) + 1)
    return Head("nearest", model, (), (0.0, 200.0), "sum", (HeadInput(2021, 8, MODEL),), colours, {})
