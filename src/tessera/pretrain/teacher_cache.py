"""A teacher's vectors from all observations, computed once for every pixel-year and kept on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, file_lock, read_json, silent, write_atomic
from tessera.encode import embed_with, encoder_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.cubes import PixelSeries
    from tessera.encode import Encoder
    from tessera.models import Checkpoint

    from .views import Table


FORMAT, VERSION = "tessera-teacher-vectors", 1
STRIDE = 4096
"""Pixel-years that are embedded and written together."""


@dataclass(frozen=True)
class Taught:
    """Pixel-years whose targets are a teacher's vectors; usable wherever its table is.

    Attributes
    ----------
    table : pixel-years
    vectors : (N, D) float16 of each
    teacher : SHA-256 identity of the teacher
    """

    table: Table
    vectors: NDArray[Any]
    teacher: str

    def __len__(self) -> int:
        return len(self.table)

    @property
    def records(self) -> int:
        """Pixel-years a block of the table."""
        return getattr(self.table, "records", 1)

    def digest(self) -> str:
        """Identifies the pixel-years and the teacher."""
        return f"{self.table.digest()} taught by {self.teacher}"

    def take(self, pixels: NDArray[np.integer[Any]], /) -> PixelSeries:
        """The pixel-years of these indices, in this order."""
        return replace(self.table.take(pixels), targets=np.asarray(self.vectors[pixels], dtype=np.float32))


def teach(
    table: Table,
    teacher: Checkpoint,
    folder: str | Path | None = None,
    *,
    device: str = "cpu",
    progress: Progress = silent,
) -> Taught:
    """Embed every pixel-year with the teacher, from all of its observations and by the teacher's own rules.

    Vectors are float16. With `folder` they are kept there: an interrupted run continues where it stopped, and the same
    table and teacher are not embedded again. Several processes may call it together; one works at a time.

    Parameters
    ----------
    table : pixel-years, each with at least one observation
    teacher : weights of any family; v1.0 draws its observations with seed 0
    folder : for the vectors; without one they are only in memory
    device : of the teacher's computation
    progress : called with pixel-years done and their total

    Raises
    ------
    InputError
        The folder holds vectors of another table or teacher, a pixel-year has no observation, or vectors do not fit
        into float16.
    TesseraError
        The folder cannot be written.
    """
    rows, dims = len(table), teacher.spec.dims
    encoder = encoder_of(teacher, device)
    if folder is None:
        vectors: NDArray[np.float16] = np.empty((rows, dims), dtype=np.float16)
        for first in range(0, rows, STRIDE):
            _fill(vectors, table, encoder, first)
            progress(min(first + STRIDE, rows), rows)
        return Taught(table, vectors, teacher.sha256)
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise InputError(f"{place} is a file; expected a folder for the teacher's vectors, or none there")
    about = {"format": FORMAT, "version": VERSION, "table": table.digest(), "teacher": teacher.sha256}
    about |= {"rows": rows, "dims": dims, "dtype": "float16"}
    try:
        with file_lock(place / ".lock"):
            vectors = _kept(place, about, table, encoder, progress)
    except OSError as error:
        raise TesseraError(f"teacher's vectors in {place}: {error.strerror or error}; run again to go on") from None
    return Taught(table, vectors, teacher.sha256)


def _kept(
    place: Path, about: dict[str, Any], table: Table, encoder: Encoder, progress: Progress
) -> NDArray[np.float16]:
    mark, file = place / "vectors.json", place / "vectors.f16"
    done = 0
    rows, dims = about["rows"], about["dims"]
    if mark.exists():
        found = read_json(mark, what="mark of teacher's vectors")
        done = found.pop("done", None)
        for key, value in about.items():
            if found.get(key) != value:
                raise InputError(
                    f"{place} holds vectors with {key} {str(found.get(key))[:80]}; expected {str(value)[:80]}, "
                    "or another folder"
                )
        size = file.stat().st_size if file.exists() else 0
        if type(done) is not int or not 0 <= done <= rows or size != 2 * rows * dims:
            raise InputError(
                f"{file} has {size} bytes, {str(done)[:20]} rows done; expected {2 * rows * dims} bytes, {rows} rows"
            )
    else:
        with file.open("wb") as empty:
            empty.truncate(2 * rows * dims)
        write_atomic(mark, json.dumps(about | {"done": 0}).encode())
    vectors: NDArray[np.float16] = np.memmap(file, dtype="<f2", mode="r+" if done < rows else "r", shape=(rows, dims))
    for first in range(done, rows, STRIDE):
        _fill(vectors, table, encoder, first)
        handle = os.open(file, os.O_RDONLY)
        try:
            vectors.flush()  # type: ignore[attr-defined]
            os.fsync(handle)
        finally:
            os.close(handle)
        write_atomic(mark, json.dumps(about | {"done": min(first + STRIDE, rows)}).encode())
        progress(min(first + STRIDE, rows), rows)
    return vectors


def _fill(vectors: NDArray[Any], table: Table, encoder: Encoder, first: int) -> None:
    last = min(first + STRIDE, len(table))
    made = embed_with(encoder, table.take(np.arange(first, last)))
    blank = int(np.isnan(made).all(axis=1).sum())
    if blank:
        raise InputError(f"{blank} pixel-years without any observation; expected at least one of either modality")
    largest = float(np.abs(made).max())
    if not largest <= float(np.finfo(np.float16).max):
        raise InputError(f"{encoder.identity.name} makes vectors with {largest:.3g}; expected numbers that fit float16")
    vectors[first:last] = made
