"""What the commit records of a store say: what was written from which inputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.geo import Window, lonlat_box

from .commits import input_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tessera.embeddings import Embeddings
    from tessera.shards import Header, Layout

    from .commits import Backend, Commit

_TOLD = ("period", "source", "recipe", "reader")
"""Entries of provenance that say what embeddings were made from."""


def check_model(embeddings: Embeddings, header: Header) -> None:
    """Raise InputError unless embeddings are of a store's model and length."""
    if embeddings.model.sha256 != header.model.sha256:
        raise InputError(
            f"embeddings of {embeddings.model.name} ({embeddings.model.sha256[:12]}) for a store of "
            f"{header.model.name} ({header.model.sha256[:12]}); a store holds one model"
        )
    if embeddings.shape[2] != header.layout.dims:
        raise InputError(f"embeddings of {embeddings.shape[2]} dims for a store of {header.layout.dims}")


def is_written(
    backend: Backend, header: Header, window: Window, year: int, like: Callable[[dict[str, Any]], bool]
) -> bool:
    """Whether all cells of a window hold it whole, from inputs whose provenance is like that."""
    for cell in window.cells(header.layout.shard):
        inside = cell.window.intersection(window)
        try:
            record = backend.read_commit(cell, year)
        except InputError:
            return False
        if record is None or inside is None:
            return False
        if not any(part == input_of(inside, part["provenance"]) and like(part["provenance"]) for part in record.inputs):
            return False
        if not backend.is_whole(header, cell, record):
            return False
    return True


def store_info(root: str, header: Header, backend: Backend | None) -> dict[str, Any]:
    """What `Store.info` returns; without cells where there is no backend."""
    layout = header.layout
    about: dict[str, Any] = {
        "store": root,
        "model": header.model.to_json(),
        "dims": layout.dims,
        "prefixes": list(layout.prefixes),
        "years": list(header.years),
        "zones": list(header.zones),
        "shard": layout.shard,
        "chunk": layout.chunk,
    }
    if backend is not None:
        about["cells"] = {str(year): _year_info(backend, layout, year) for year in header.years}
    return about


def _year_info(backend: Backend, layout: Layout, year: int) -> dict[str, Any]:
    """Cells, pixels, bytes, where they lie and what they were made from."""
    cells = list(backend.cells(year, layout))
    records = {cell.name: backend.read_commit(cell, year) for cell in cells}
    found = {name: record for name, record in records.items() if record is not None}
    total = {key: sum(record.pixels.get(key, 0) for record in found.values()) for key in ("valid", "no_data")}
    return {
        "count": len(found),
        "names": sorted(found),
        "zones": sorted({cell.zone for cell in cells}),
        "pixels": total,
        "bytes": sum(int(item["bytes"]) for record in found.values() for item in record.objects.values()),
        "bbox": lonlat_box(
            Window(int(record.cell[3:5]), *part["window"]) for record in found.values() for part in record.inputs
        ),
        "made_from": _made_from(found.values()),
    }


def _made_from(records: Iterable[Commit]) -> list[dict[str, Any]]:
    """What the parts of records were made from, as far as they say, each once with its number of cells."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        told = {}
        for part in record.inputs:
            about = {key: part["provenance"][key] for key in _TOLD if key in part["provenance"]}
            told[json.dumps(about, sort_keys=True)] = about
        for key, about in told.items():
            found.setdefault(key, {**about, "cells": 0})["cells"] += 1
    return [found[key] for key in sorted(found)]
