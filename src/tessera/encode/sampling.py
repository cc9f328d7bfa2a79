"""Sampling rules: which of a pixel's valid observations a network reads, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def _middles(n: int, parts: int) -> NDArray[np.int64]:
    """The middle (len // 2) of each of `parts` nearly equal runs of 0 to n - 1."""
    return np.asarray([run[len(run) // 2] for run in np.array_split(np.arange(n), parts)], dtype=np.int64)


def _v1_1(n: int, size: int) -> NDArray[np.int64]:
    if n >= size:
        return _middles(n, size)
    extra = np.rint(np.linspace(0, n - 1, size - n + 2)[1:-1]).astype(np.int64)
    return np.concatenate([np.arange(n), extra.clip(0, n - 1)])


def _v2(n: int, size: int) -> NDArray[np.int64]:
    if n >= size:
        return np.linspace(0, n - 1, size).astype(np.int64)
    lacking = size - n
    extra = _middles(n, lacking) if lacking <= n else np.arange(lacking) % n
    return np.concatenate([np.arange(n), extra])


@dataclass(frozen=True)
class Rule:
    """How one family of published code samples a pixel's observations.

    Attributes
    ----------
    choose : (n, size) -> `size` indices into n valid observations: all in order and then repeats, or evenly spaced ones
        above the largest bin; None if they are drawn at random (`tessera.encode.draws`)
    embeds : pixels that the published code embeds: "all", those "seen" by an observation, or "lit" ones, with a
        Sentinel-2 value that is not 0, clear or not
    """

    choose: Callable[[int, int], NDArray[np.int64]] | None
    embeds: str


RULES = {"v1.0": Rule(None, "lit"), "v1.1": Rule(_v1_1, "all"), "v2": Rule(_v2, "seen")}
"""Name -> rule (published code: utils/data_processing.py, datasets/ssl_dataset_v1_1.py, student/infer.py)."""


@lru_cache(maxsize=16384)
def sample_indices(rule: str, bins: tuple[int, ...], n: int) -> NDArray[np.int64]:
    """Indices into a pixel's n valid observations.

    Parameters
    ----------
    rule : name in `RULES` of a rule without random draws
    bins : lengths, ascending; the first of at least n is used, else the last
    n : valid observations, at least 1

    Returns
    -------
    (size,) int64, read-only

    Raises
    ------
    InputError
        The rule is unknown, or draws at random.
    """
    choose = RULES[rule].choose if rule in RULES else None
    if choose is None:
        known = ", ".join(name for name, other in RULES.items() if other.choose is not None)
        raise InputError(f"sampling rule {rule!r}; expected one of {known}")
    size = next((size for size in bins if size >= n), bins[-1])
    indices = choose(n, size)
    indices.setflags(write=False)
    return indices
