"""Writing: a store's documents, a new year, and embeddings split by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, file_lock, new_folder, read_json, write_atomic
from tessera.embeddings import is_valid
from tessera.geo import Window
from tessera.net import CorruptError, open_objects

from .commit import (
    BOOKKEEPING,
    Commit,
    all_there,
    cell_lock_path,
    pack_bitmap,
    put_cell,
    read_commit,
    recover_cell,
)
from .layout import COUNTS, SCALES
from .metadata import DOCUMENT, MOST_YEARS, Header, documents, year_documents
from .reader import read_window
from .shard import chunk_bitmap, encode_shard

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell


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
            if len(header.years) == MOST_YEARS:
                raise InputError(f"{folder} holds {MOST_YEARS} years already, the most there can be; {year} is new")
            header = replace(header, years=(*header.years, year))
        elif _root_years(folder) == header.years:
            return header
        for key, data in year_documents(header):
            write_atomic(folder / key, data)
    return header


def _root_years(folder: Path) -> tuple[int, ...] | None:
    """The years that stock readers see, None where the root is missing or cannot be read and must be written again."""
    try:
        root = read_json(folder / "zarr.json", what="root metadata")
        return tuple(root["attributes"]["tessera:years"])
    except (InputError, KeyError, TypeError):
        return None


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
        before = _readable_commit(folder, year, cell)
        everything = window == cell.window and bool(is_valid(part.scales).all())
        codes, scales, counts = _read_before(folder, header, cell, year_index, before, everything=everything)
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
        return put_cell(folder, cell, record, shards, keys, layout, before)


def _readable_commit(folder: Path, year: int, cell: Cell) -> Commit | None:
    """The record, None also where it cannot be read: it is made again from the shards."""
    try:
        return read_commit(folder, year, cell)
    except InputError:
        return None


def _read_before(
    folder: Path, header: Header, cell: Cell, year_index: int, before: Commit | None, *, everything: bool
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.uint16]]:
    """What a cell holds already: the shards are the truth, with or without a record.

    A damaged cell is replaced only by embeddings that have data in every pixel of it, so that nothing which could still
    be read is lost.
    """
    layout = header.layout
    specs = (layout.codes, SCALES, COUNTS)
    try:
        if before is not None and not all_there(folder, before, {spec.name for spec in specs}):
            raise CorruptError(f"cell {cell.name} of {before.year} lacks objects that its commit record names")
        found = read_window(open_objects(folder), layout, cell.window, year_index, specs)
        return found[layout.codes.name], found[SCALES.name], found[COUNTS.name]
    except CorruptError as error:
        if not everything:
            raise CorruptError(
                f"{error}; to write cell {cell.name} anew, remove its objects and commit record, or write data to all "
                f"of it"
            ) from None
    side = layout.shard
    return (
        np.zeros((side, side, layout.dims), dtype=np.int8),
        np.full((side, side), np.inf, dtype=np.float32),
        np.zeros((side, side, COUNTS.bands), dtype=np.uint16),
    )


def _merge(codes: NDArray[np.int8], scales: NDArray[np.float32], counts: NDArray[np.uint16], part: Embeddings) -> None:
    new = is_valid(part.scales)
    blank = np.isnan(part.scales) & ~is_valid(scales)
    codes[new] = part.codes[new]
    scales[new] = part.scales[new]
    scales[blank] = np.nan
    counts[new | blank] = part.counts[new | blank]


def _inputs(before: Commit | None, window: Window, provenance: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The parts that a cell was written from; one is intact while no later part touched its window."""
    kept = []
    for part in () if before is None else before.inputs:
        west, north, width, height = part["window"]
        old = Window(window.zone, west, north, width, height)
        if old != window:
            kept.append({**part, "intact": bool(part["intact"]) and old.intersection(window) is None})
    return (*kept, input_of(window, provenance))


def input_of(window: Window, provenance: dict[str, Any]) -> dict[str, Any]:
    """What a commit record keeps of one written part."""
    place = [window.west, window.north, window.width, window.height]
    return {"window": place, "provenance": provenance, "intact": True}
