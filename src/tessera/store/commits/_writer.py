"""Writing: a store's documents, a new year, and embeddings split by cell."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tessera.base import Folder, InputError, TesseraError, new_folder
from tessera.net import CorruptError, open_objects
from tessera.shards import (
    COUNTS,
    DOCUMENT,
    DOCUMENT_LIMIT,
    MOST_YEARS,
    SCALES,
    Header,
    read_window,
    store_documents,
    year_documents,
    zone_name,
)

from .commit import BOOKKEEPING, all_there, cell_lock_path, check_targets, put_cell, read_commit, recover_cell
from .merge import Pixels, covers, draw_up, merge

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.embeddings import Embeddings
    from tessera.geo import Cell, Window
    from tessera.net import Objects
    from tessera.shards import Layout

    from .commit import Commit

ROOT_LIMIT = 8 * 1024**2
"""Bytes of a root's metadata that are read; of 60 zones it has about 1 MB."""


def write_new(folder: Path, header: Header) -> None:
    """Create a store; it appears whole or not at all."""
    try:
        with new_folder(folder, "the store") as part:
            for key, data in store_documents(header):
                path = part / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)  # in a folder that is this process's alone
    except OSError as error:
        raise TesseraError(f"store {folder} was not created: {error.strerror}") from None


def read_header(folder: Path) -> Header:
    """The header of a local store as it is now."""
    try:
        data = Folder(folder).read(DOCUMENT, what="store's document", limit=DOCUMENT_LIMIT)
        return Header.decode(data, str(folder / DOCUMENT))
    except FileNotFoundError:
        raise InputError(f"{folder} is no store: it has no {DOCUMENT}") from None


def ensure_year(folder: Path, year: int) -> Header:
    """Append a year to the time axis of every zone, unless it is there; safe to kill and to run again."""
    door = Folder(folder)
    with door.lock(f"{BOOKKEEPING}/locks/years.lock"):
        header = read_header(folder)
        if year not in header.years:
            if len(header.years) == MOST_YEARS:
                raise InputError(f"{folder} holds {MOST_YEARS} years already, the most there can be; {year} is new")
            header = replace(header, years=(*header.years, year))
        elif _root_years(folder) == header.years:
            return header
        new = list(year_documents(header))
        for key, _ in new:
            door.at(key)
        for key, data in new:
            path = folder / key
            for left in path.parent.glob(f".{path.name}.*.part"):
                door.remove(left)
            door.write(path, data)
    return header


def _root_years(folder: Path) -> tuple[int, ...] | None:
    """The years that stock readers see, None where the root is missing or cannot be read and must be written again."""
    try:
        root = Folder(folder).json("zarr.json", what="root metadata", limit=ROOT_LIMIT)
        return tuple(root["attributes"]["tessera:years"])
    except (InputError, KeyError, TypeError):
        return None


def check_folders(folder: Path, header: Header) -> None:
    """Refuse a link that leads out of a store's folder where a writer works; a cell's folders are looked at later."""
    door = Folder(folder)
    places = [f"{BOOKKEEPING}/{name}" for name in ("locks", "staging", "work", "catalogue")]
    places += ["commits", *(f"commits/{year}" for year in header.years)]
    for zone in header.zones:
        group = zone_name(zone)
        places += [f"{group}/{name}/c" for name in ("time", *(spec.name for spec in header.layout.arrays))]
    for place in places:
        door.inner(place)


def write_cell(folder: Path, header: Header, cell: Cell, year: int, part: Embeddings, window: Window) -> Commit:
    """See `backend.Backend`."""
    layout = header.layout
    year_index = header.years.index(year)
    keys = {spec.name: layout.key(spec, cell, year_index) for spec in layout.arrays}
    check_targets(folder, cell, year, keys)
    with Folder(folder).lock(cell_lock_path(folder, year, cell)):
        recover_cell(folder, year, cell, layout)
        before = _readable_commit(folder, year, cell)
        held = None if covers(cell, window, part) else _read_before(folder, header, cell, year_index, before)
        record, shards = draw_up(header, cell, year, merge(held, cell, window, part), before, window, part.provenance)
        return put_cell(folder, cell, record, shards, keys, layout, before)


def _readable_commit(folder: Path, year: int, cell: Cell) -> Commit | None:
    """The record, None also where it cannot be read: it is made again from the shards."""
    try:
        return read_commit(folder, year, cell)
    except InputError:
        return None


def _read_before(folder: Path, header: Header, cell: Cell, year_index: int, before: Commit | None) -> Pixels:
    """What a cell holds already: the shards are the truth, with or without a record.

    A damaged cell is replaced only by embeddings that have data in every pixel of it, so that nothing which could still
    be read is lost.
    """
    names = {spec.name for spec in (header.layout.codes, SCALES, COUNTS)}
    try:
        if before is not None and not all_there(folder, before, names):
            raise CorruptError(f"cell {cell.name} of {before.year} lacks objects that its commit record names")
        return read_pixels(open_objects(folder), header.layout, cell, year_index)
    except CorruptError as error:
        raise unreadable(cell, error) from None


def read_pixels(objects: Objects, layout: Layout, cell: Cell, year_index: int) -> Pixels:
    """A cell as it is, verified."""
    found = read_window(objects, layout, cell.window, year_index, (layout.codes, SCALES, COUNTS))
    return Pixels(found[layout.codes.name], found[SCALES.name], found[COUNTS.name])


def unreadable(cell: Cell, error: CorruptError) -> CorruptError:
    """The same error with what helps."""
    return CorruptError(
        f"{error}; to write cell {cell.name} anew, use tessera store repair first, or write data to all of it"
    )
