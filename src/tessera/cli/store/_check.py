"""tessera store check and repair: find broken cells, and drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..terminal import AoiOption, BboxOption, FolderArgument, JsonOption, area_of, print_json, print_table, step

if TYPE_CHECKING:
    from tessera.check import Repair, Report


def check(
    store: FolderArgument,
    year: Annotated[int | None, typer.Option(help="Year. Default: all.")] = None,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a store: its metadata, commit records, hashes, checksums and values, cell by cell.

    It also compares pixels across the borders of neighbouring cells. It changes nothing. The exit code is 1 if
    something is broken; a warning is not an error.

    Example: tessera store check store.zarr --year 2024
    """
    from tessera.check import check_store
    from tessera.store import open_store

    area = area_of(bbox, aoi)
    opened = open_store(store)
    with step("Checking", "cells") as progress:
        report = check_store(opened, year, area, progress=progress)
    if as_json:
        print_json(report.to_json())
    else:
        _print_report(report)
    raise typer.Exit(0 if report.sound else 1)


def _print_report(report: Report) -> None:
    pixels = report.pixels
    bad = f", {pixels.bad:,} with an invalid scale" if pixels.bad else ""
    errors = sum(problem.severity == "error" for problem in report.problems)
    broken = len(report.broken)
    print_table(
        [
            ("store", report.store),
            ("years", " ".join(map(str, report.years)) or "none yet"),
            *([("area", report.area)] if report.area else []),
            ("cells", f"{report.cells:,}, {broken:,} of them broken" if broken else f"{report.cells:,}"),
            (
                "pixels",
                f"{pixels.valid:,} valid, {pixels.no_data:,} without data, {pixels.not_written:,} not written{bad}",
            ),
            ("read", f"{pixels.bytes / 1e6:,.1f} MB, {pixels.bytes / 1e6 / max(report.seconds, 1e-9):,.0f} MB/s"),
            ("seams", f"{report.seams:,} between cells compared"),
            ("verdict", "sound" if report.sound else f"broken, {errors:,} error{'s' * (errors != 1)}"),
        ]
    )
    for problem in report.problems:
        print(problem.line)


def repair(
    store: FolderArgument,
    year: Annotated[int | None, typer.Option(help="Year. Default: all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop the broken cells of a store, so that you can embed them again.

    A dropped cell reads as never written: run the command that embedded it again. Repair also finishes commits of
    killed writers, and rewrites damaged metadata. The exit code is 1 if something broken is left.

    Example: tessera store repair store.zarr --dry-run
    """
    from tessera.check import check_store, repair_store
    from tessera.store import open_store

    opened = open_store(store)
    with step("Checking", "cells") as progress:
        report = check_store(opened, year, progress=progress)
    with step("Repairing", "cells") as progress:
        done = repair_store(opened, report, dry_run=dry_run, progress=progress)
    if as_json:
        print_json(done.to_json())
    else:
        _print_repair(done)
    raise typer.Exit(1 if done.left else 0)


def _print_repair(done: Repair) -> None:
    would = "would be " if done.dry_run else ""
    for what, cells in (("dropped", done.dropped), ("finished", done.finished), ("cleaned up", done.swept)):
        for year, cell in cells:
            print(f"{year} {cell}: {would}{what}")
    for key in done.restored:
        print(f"{key}: {would}rewritten")
    for line in done.left:
        print(f"not repaired: {line}")
    if not (done.dropped or done.finished or done.swept or done.restored or done.left):
        print(f"{done.store}: nothing to repair")
