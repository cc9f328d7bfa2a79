"""What a head asks of a store: its face, so that this room needs no import of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    from tessera.embeddings import ModelIdentity
    from tessera.geo import Window


class EmbeddingSource(Protocol):
    """Years of embeddings that can be sampled at points and read as regions; a `Store` is one.

    Attributes
    ----------
    years : the years held
    dims : length of the vectors
    model : what made them
    """

    @property
    def years(self) -> tuple[int, ...]: ...
    @property
    def dims(self) -> int: ...
    @property
    def model(self) -> ModelIdentity: ...

    def sample_points(self, points: Any, year: int, dims: int | None = None) -> NDArray[np.float32]:
        """(N, 2) degrees -> (N, D) float32, NaN = no data."""
        ...

    def region_grid(self, area: Any, crs: str | None = None) -> Window:
        """The lattice window that `read_region` and `iter_region` return."""
        ...

    def iter_region(
        self, area: Any, year: int, dims: int | None = None, crs: str | None = None, rows: int | None = None
    ) -> Iterator[xr.DataArray]:
        """The region as strips (y, x, band) float32 from north to south, NaN = no data."""
        ...


def parse_year(store: EmbeddingSource, year: int | None) -> int:
    """The year to read; None stands for a store's only year.

    Raises
    ------
    InputError
        The store does not hold the year, or holds several and none was named.
    """
    held = ", ".join(str(value) for value in store.years) or "none"
    if year is None:
        if len(store.years) != 1:
            raise InputError(f"no year given and the store holds {held}; expected year=")
        return int(store.years[0])
    if isinstance(year, bool) or year not in store.years:
        raise InputError(f"year {year!r}; the store holds {held}")
    return int(year)
