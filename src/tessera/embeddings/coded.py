"""Vectors as a store keeps them: whole numbers and one scale each, so that arithmetic on them can be exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from .codes import dequantise, is_valid

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class CodedVectors:
    """Vectors as codes and scales: the value of a vector is float32(code x scale).

    Attributes
    ----------
    codes : (..., D) int8
    scales : (...) float32; finite and above 0 = valid, NaN or +inf = no data

    Raises
    ------
    InputError
        An array has another dtype, or the shapes do not match.

    Examples
    --------
    >>> import tessera
    >>> found = tessera.open_store("store.zarr").sample_codes([(5.249, 50.692), (5.4, 50.7)], 2023)
    >>> found.codes.shape, found.codes.dtype, found.valid
    ((2, 128), dtype('int8'), array([ True, False]))
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]

    def __post_init__(self) -> None:
        codes, scales = self.codes, self.scales
        if codes.dtype != np.int8 or scales.dtype != np.float32 or codes.shape[:-1] != scales.shape or not codes.ndim:
            raise InputError(
                f"codes {codes.dtype} {codes.shape} and scales {scales.dtype} {scales.shape}; expected int8 (..., D) "
                "and float32 (...)"
            )

    def __len__(self) -> int:
        return len(self.scales)

    def __repr__(self) -> str:
        return f"CodedVectors({self.codes.shape})"

    def __getitem__(self, index: Any) -> CodedVectors:
        """Some of the vectors, chosen by an index of `scales`."""
        return CodedVectors(self.codes[index], np.asarray(self.scales[index]))

    @property
    def dims(self) -> int:
        """Length D of a vector."""
        return int(self.codes.shape[-1])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(...) bool, which vectors are data."""
        return is_valid(self.scales)

    def values(self) -> NDArray[np.float32]:
        """(..., D) float32, NaN = no data."""
        return dequantise(self.codes, self.scales)
