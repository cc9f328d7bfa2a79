"""A raster in a plain file, row by row, for what does not fit into memory and need not outlive the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray


class RowsFile:
    """Rows of a raster on disk, written and read in any order. Unlike a memory map it does not grow the process.

    Parameters
    ----------
    path : a new file; the caller removes it
    shape : (height, width) or (height, width, bands)
    dtype : of the pixels
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self._row = int(np.prod(shape[1:])) * self.dtype.itemsize
        with path.open("xb") as file:
            file.truncate(self._row * shape[0])

    def write(self, start: int, values: NDArray[Any]) -> None:
        """Write rows from row `start` on: (rows, width[, bands])."""
        with self.path.open("r+b") as file:
            file.seek(start * self._row)
            file.write(np.ascontiguousarray(values, dtype=self.dtype).data)

    def read(self, rows: range) -> NDArray[Any]:
        """The rows (rows, width[, bands])."""
        with self.path.open("rb") as file:
            file.seek(rows.start * self._row)
            data = bytearray(file.read(len(rows) * self._row))
        return np.frombuffer(data, dtype=self.dtype).reshape(len(rows), *self.shape[1:])
