"""`repair_store`: drop broken cells so that they can be embedded again; nothing else is touched.

Nothing that an old report says is believed: each cell is looked at again under its lock. What a killed writer left is
finished where that can be. A cell is dropped with its scales first, so that every reader sees no data; then its other
objects, what is staged of it, and its record last, so that a repair that was killed is found and finished by the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tessera.base import Folder, InputError, TesseraError, silent, sync_folder
from tessera.geo import parse_cell
from tessera.store import BOOKKEEPING, cell_lock_path, commit_path, is_pending, recover_cell

from ._cell import Subject, examine
from ._documents import damaged_documents
from .check import check_store, open_subject
from .report import Repair

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.base import Progress
    from tessera.geo import Cell
    from tessera.store import Store

    from .report import Report

Outcome = Literal["whole", "finished", "swept", "dropped"]


def repair_store(
    store: Store,
    report: Report | None = None,
    *,
    year: int | None = None,
    area: object | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Repair:
    """Drop the broken cells of a local store, finish pending commits, and write damaged documents again.

    Parameters
    ----------
    report : of a check; where None, `year` and `area` are checked first
    dry_run : change nothing, and say what would be done
    progress : called with cells done and their total

    Raises
    ------
    InputError
        As for `check_store`.
    """
    subject = open_subject(store)
    if report is None:
        report = check_store(store, year, area)
    left: list[str] = []
    restored = _restore(store, left, dry_run=dry_run)
    done: dict[Outcome, list[tuple[int, str]]] = {"whole": [], "finished": [], "swept": [], "dropped": []}
    for number, (kept, name) in enumerate(report.touched):
        try:
            cell = parse_cell(name, subject.header.layout.shard)
            if kept in subject.header.years:
                done[_mend(subject, cell, kept, dry_run=dry_run)].append((kept, name))
        except (BlockingIOError, PermissionError) as error:
            why = "somebody is at work on it" if isinstance(error, BlockingIOError) else error.strerror
            left.append(f"{kept} {name}: {why}")
        except TesseraError as error:
            left.append(f"{kept} {name}: {error}")
        except OSError as error:
            left.append(f"{kept} {name}: {error.filename or ''} {error.strerror or error}")
        progress(number + 1, len(report.touched))
    left += [problem.line for problem in report.problems if problem.kind in ("stray", "busy")]
    return Repair(
        store.objects.root,
        tuple(done["dropped"]),
        tuple(done["finished"]),
        tuple(done["swept"]),
        restored,
        tuple(left),
        dry_run,
    )


def _restore(store: Store, left: list[str], *, dry_run: bool) -> tuple[str, ...]:
    """Write again what does not say what tessera.json says; the keys."""
    subject = open_subject(store)
    folder = subject.folder
    if dry_run:
        return tuple(key for key, _, _ in damaged_documents(folder, subject.header))
    restored = []
    door = Folder(folder)
    with door.lock(f"{BOOKKEEPING}/locks/years.lock"):
        # a year may have been added before the lock was ours
        for key, data, wrong in list(damaged_documents(folder, open_subject(store).header)):
            try:
                door.write(key, data)
            except InputError as error:
                left.append(str(error))
            except OSError as error:
                left.append(f"{wrong}; it cannot be written: {error.strerror}")
            else:
                restored.append(key)
    return tuple(restored)


def _mend(subject: Subject, cell: Cell, year: int, *, dry_run: bool) -> Outcome:
    """Look at a cell again and do what it needs; `BlockingIOError` where somebody else holds its lock."""
    if dry_run:
        return _judge(subject, cell, year)
    folder = subject.folder
    with Folder(folder).lock(cell_lock_path(folder, year, cell), wait=False):
        outcome = _judge(subject, cell, year)
        if outcome == "finished":
            recover_cell(folder, year, cell, subject.header.layout)
        elif outcome == "swept":
            _forget_staged(folder, year, cell)
        if outcome in ("finished", "swept"):
            _remove_parts(folder, year, cell)
            if examine(subject, cell, year).broken:
                outcome = "dropped"
        if outcome == "dropped":
            _drop(subject, cell, year)
    return outcome


def _judge(subject: Subject, cell: Cell, year: int) -> Outcome:
    """What a cell needs, as it is now."""
    found = examine(subject, cell, year)
    if not any(problem.kind == "pending" for problem in found.problems):
        return "dropped" if found.broken else "whole"
    if not found.broken:
        return "finished" if is_pending(subject.folder, year, cell) else "swept"
    # a commit that cannot be finished costs only itself where the cell is as it was before
    return "dropped" if examine(subject, cell, year, as_it_is=True).broken else "swept"


def _drop(subject: Subject, cell: Cell, year: int) -> None:
    folder, layout = subject.folder, subject.header.layout
    door, index = Folder(folder), subject.header.years.index(year)
    paths = [folder / layout.key(spec, cell, index) for spec in reversed(layout.arrays)]
    record = commit_path(folder, year, cell)
    for path in (*paths, record):
        door.at(path)
    for path in paths:
        _unlink(door, path)
    _forget_staged(folder, year, cell)
    _remove_parts(folder, year, cell)
    _unlink(door, record)


def _unlink(door: Folder, path: Path) -> None:
    if door.remove(path):
        sync_folder(path.parent)


def _forget_staged(folder: Path, year: int, cell: Cell) -> None:
    door, staging = Folder(folder), folder / BOOKKEEPING / "staging" / str(year) / cell.name
    if door.at(staging).is_dir() and not staging.is_symlink():
        _unlink(door, staging / "intent.json")
    door.remove_tree(staging, careful=True)


def _remove_parts(folder: Path, year: int, cell: Cell) -> None:
    """Remove records that were being written when their writer was killed."""
    door = Folder(folder)
    record = door.at(commit_path(folder, year, cell))
    for path in record.parent.glob(f".{record.name}.*.part"):
        door.remove(path)
