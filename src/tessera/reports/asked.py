"""What a report asks of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tessera.embeddings import ModelIdentity


class ReportedHead(Protocol):
    """A `tessera.heads.Head`, or what does as it does.

    Attributes
    ----------
    head : name of the learner
    classes, values, colours : names, their values on a map and colours; of numbers no names and values, and a colour a
        range
    edges : borders between the ranges of numbers; () of classes
    column : of the labels
    year, dims, model : of the embeddings that it reads
    metrics, provenance : plain values
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
    def year(self) -> int: ...
    @property
    def dims(self) -> int: ...
    @property
    def model(self) -> ModelIdentity: ...
    @property
    def metrics(self) -> dict[str, Any]: ...
    @property
    def provenance(self) -> dict[str, Any]: ...
