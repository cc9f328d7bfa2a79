"""Arrays of a table: their types and shapes checked, their offsets, one digest of all their values."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check_array(name: str, array: NDArray[Any], dtype: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array of another type or shape.

    Raises
    ------
    InputError
        It is neither `dtype` nor of exactly `shape`; the line names it.
    """
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise InputError(f"{name} is {array.dtype} {array.shape}; expected {np.dtype(dtype).name} {shape}")


def offsets_of(counts: NDArray[Any]) -> NDArray[np.int64]:
    """(N + 1,) int64 from the number of rows of each of N: those of i are offsets[i] to offsets[i + 1]."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def digest_of(*arrays: NDArray[Any]) -> str:
    """SHA-256 of the values of arrays in little-endian order, with their shapes and types."""
    total = hashlib.sha256()
    for array in arrays:
        little = array.dtype.newbyteorder("<")
        total.update(f"{array.shape} {little.str}".encode())
        total.update(np.ascontiguousarray(array, dtype=little).tobytes())
    return total.hexdigest()
