"""Adjacent ranges of one object, joined into fewer requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RANGE_BYTES = 8 * 1024**2
"""Most bytes of a request that joins ranges."""


@dataclass(frozen=True)
class Run:
    """One request: bytes `start` to `stop` (exclusive), and the indices of the wanted ranges in it."""

    start: int
    stop: int
    members: tuple[int, ...]


def join_ranges(
    starts: ArrayLike,
    stops: ArrayLike,
    *,
    gap: int = 0,
    limit: int = RANGE_BYTES,
    waste: float = float("inf"),
    disjoint: bool = False,
) -> list[Run]:
    """Join ranges of one object into requests, in order of position.

    Parameters
    ----------
    starts, stops : (N,) bytes
    gap : most unused bytes between two joined ranges
    limit : most bytes of a request; a longer range stays one request
    waste : most unused share of a request
    disjoint : also join overlapping ranges beyond `limit`, so that no two requests share a byte
    """
    import numpy as np

    firsts, lasts = np.asarray(starts), np.asarray(stops)
    runs: list[Run] = []
    members: list[int] = []
    first = last = used = 0
    for number in np.argsort(firsts, kind="stable").tolist():
        start, end = int(firsts[number]), int(lasts[number])
        stop = max(last, end)
        near = (
            start - last <= gap
            and stop - first <= limit
            and stop - first - used - end + start <= waste * (stop - first)
        )
        if members and (near or (disjoint and start < last)):
            members.append(number)
            last, used = stop, used + end - start
            continue
        if members:
            runs.append(Run(first, last, tuple(members)))
        members, first, last, used = [number], start, end, end - start
    if members:
        runs.append(Run(first, last, tuple(members)))
    return runs
