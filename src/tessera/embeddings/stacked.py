"""Vectors of several years or stores, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from .coded import CodedVectors

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, repr=False)
class StackedVectors:
    """Vectors whose features come from one part or more: a year, or a store, each with its own scales.

    Attributes
    ----------
    parts : the parts in the order of the features; all of the same places

    Raises
    ------
    InputError
        No part, or parts of different shapes.

    Examples
    --------
    >>> import tessera
    >>> from tessera.embeddings import StackedVectors
    >>> store = tessera.open_store("store.zarr")
    >>> found = store.sample_codes([(5.249, 50.692), (5.4, 50.7)], 2023, dims=16)
    >>> both = StackedVectors((found, found))
    >>> both.dims, both.widths, both.values().shape, both.valid
    (32, (16, 16), (2, 32), array([ True, False]))
    """

    parts: tuple[CodedVectors, ...]

    def __post_init__(self) -> None:
        shapes = {part.scales.shape for part in self.parts}
        if len(shapes) != 1:
            told = ", ".join(str(part.scales.shape) for part in self.parts) or "none"
            raise InputError(f"parts of shape {told}; expected one part or more, all of one shape")

    @classmethod
    def of(cls, vectors: StackedVectors | CodedVectors) -> StackedVectors:
        """The vectors themselves, or those of one part."""
        return vectors if isinstance(vectors, StackedVectors) else cls((vectors,))

    def __len__(self) -> int:
        return len(self.parts[0])

    def __repr__(self) -> str:
        return f"StackedVectors({self.shape}, {' + '.join(map(str, self.widths))} dims)"

    def __getitem__(self, index: Any) -> StackedVectors:
        """Some of the vectors, chosen by an index of the scales."""
        return StackedVectors(tuple(part[index] for part in self.parts))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the scales of each part."""
        return self.parts[0].scales.shape

    @property
    def widths(self) -> tuple[int, ...]:
        """Length of the vectors of each part."""
        return tuple(part.dims for part in self.parts)

    @property
    def dims(self) -> int:
        """Length D of a vector, all parts together."""
        return sum(self.widths)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """(...) bool, which vectors are data in every part."""
        out = self.parts[0].valid
        for part in self.parts[1:]:
            out = out & part.valid
        return out

    def reshape(self, *shape: int) -> StackedVectors:
        """The same vectors with scales of another shape."""
        return StackedVectors(
            tuple(
                CodedVectors(part.codes.reshape(*shape, part.dims), part.scales.reshape(*shape)) for part in self.parts
            )
        )

    def values(self) -> NDArray[np.float32]:
        """(..., D) float32, NaN in the features of a part without data."""
        if len(self.parts) == 1:
            return self.parts[0].values()
        return np.concatenate([part.values() for part in self.parts], axis=-1)
