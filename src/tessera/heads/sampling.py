"""The vectors of labelled places, from one store or several, of one year, of several side by side, or of each label's
own year."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.geo import swap_hint
from tessera.labels import nowhere, parse_source, parse_year

from .inputs import HeadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.labels import EmbeddingSource, Labels


@dataclass(frozen=True, repr=False)
class Sample:
    """The vectors of N labels.

    Attributes
    ----------
    vectors : as the stores keep them, all parts side by side
    inputs : which store and year each part is of; where labels have years of their own, the last of them
    outside : (N,) bool, labels where nothing was written
    years : year -> labels, where labels have years of their own; None else
    notes : what the reader of a report has to know
    stores : the store of each input
    """

    vectors: StackedVectors
    inputs: tuple[HeadInput, ...]
    outside: NDArray[np.bool_]
    years: dict[int, int] | None
    notes: tuple[str, ...]
    stores: tuple[EmbeddingSource, ...]

    def windows(self, dims: int | None) -> list[tuple[EmbeddingSource, int, int | None]]:
        """The stores, years and dims, to read what lies around labels.

        Raises
        ------
        InputError
            Each label has a year of its own.
        """
        if self.years is not None:
            raise InputError(
                f"labels of {len(self.years)} years for a head that looks at the pixels around them; name one year"
            )
        return [(store, one.year, dims) for store, one in zip(self.stores, self.inputs, strict=True)]

    @property
    def told(self) -> str:
        """The years in words: "2021", "2021 and 2022"."""
        years = list(self.years) if self.years else list(dict.fromkeys(one.year for one in self.inputs))
        return " and ".join([", ".join(map(str, years[:-1])), str(years[-1])] if len(years) > 1 else [str(years[0])])


def parse_stores(store: Any) -> tuple[EmbeddingSource, ...]:
    """One store or several, open or at a path or URL.

    Raises
    ------
    InputError
        None, or something else; see `tessera.labels.parse_source`.
    """
    given = tuple(store) if isinstance(store, (list, tuple)) else (store,)
    if not given:
        raise InputError("no store; expected one or several")
    return tuple(parse_source(one) for one in given)


def sample_vectors(
    stores: Sequence[EmbeddingSource],
    labels: Labels,
    year: int | None,
    years: Sequence[int] | None,
    dims: int | None,
) -> Sample:
    """Read the vectors of labelled places.

    Parameters
    ----------
    year, years : of all labels: one, or several side by side; None: the years of the labels where they have some, else
        the only year of each store
    dims : length of the prefix of each; all if None

    Raises
    ------
    InputError
        No label has data, a store lacks a year, or years are given twice.
    """
    if year is not None and years is not None:
        raise InputError(f"year {year} and years {', '.join(map(str, years))}; expected one of both")
    if years is not None and (not years or len(set(years)) < len(years)):
        raise InputError(f"years {', '.join(map(str, years)) or 'none'}; expected years that differ")
    own = year is None and years is None and labels.years is not None
    if own:
        return _of_own_years(stores, labels, dims)
    wanted = [(store, parse_year(store, one)) for store in stores for one in (years or (year,))]
    parts = _sampled(wanted, labels, dims)
    inputs = tuple(_input(store, one, part.dims) for (store, one), part in zip(wanted, parts, strict=True))
    notes: tuple[str, ...] = ()
    if labels.years is not None and set(np.unique(labels.years).tolist()) != {one for _, one in wanted}:
        lived = ", ".join(map(str, np.unique(labels.years).tolist()[:5]))
        read = ", ".join(map(str, dict.fromkeys(one.year for one in inputs)))
        notes = (f"labels are of {lived} and learn from embeddings of {read} all the same, as requested",)
    return Sample(StackedVectors(parts), inputs, _outside(parts), None, notes, tuple(store for store, _ in wanted))


def _of_own_years(stores: Sequence[EmbeddingSource], labels: Labels, dims: int | None) -> Sample:
    assert labels.years is not None  # noqa: S101 - asked before
    assert labels.lonlat is not None  # noqa: S101 - asked before
    found, counts = np.unique(labels.years, return_counts=True)
    held = [one for one in found.tolist() if all(one in store.years for store in stores)]
    if not held:
        raise InputError(
            f"labels of {labels.source} are of {', '.join(map(str, found.tolist()[:8]))}; the store has "
            f"{', '.join(map(str, stores[0].years)) or 'none'}"
        )
    parts = []
    for store in stores:
        width = dims or store.dims
        codes = np.zeros((len(labels), width), dtype=np.int8)
        scales = np.full(len(labels), np.inf, dtype=np.float32)
        for one in held:
            rows = labels.years == one
            (read,) = _sampled([(store, one)], labels, dims, rows)
            codes[rows], scales[rows] = read.codes, read.scales
        parts.append(CodedVectors(codes, scales))
    lost = {int(one): int(count) for one, count in zip(found, counts, strict=True) if one not in held}
    notes: tuple[str, ...] = ()
    if lost:
        told = ", ".join(f"{count} of {one}" for one, count in lost.items())
        notes = (f"labels of years that the store lacks are left out: {told}",)
    inputs = tuple(_input(store, held[-1], part.dims) for store, part in zip(stores, parts, strict=True))
    counted = {int(one): int(count) for one, count in zip(found, counts, strict=True) if one in held}
    stacked = StackedVectors(tuple(parts))
    if not stacked.valid.any():
        told = ", ".join(map(str, held))
        raise InputError(nowhere(labels.lonlat, told, labels.source, lambda _: 0))
    return Sample(stacked, inputs, _outside(stacked.parts), counted, notes, tuple(stores))


def _sampled(
    wanted: Sequence[tuple[EmbeddingSource, int]],
    labels: Labels,
    dims: int | None,
    rows: NDArray[np.bool_] | None = None,
) -> tuple[CodedVectors, ...]:
    """The codes of places in each store and year; of all labels some must have data in every one."""
    assert labels.lonlat is not None  # noqa: S101 - asked before
    lonlat = labels.lonlat if rows is None else labels.lonlat[rows]

    def read(places: NDArray[np.float64]) -> tuple[CodedVectors, ...]:
        return tuple(store.sample_codes(places, year, dims=dims) for store, year in wanted)

    def with_data(places: NDArray[np.float64]) -> int:
        return int(StackedVectors(read(places)).valid.sum())

    try:
        parts = read(lonlat)
    except InputError as error:
        hint = swap_hint(lonlat, with_data)
        if hint:
            raise InputError(f"{labels.source}: {error}; {hint}") from None
        raise
    if rows is None and not StackedVectors(parts).valid.any():
        told = " and ".join(str(year) for _, year in wanted)
        raise InputError(nowhere(lonlat, told, labels.source, with_data))
    return parts


def _outside(parts: Sequence[CodedVectors]) -> NDArray[np.bool_]:
    """Labels where a store has nothing, not even a pixel without data."""
    out: NDArray[np.bool_] = np.logical_or.reduce([np.isposinf(part.scales) for part in parts])
    return out


def _input(store: EmbeddingSource, year: int, dims: int) -> HeadInput:
    root = str(getattr(getattr(store, "objects", None), "root", ""))
    return HeadInput(year, dims, store.model, PurePosixPath(root.replace("\\", "/")).name if root else "")
