"""`check_store`: verify a local store cell by cell, in bounded memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tessera.base import InputError, silent
from tessera.geo import Cell, Window
from tessera.net import MissingError, NetError
from tessera.shards import DOCUMENT, DOCUMENT_LIMIT, SCALES, Header
from tessera.store import BOOKKEEPING

from ._cell import Subject, check_cell, no_writer
from ._documents import damaged_documents
from ._seams import DEPTH, seam
from ._survey import in_area, survey
from .report import Problem, Report, Tally

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.store import Store


def check_store(
    store: Store, year: int | None = None, area: object | None = None, *, progress: Progress = silent
) -> Report:
    """Verify a local store: documents, records, every byte of its objects, every value's plausibility, seams.

    Nothing is written. A cell on which a writer is at work is left out, and said so.

    Parameters
    ----------
    year : one of its years, all where None
    area : whatever `tessera.geo.parse_area` reads; only cells that it touches, all where None
    progress : called with cells and seams done and their total

    Raises
    ------
    InputError
        A store that is read by URL or was not written by us, no such year, or no area.
    """
    began = time.monotonic()
    subject = open_subject(store)
    header = subject.header
    years = header.years if year is None else (header.years[header.year_index(year, store.objects.root)],)
    problems = [Problem(None, None, "metadata", "error", wrong) for wrong in _document_problems(subject)]
    found = survey(subject.folder, header, years)
    problems += found.problems
    name = None
    if area is not None:
        name, inside = in_area(set().union(*found.cells.values()), area)
        found.cells = {kept: cells & inside for kept, cells in found.cells.items()}
    jobs = [(kept, cell) for kept in years for cell in sorted(found.cells.get(kept, ()))]
    pairs = _pairs(jobs)
    tally, sound, done = Tally(), set(), 0
    for kept, cell in jobs:
        checked = check_cell(subject, cell, kept)
        problems += checked.problems
        tally += checked.pixels
        if checked.readable:
            sound.add((kept, cell))
        done += 1
        progress(done, len(jobs) + len(pairs))
    seams = 0
    for kept, cell, other in pairs:
        if (kept, cell) in sound and (kept, other) in sound:
            tested, wrong = _seam(subject, kept, cell, other)
            seams += tested
            if wrong is not None:
                problems.append(Problem(kept, cell.name, "seam", "warning", f"seam with {other.name}: {wrong}"))
        done += 1
        progress(done, len(jobs) + len(pairs))
    order = sorted(problems, key=lambda p: (p.year or 0, p.cell or "", p.kind, p.text))
    seconds = time.monotonic() - began
    return Report(store.objects.root, years, name, len(jobs), tally, seams, seconds, tuple(order))


def open_subject(store: Store) -> Subject:
    """Open the local store as it is now."""
    objects = store.objects
    if objects.folder is None:
        raise InputError(f"{objects.root} is read by URL; check and repair work on a store's folder")
    try:
        data = objects.read(DOCUMENT, limit=DOCUMENT_LIMIT)
    except MissingError:
        raise InputError(
            f"{objects.root} has no {DOCUMENT}: it is a store of others, which has no commit records to check"
        ) from None
    return Subject(objects, objects.folder, Header.decode(data, f"{objects.root}/{DOCUMENT}"))


def _document_problems(subject: Subject) -> list[str]:
    with no_writer(subject.folder / BOOKKEEPING / "locks" / "years.lock", wait=True):
        # a year may have been added since
        data = subject.objects.read(DOCUMENT, limit=DOCUMENT_LIMIT)
        header = Header.decode(data, f"{subject.objects.root}/{DOCUMENT}")
        return [wrong for _, _, wrong in damaged_documents(subject.folder, header)]


def _pairs(jobs: list[tuple[int, Cell]]) -> list[tuple[int, Cell, Cell]]:
    """Each cell with its neighbours in the east and in the south, where they are among the jobs."""
    there = set(jobs)
    pairs = []
    for year, cell in jobs:
        window = cell.window
        if cell.size < 2 * DEPTH:
            continue
        for px, py in ((window.east, window.north - 1), (window.west, window.south - 1)):
            try:
                other = Cell.at(cell.zone, px, py, cell.size)
            except InputError:
                continue
            if (year, other) in there:
                pairs.append((year, cell, other))
    return pairs


def _seam(subject: Subject, year: int, cell: Cell, other: Cell) -> tuple[bool, str | None]:
    here, size = cell.window, cell.size
    along = other.window.north == here.north
    if along:
        window = Window(cell.zone, here.east - DEPTH, here.north, 2 * DEPTH, size)
    else:
        window = Window(cell.zone, here.west, here.south + DEPTH, size, 2 * DEPTH)
    codes = subject.header.layout.codes
    try:
        found = subject.source.read_window(window, subject.header.years.index(year), (codes,))
    except NetError:
        # it was verified a moment ago: a writer is at work
        return False, None
    values, scales = found[codes.name], found[SCALES.name]
    if not along:
        values, scales = values.swapaxes(0, 1), scales.T
    return seam(values, scales)
