"""Records of what each unit was made from, one small JSON file each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tessera.base import Folder, InputError

from ._levels import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from ._levels import Unit

VERSION = 1
_LIMIT = 4 * 1024**2
"""Largest record, bytes; with 1,024 small cells it has 100 kB."""


@dataclass(frozen=True)
class Record:
    """What a unit was made from."""

    cells: dict[str, str]  # name -> digest of the cell's codes and scales
    colours: str = ""  # digest of the colours, empty for means

    def encode(self) -> bytes:
        """The record's bytes."""
        value = {"version": VERSION, "cells": dict(sorted(self.cells.items())), "colours": self.colours}
        return json.dumps(value, indent=0).encode()


NOTHING = Record({})


def record_key(kind: str, year: int, unit: Unit) -> str:
    """Key of a unit's record."""
    return f"{FOLDER}/state/{kind}/{year}/{unit.name}.json"


def read_record(root: Path, kind: str, year: int, unit: Unit) -> Record:
    """The record of a unit; empty if it is missing, damaged or of another version."""
    try:
        value = Folder(root).json(record_key(kind, year, unit), what="record", limit=_LIMIT)
        if value["version"] != VERSION:
            return NOTHING
        return Record({str(name): str(source) for name, source in value["cells"].items()}, str(value["colours"]))
    except (InputError, KeyError, TypeError, AttributeError):
        return NOTHING


def recorded_units(root: Path, kind: str, year: int) -> set[Unit]:
    """The units of a year that have a record."""
    from ._levels import Unit

    found = set()
    for path in Folder(root).inner(f"{FOLDER}/state/{kind}/{year}").glob("utm*.json"):
        zone, _, place = path.stem.removeprefix("utm").partition("_")
        row, _, col = place.partition("_")
        if zone.isdigit() and row.isdigit() and col.isdigit():
            found.add(Unit(int(zone), int(row), int(col)))
    return found
