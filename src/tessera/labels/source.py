"""What a head asks of a store: its face, so that this room needs no import of the store."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.base import InputError, only_year, silent
from tessera.embeddings import is_valid
from tessera.geo import swap_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.embeddings import CodedVectors, ModelIdentity
    from tessera.geo import Window


_PART = 100_000
"""Labels looked up at a time."""


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

    def sample_codes(self, points: Any, year: int, dims: int | None = None) -> CodedVectors:
        """As `sample_points`, as codes and scales."""
        ...

    def region_grid(self, area: Any, crs: str | None = None) -> Window:
        """The lattice window that `read_region` and `iter_region` return."""
        ...

    def iter_region(
        self, area: Any, year: int, dims: int | None = None, crs: str | None = None, rows: int | None = None
    ) -> Iterator[xr.DataArray]:
        """The region as strips (y, x, band) float32 from north to south, NaN = no data."""
        ...

    def iter_codes(
        self, area: Any, year: int, dims: int | None = None, rows: int | None = None, within: Window | None = None
    ) -> Iterator[CodedVectors]:
        """The region as strips (y, x) of codes and scales from north to south, or a part of its window."""
        ...


def refuse_empty(store: EmbeddingSource, area: object, year: int) -> None:
    """Have a source that knows where it has data refuse an area without any, before anything of it is read.

    Raises
    ------
    InputError
        Nothing was written there.
    """
    refuse = getattr(store, "refuse_empty", None)
    if refuse is not None:
        refuse(area, year)


def parse_source(store: Any) -> Any:
    """An open store; one at a path or URL is opened.

    Raises
    ------
    InputError
        Something else than a path, a URL or an open store; or what `tessera.open_store` refuses.
    """
    if isinstance(store, (str, os.PathLike)):
        # by the package's face, as a user would: this room is behind a wall from the store
        return import_module("tessera").open_store(store)
    if not hasattr(store, "sample_codes") and not hasattr(store, "iter_codes"):
        raise InputError(
            f"store is a {type(store).__name__}; expected a path, a URL or an open store: tessera.open_store(path)"
        )
    return store


def parse_year(store: EmbeddingSource, year: int | None) -> int:
    """The year to read; None stands for a store's only year.

    Raises
    ------
    InputError
        The store does not hold the year, or holds several and none was named.
    """
    if year is None:
        return only_year(store.years, "the store", "year=")
    if isinstance(year, bool) or year not in store.years:
        raise InputError(f"the store has no year {year!r}; it has {', '.join(map(str, store.years)) or 'none'}")
    return int(year)


def label_codes(
    store: EmbeddingSource,
    lonlat: NDArray[np.float64],
    year: int,
    source: str,
    *,
    progress: Progress = silent,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which labelled places have data, and which lie outside what the store holds of the year: looked up in parts.

    Parameters
    ----------
    lonlat : (N, 2) degrees
    source : what to call the labels
    progress : called with the labels looked up and their number

    Returns
    -------
    (N,) bool, with data; (N,) bool, outside

    Raises
    ------
    InputError
        None has data; the line says so where latitudes came first.
    """

    def scales(places: NDArray[np.float64]) -> NDArray[np.float32]:
        return store.sample_codes(places, year).scales

    found = np.empty(len(lonlat), dtype=np.float32)
    for start in range(0, len(lonlat), _PART):
        part = slice(start, start + _PART)
        found[part] = scales(lonlat[part])
        progress(min(start + _PART, len(lonlat)), len(lonlat))
    usable = is_valid(found)
    if not usable.any():
        raise InputError(nowhere(lonlat, str(year), source, lambda places: int(is_valid(scales(places)).sum())))
    return usable, np.isposinf(found)


def nowhere(
    lonlat: NDArray[np.float64], years: str, source: str, with_data: Callable[[NDArray[np.float64]], int]
) -> str:
    """What to say where no label has data.

    Parameters
    ----------
    lonlat : (N, 2) degrees
    years : that were looked up, in words
    source : what to call the labels
    with_data : (N, 2) degrees -> places with data, to see whether latitudes came first
    """
    west, south = lonlat.min(axis=0)
    east, north = lonlat.max(axis=0)
    where = f"they lie within {west:.4g},{south:.4g},{east:.4g},{north:.4g}; tessera store info says where data is"
    return f"none of {len(lonlat)} labels of {source} has data in {years}; {swap_hint(lonlat, with_data) or where}"
