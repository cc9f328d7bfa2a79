"""Progress of long work: a callable, so that a shell, a notebook and a test can each display it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the units done so far and their total, which may be an estimate at first."""

    def __call__(self, done: int, total: int) -> None: ...


def silent(done: int, total: int) -> None:
    """Report nothing."""
