"""What a map asks of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tessera.embeddings import ModelIdentity


class MapHead(Protocol):
    """A `tessera.heads.Head`, or what does as it does.

    Attributes
    ----------
    classes, values, colours : names, their values on a map and colours; of numbers no names and values, and a colour a
        range
    edges : borders between the ranges of numbers; () of classes
    column : of the labels
    year : that is mapped where none is named
    dims, model : of the embeddings
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def values(self) -> tuple[int, ...]: ...
    @property
    def colours(self) -> tuple[str, ...]: ...
    @property
    def edges(self) -> tuple[float, ...]: ...
    @property
    def column(self) -> str: ...
    @property
    def year(self) -> int: ...
    @property
    def dims(self) -> int: ...
    @property
    def model(self) -> ModelIdentity: ...
    def predict(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """(..., D) float32 -> (...) uint8, 255 = no data; or float32, NaN = no data."""
        ...
