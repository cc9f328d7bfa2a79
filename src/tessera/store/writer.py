"""Writing: a store's documents, a new year, and embeddings split by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, file_lock, new_folder, read_json, write_atomic
from tessera.embeddings import is_valid
from tessera.net import open_objects

from .commit import (
    BOOKKEEPING,
    Commit,
    cell_lock_path,
    pack_bitmap,
    put_cell,
    read_commit,
    recover_cell,
)
from .layout import COUNTS, SCALES
from .metadata import DOCUMENT, Header, documents, year_documents
from .reader import read_window
from .shard import chunk_bitmap, encode_shard

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell, Window


def write_new(folder: Path, header: Header) -> None:
    """Create a store; it appears whole or not at all.

    Raises
    ------
    InputError
        The path exists.
    """
    try:
        with new_folder(folder, "the store") as part:
            for key, data in documents(header):
                path = part / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except OSError as error:
        raise TesseraError(f"store {folder} was not created: {error.strerror}") from None


def read_header(folder: Path) -> Header:
    """The header of a local store as it is now."""
    path = folder / DOCUMENT
    try:
        return Header.decode(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise InputError(f"{folder} is no store: it has no {DOCUMENT}") from None


def ensure_year(folder: Path, year: int) -> Header:
    """Append a year to the time axis of every zone, unless it is there; safe to kill and to run again."""
    with file_lock(folder / BOOKKEEPING / "locks" / "years.lock"):
        header = read_header(folder)
        if year not in header.years:
            header = replace(header, years=(*header.years, year))
        elif _root_years(folder) == header.years:
            return header
        for key, data in year_documents(header):
            write_atomic(folder / key, data)
    return header


def _root_years(folder: Path) -> tuple[int, ...]:
    root = read_json(folder / "zarr.json", what="root metadata")
    years = root.get("attributes", {}).get("tessera:years", [])
    return tuple(years)


def write_cell(folder: Path, header: Header, cell: Cell, year: int, part: Embeddings, window: Window) -> Commit:
    """Merge embeddings into a cell and commit it.

    New valid pixels win; a pixel without data never overwrites one that has some.

    Parameters
    ----------
    part : the embeddings of `window`
    window : a rectangle inside the cell

    Raises
    ------
    CorruptError
        What the cell holds already cannot be read.
    TesseraError
        The disk is full or refuses.
    """
    layout = header.layout
    year_index = header.years.index(year)
    with file_lock(cell_lock_path(folder, year, cell)):
        recover_cell(folder, year, cell, layout)
        before = read_commit(folder, year, cell)
        side = layout.shard
        if before is None or (window == cell.window and bool(is_valid(part.scales).all())):
            codes = np.zeros((side, side, layout.dims), dtype=np.int8)
            scales = np.full((side, side), np.inf, dtype=np.float32)
            counts = np.zeros((side, side, COUNTS.bands), dtype=np.uint16)
        else:
            objects = open_objects(folder)
            codes, scales, counts = (
                read_window(objects, layout, cell.window, year_index, spec) for spec in (layout.codes, SCALES, COUNTS)
            )
        box = window.slices_in(cell.window)
        _merge(codes[box], scales[box], counts[box], part)
        written = ~np.isposinf(scales)
        valid = is_valid(scales)
        chunks = chunk_bitmap(written, layout)
        has_codes = chunk_bitmap(valid, layout)
        shards: dict[str, bytes | None] = {
            layout.codes.name: encode_shard(codes, has_codes, layout.codes, layout),
            SCALES.name: encode_shard(scales, chunks, SCALES, layout),
            COUNTS.name: encode_shard(counts, chunks, COUNTS, layout),
        }
        for spec in layout.prefix_arrays:
            shards[spec.name] = encode_shard(codes[..., : spec.bands], has_codes, spec, layout)
        record = Commit(
            cell=cell.name,
            year=year,
            model=header.model.sha256,
            objects={},
            chunks=pack_bitmap(chunks),
            pixels={
                "valid": int(valid.sum()),
                "no_data": int((written & ~valid).sum()),
                "not_written": int((~written).sum()),
            },
            inputs=_inputs(before, window, part.provenance),
        )
        keys = {spec.name: layout.key(spec, cell, year_index) for spec in layout.arrays}
        return put_cell(folder, cell, record, shards, keys, layout)


def _merge(codes: NDArray[np.int8], scales: NDArray[np.float32], counts: NDArray[np.uint16], part: Embeddings) -> None:
    new = is_valid(part.scales)
    blank = np.isnan(part.scales) & ~is_valid(scales)
    codes[new] = part.codes[new]
    scales[new] = part.scales[new]
    scales[blank] = np.nan
    counts[new | blank] = part.counts[new | blank]


def input_of(window: Window, provenance: dict[str, Any]) -> dict[str, Any]:
    """What a commit record keeps of one written part."""
    return {"window": [window.west, window.north, window.width, window.height], **provenance}


def _inputs(before: Commit | None, window: Window, provenance: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    new = input_of(window, provenance)
    kept = () if before is None else tuple(part for part in before.inputs if part.get("window") != new["window"])
    return (*kept, new)
