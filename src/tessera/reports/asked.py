"""What a report asks of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tessera.maps import LegendHead

if TYPE_CHECKING:
    from tessera.embeddings import ModelIdentity


class ReportedHead(LegendHead, Protocol):
    """What a report asks besides.

    Attributes
    ----------
    year, dims, model : of the embeddings that it reads
    metrics : plain values
    """

    @property
    def year(self) -> int: ...
    @property
    def dims(self) -> int: ...
    @property
    def model(self) -> ModelIdentity: ...
    @property
    def metrics(self) -> dict[str, Any]: ...
