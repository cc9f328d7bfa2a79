"""Strategies for hypothesis: layouts, cells, windows and embeddings of stores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.base import require
from tessera.geo import Cell, Window
from tessera.shards import Layout

from .stores import SMALL_MODEL, random_embeddings

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tessera.embeddings import Embeddings, ModelIdentity


def _st() -> Any:
    return require("hypothesis.strategies", extra="dev", purpose="a strategy of tessera.testing")


def layouts(dims: int = 8) -> SearchStrategy[Layout]:
    """Small layouts of both geometries: cells of 64 to 256 pixels, chunks of 16 to 64, with and without a prefix."""
    st = _st()
    return st.builds(  # type: ignore[no-any-return]
        Layout,
        st.just(dims),
        st.sampled_from([(), (2,)] if dims > 2 else [()]),
        st.sampled_from([64, 128, 256]),
        st.sampled_from([16, 32, 64]),
        st.sampled_from(["pixels", "published"]),
    )


def cells(side: int = 1024, zones: tuple[int, int] = (1, 60)) -> SearchStrategy[Cell]:
    """Cells of `side` pixels anywhere on the lattice; `zones` are the first and the last."""
    st = _st()
    parts = 1024 // side
    cols, rows = st.integers(15 * parts, 83 * parts - 1), st.integers(-868 * parts, 912 * parts - 1)
    return st.builds(lambda zone, col, row: Cell(zone, col, row, side), st.integers(*zones), cols, rows)  # type: ignore[no-any-return]


def windows(around: Window, reach: int = 140, side: int = 200) -> SearchStrategy[Window]:
    """Windows of at most `side` pixels whose north-west corner lies within `reach` pixels of that of `around`.

    At the edge of the lattice choose a `reach` and `side` that stay on it.
    """
    st = _st()
    steps, sides = st.integers(-reach, reach), st.integers(1, side)
    return st.builds(  # type: ignore[no-any-return]
        lambda right, up, width, height: Window(around.zone, around.west + right, around.north + up, width, height),
        steps,
        steps,
        sides,
        sides,
    )


def embeddings(window: Window, model: ModelIdentity = SMALL_MODEL) -> SearchStrategy[Embeddings]:
    """Embeddings of a window; a share of its pixels has no data or is not written."""
    st = _st()
    share = st.sampled_from([0.0, 0.2, 1.0])
    return st.builds(  # type: ignore[no-any-return]
        lambda seed, no_data, bare: random_embeddings(window, seed, no_data, not_written=bare, model=model),
        st.integers(0, 2**32 - 1),
        share,
        share,
    )
