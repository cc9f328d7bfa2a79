"""One count for all that a map takes: cells that are predicted, then the files that are made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tessera.base import Progress

    Rows = Callable[[range], NDArray[Any]]


class Phases:
    """Counts rows of the map, as often as they are read; the total grows where more is read than was planned.

    Parameters
    ----------
    progress : called as `progress(done, total)`
    height : rows of the map
    passes : how often the rows are expected to be read after they were predicted
    """

    def __init__(self, progress: Progress, height: int, passes: int) -> None:
        self._progress, self._height = progress, height
        self._base, self._end, self._total = 0, height, height * (1 + passes)

    def cells(self, done: int, total: int) -> None:
        """Progress of the prediction."""
        del total
        self._progress(done, self._total)

    def begin(self, passes: int = 1) -> None:
        """End the phase before and begin one that reads the rows so often."""
        self._base, self._end = self._end, self._end + passes * self._height
        self._total = max(self._total, self._end)
        self._progress(self._base, self._total)

    def counted(self, rows: Rows, passes: int = 1) -> Rows:
        """Begin a phase; what reads `rows` in it is counted."""
        self.begin(passes)
        seen, end = self._base, self._end

        def read(part: range) -> NDArray[Any]:
            nonlocal seen
            found = rows(part)
            seen = min(seen + len(part), end)
            if end == self._end:
                self._progress(seen, self._total)
            return found

        return read

    def end(self) -> None:
        """All is done."""
        self._progress(self._total, self._total)
