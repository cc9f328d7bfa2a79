"""How long work reports itself: a callable, so that a shell, a notebook and a test can each show it their way."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the units done so far and their total; the total may be known only roughly at first."""

    def __call__(self, done: int, total: int) -> None: ...


def silent(done: int, total: int) -> None:
    """Report nothing."""
