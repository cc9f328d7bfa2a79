"""List the cells of which a folder holds a record, an object or a staged file, and files that belong to no cell."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError
from tessera.geo import NORTH, WEST, Cell, parse_area, parse_cell
from tessera.shards import zone_name
from tessera.store import BOOKKEEPING

from .report import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.shards import ArraySpec, Header

_MOST_STRAYS = 100
"""Lines about what belongs to no cell; beyond it they are counted only."""
_PART = re.compile(r"\.(utm[\w-]+)\.json\.(?:[\w-]+\.)?\d+(?:-\d+)?\.part", re.ASCII)
"""A record that was being written, by a writer that was killed if it still lies there."""


@dataclass
class Survey:
    """Files by cell."""

    # year -> cells that have a record, an object or something staged
    cells: dict[int, set[Cell]] = field(default_factory=lambda: defaultdict(set))
    problems: list[Problem] = field(default_factory=list)  # what belongs to no cell of this store
    _more: int = 0

    def stray(self, text: str, year: int | None = None) -> None:
        """Note what belongs to no cell."""
        if len(self.problems) < _MOST_STRAYS:
            self.problems.append(Problem(year, None, "stray", "error", text))
        else:
            self._more += 1

    def close(self) -> None:
        """Say how much was not listed."""
        if self._more:
            self.problems.append(Problem(None, None, "stray", "error", f"{self._more} more that belong to no cell"))


def survey(folder: Path, header: Header, years: tuple[int, ...]) -> Survey:
    """List a folder by names only; symbolic links are not followed."""
    found = Survey()
    _records(found, folder, header, years)
    for zone in header.zones:
        for spec in header.layout.arrays:
            _objects(found, folder, header, years, zone, spec)
    for path in _entries(found, folder / BOOKKEEPING / "staging", folders=True, quiet=True):
        for staged in _entries(found, path, folders=True, quiet=True):
            cell = _cell_of(staged.name, header)
            if cell is not None and path.name.isdecimal() and int(path.name) in years:
                found.cells[int(path.name)].add(cell)
    found.close()
    return found


def in_area(cells: set[Cell], area: object) -> tuple[str, set[Cell]]:
    """The name of an area, and those of the cells that it touches."""
    import shapely

    place = parse_area(area)
    parts = {part.zone: part.geometry for part in place.parts()}
    for geometry in parts.values():
        shapely.prepare(geometry)
    inside = {
        cell
        for cell in cells
        if cell.zone in parts and shapely.intersects(parts[cell.zone], shapely.box(*cell.window.bounds))
    }
    if place.cell_window is not None:
        # a cell only touches its neighbours
        inside = {cell for cell in inside if cell.window.intersection(place.cell_window) is not None}
    return place.name, inside


def _entries(found: Survey, folder: Path, *, folders: bool = False, quiet: bool = False) -> Iterator[Path]:
    """What lies in a folder, by name; what is a link, or is no folder where `folders` is set, is a stray."""
    if folder.is_symlink():
        found.stray(f"{folder} is a symbolic link; what it leads to is not checked")
        return
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        found.stray(f"{folder} is no folder")
        return
    for entry in listed:
        path = Path(entry.path)
        if entry.is_symlink():
            found.stray(f"{_shown(path)} is a symbolic link; what it leads to is not checked")
        elif folders and not entry.is_dir(follow_symlinks=False):
            if not quiet:
                found.stray(f"{_shown(path)} belongs to no cell")
        else:
            yield path


def _shown(path: Path) -> str:
    """A path whose last name is a stranger's."""
    return f"{path.parent}/{path.name[:100]!r}" if not path.name.isprintable() or len(path.name) > 100 else str(path)


def _cell_of(name: str, header: Header) -> Cell | None:
    try:
        cell = parse_cell(name, header.layout.shard)
    except InputError:
        return None
    return cell if cell.name == name and cell.zone in header.zones else None


def _records(found: Survey, folder: Path, header: Header, years: tuple[int, ...]) -> None:
    for path in _entries(found, folder / "commits", folders=True):
        listed = {str(year): year for year in header.years}
        if path.name not in listed:
            found.stray(f"{_shown(path)} has records of a year that tessera.json does not list")
            continue
        year = listed[path.name]
        if year not in years:
            continue
        for record in _entries(found, path):
            part = _PART.fullmatch(record.name)
            name = part[1] if part else record.name.removesuffix(".json")
            cell = _cell_of(name, header)
            if cell is None or not (part or record.name.endswith(".json")):
                found.stray(f"{_shown(record)} is the record of no cell of this store's lattice and zones", year)
            else:
                found.cells[year].add(cell)


def _objects(found: Survey, folder: Path, header: Header, years: tuple[int, ...], zone: int, spec: ArraySpec) -> None:
    layout = header.layout
    for time in _entries(found, folder / zone_name(zone) / spec.name / "c", folders=True):
        index = _number(time.name)
        if index is None or index >= len(header.years):
            found.stray(f"{_shown(time)} is of no year that tessera.json lists")
            continue
        if header.years[index] not in years:
            continue
        bands = time if spec.axis is None else time / "0"
        if spec.axis is not None:
            for path in _entries(found, time, folders=True):
                if path.name != "0":
                    found.stray(f"{_shown(path)} belongs to no cell", header.years[index])
        for row in _entries(found, bands, folders=True):
            for path in _entries(found, row):
                cell = _cell_at(zone, _number(row.name), _number(path.name), layout.shard)
                if cell is None:
                    found.stray(f"{_shown(path)} belongs to no cell", header.years[index])
                else:
                    found.cells[header.years[index]].add(cell)


def _number(name: str) -> int | None:
    return int(name) if re.fullmatch(r"0|[1-9]\d{0,8}", name, re.ASCII) else None


def _cell_at(zone: int, row: int | None, col: int | None, shard: int) -> Cell | None:
    if row is None or col is None:
        return None
    try:
        return Cell.at(zone, WEST + col * shard, NORTH - 1 - row * shard, shard)
    except InputError:
        return None
