"""Which of a pixel's valid observations a network sees, and how often: one rule a name."""

from __future__ import annotations

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


def _v2(n: int, size: int) -> NDArray[np.int64]:
    if n >= size:
        return np.linspace(0, n - 1, size).astype(np.int64)
    lacking = size - n
    extra = _middles(n, lacking) if lacking <= n else np.arange(lacking) % n
    return np.concatenate([np.arange(n), extra])


RULES: dict[str, Callable[[int, int], NDArray[np.int64]]] = {"v2": _v2}
"""Name -> rule(n, size): `size` indices into n valid observations in order. "v2": all of them, then repeats, no masks;
above the largest bin, evenly spaced ones, truncated (published code: tessera_infer_v2/student/infer.py)."""


@lru_cache(maxsize=4096)
def sample_indices(rule: str, bins: tuple[int, ...], n: int) -> NDArray[np.int64]:
    """Indices into a pixel's n valid observations, in order of the year.

    Parameters
    ----------
    rule : name in `RULES`
    bins : lengths, ascending; the first that holds n is taken, else the last
    n : valid observations, at least 1

    Returns
    -------
    (size,) int64, read-only

    Raises
    ------
    InputError
        The rule has no name here.
    """
    if rule not in RULES:
        raise InputError(f"sampling rule {rule!r}; expected one of {', '.join(RULES)}")
    size = next((size for size in bins if size >= n), bins[-1])
    indices = RULES[rule](n, size)
    indices.setflags(write=False)
    return indices
