"""What a change asks of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tessera.labels import EmbeddingSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.embeddings import CodedVectors
    from tessera.geo import Window


class ChangeSource(EmbeddingSource, Protocol):
    """Years of embeddings that can be read as codes, window by window; a `tessera.Store` is one."""

    def iter_codes(
        self, area: Any, year: int, dims: int | None = None, rows: int | None = None, within: Window | None = None
    ) -> Iterator[CodedVectors]:
        """The area, or a window of it, as strips (y, x) of codes and scales from north to south."""
        ...

    def state(self, area: Any, year: int) -> str:
        """A digest of what is held in an area."""
        ...

    def refuse_empty(self, area: Any, year: Any) -> None:
        """Raise an error if nothing was written in an area."""
        ...
