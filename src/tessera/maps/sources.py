"""The stores and years that a head reads, and their vectors side by side."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.geo import Window
from tessera.labels import parse_source, parse_year, read_around, refuse_empty

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tessera.geo import Area
    from tessera.labels import EmbeddingSource

    from .asked import MapHead, MapInput


@dataclass(frozen=True)
class Part:
    """One year of one store.

    Attributes
    ----------
    store : where it is
    year : which is read
    dims : of its vectors; None for all
    name : of the store, for people
    """

    store: EmbeddingSource
    year: int
    dims: int | None
    name: str


@dataclass(frozen=True)
class Sources:
    """What a head reads, in the order of its inputs.

    Attributes
    ----------
    parts : a year of a store each
    area : that is mapped
    window : the pixels of the map
    """

    parts: tuple[Part, ...]
    area: Area | Window
    window: Window

    @property
    def years(self) -> tuple[int, ...]:
        """The years that are read, in order."""
        return tuple(part.year for part in self.parts)

    def read(self, window: Window) -> StackedVectors:
        """The vectors of a part of the map's window."""
        return StackedVectors(tuple(self._read(part, self.area, window) for part in self.parts))

    def read_grown(self, window: Window, margin: int) -> StackedVectors:
        """The vectors of a part of the map's window and so many pixels around it; beyond the lattice they are no data.

        Pixels in another UTM zone are read there. A window asks for one zone, and is read in it alone.
        """
        inputs = [(part.store, part.year, part.dims) for part in self.parts]
        return read_around(inputs, window, margin, across=not isinstance(self.area, Window))

    @staticmethod
    def _read(part: Part, area: Area | Window, window: Window) -> CodedVectors:
        strips = list(part.store.iter_codes(area, part.year, part.dims, within=window))
        if sum(len(strip) for strip in strips) != window.height or any(
            strip.scales.shape[1:] != (window.width,) for strip in strips
        ):
            shapes = ", ".join(str(strip.scales.shape) for strip in strips) or "none"
            raise InputError(f"the store returned strips of {shapes} pixels for {window.shape}")
        if len(strips) == 1:
            return strips[0]
        return CodedVectors(*(np.concatenate([getattr(one, name) for one in strips]) for name in ("codes", "scales")))

    def state(self) -> list[Any]:
        """What the sources hold in the area, as plain values; first None where a source cannot tell."""
        found = []
        for part in self.parts:
            ask = getattr(part.store, "state", None)
            held = None if ask is None else ask(self.area, part.year)
            found.append([held, part.store.model.sha256, part.year, part.dims])
        return found

    def whereabouts(self) -> str:
        """Where the sources have data, as a clause of a message."""
        for part in self.parts:
            ask = getattr(part.store, "whereabouts", None)
            told = "" if ask is None else str(ask(part.year))
            if told:
                return told
        return "expected an area that the store covers"


def find_sources(
    head: MapHead,
    stores: EmbeddingSource | str | Path | Sequence[EmbeddingSource | str | Path],
    area: Area | Window,
    year: Any,
) -> Sources:
    """Pair the inputs of a head with stores and years, and look whether the area has data.

    Parameters
    ----------
    stores : one for all inputs, or one for each input in their order
    year : None for the years of the head; else one for each input

    Raises
    ------
    InputError
        Another number of stores or years, a store of another model, with fewer dims or without the year; or nothing was
        written in the area.
    """
    given = [parse_source(one) for one in (stores if isinstance(stores, (list, tuple)) else (stores,))]
    inputs = head.inputs
    if len(given) not in (1, len(inputs)):
        raise InputError(f"{len(given)} stores; the head reads {_told(inputs)}: expected one for each, in this order")
    pairs = list(zip(given * len(inputs) if len(given) == 1 else given, inputs, strict=True))
    for store, asked in pairs:
        if store.model.sha256 != asked.model.sha256:
            raise InputError(
                f"the store holds embeddings of {store.model.name} ({store.model.sha256[:12]}); the head learnt from "
                f"those of {asked.model.name} ({asked.model.sha256[:12]})"
            )
        if store.dims < asked.dims:
            raise InputError(f"the store holds {store.dims} dims; the head reads {asked.dims}")
    years = _years(year, inputs)
    parts = tuple(
        Part(store, parse_year(store, one), None if asked.dims == store.dims else asked.dims, _name(store))
        for (store, asked), one in zip(pairs, years, strict=True)
    )
    windows = {store.region_grid(area) for store in given}
    if len(windows) != 1:
        raise InputError("the stores give different grids for the area; expected stores on one lattice")
    for part in parts:
        refuse_empty(part.store, area, part.year)
    return Sources(parts, area, windows.pop())


def _years(given: Any, inputs: Sequence[MapInput]) -> list[Any]:
    if given is None:
        return [one.year for one in inputs]
    years = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(years) != len(inputs):
        raise InputError(
            f"year {', '.join(map(str, years))}; the head reads {_told(inputs)}: expected a year for each, in order"
        )
    return years


def _name(store: EmbeddingSource) -> str:
    """The last part of a store's path or address; "" where it has none."""
    root = getattr(getattr(store, "objects", None), "root", "")
    return str(root).rstrip("/").rpartition("/")[2]


def _told(inputs: Sequence[MapInput]) -> str:
    return ", ".join(f"{one.dims} dims of {one.model.name} of {one.year}" for one in inputs)


def head_digest(head: MapHead) -> str:
    """SHA-256 of all that a head's maps depend on: what it learnt, its classes, inputs, calibration and distances."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        digest.update(json.dumps(value, sort_keys=True).encode() + b"\0")

    # as plain values: what JSON cannot hold is an error, not a text that may differ from run to run
    values, edges = [int(one) for one in head.values], [float(one) for one in head.edges]
    add([head.head, head.column, head.classes, values, head.colours, edges])
    add([[int(one.year), int(one.dims), one.model.sha256] for one in head.inputs])
    add(None if head.trust is None else head.trust.to_json())
    held = {} if head.applicability is None else head.applicability.arrays()
    for name, array in [*sorted(head.learnt.arrays().items()), *sorted(held.items())]:
        add([name, array.dtype.str, array.shape])
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
