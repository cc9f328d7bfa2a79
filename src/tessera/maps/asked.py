"""What a map asks of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tessera.embeddings import ModelIdentity, StackedVectors


class MapInput(Protocol):
    """One year of one store: a part of the features of a head; a `tessera.heads.HeadInput`."""

    @property
    def year(self) -> int: ...
    @property
    def dims(self) -> int: ...
    @property
    def model(self) -> ModelIdentity: ...
    @property
    def store(self) -> str: ...


class LegendHead(Protocol):
    """What a legend and a report ask of a `tessera.heads.Head`, and a map too.

    Attributes
    ----------
    head : name of the learner
    classes, values, colours : names, their values on a map and colours; of numbers no names and values, and a colour a
        range
    edges : borders between the ranges of numbers; () of classes
    column : of the labels
    provenance : plain values
    """

    @property
    def head(self) -> str: ...
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
    def provenance(self) -> dict[str, Any]: ...


class MapHead(LegendHead, Protocol):
    """What a map asks besides.

    Attributes
    ----------
    inputs : years and stores of its features, in order
    learnt : the learner
    trust : a `tessera.validation.Trust`, or None
    applicability : a `tessera.validation.Applicability`, or None
    """

    @property
    def inputs(self) -> Sequence[MapInput]: ...
    @property
    def learnt(self) -> Any: ...
    @property
    def trust(self) -> Any: ...
    @property
    def applicability(self) -> Any: ...
    def predict_codes(self, vectors: StackedVectors) -> NDArray[Any]:
        """(...) vectors -> (...) uint8, 255 = no data; or float32, NaN = no data."""
        ...

    def probabilities_codes(self, vectors: StackedVectors) -> NDArray[np.float32]:
        """(...) vectors -> (..., K) float32, NaN = no data."""
        ...
