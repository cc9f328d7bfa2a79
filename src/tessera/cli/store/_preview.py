"""tessera store preview: overviews and pictures of a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import FolderArgument, JsonOption, OverwriteOption, print_json, step


def preview(
    store: FolderArgument,
    year: Annotated[
        list[int] | None,
        typer.Option(metavar="YEAR", help="Year. Repeatable. Default: all. The picture shows the latest."),
    ] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Fit the colours to the data again.")] = False,
    colours: Annotated[
        str | None,
        typer.Option(help="pca (principal components; default for a new preview) or bands (the first three dims)."),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Colour the 10 m pixels too, now and in later runs. Reads the whole store."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Draw a picture of the whole store too: a .png file.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make or update the overviews of a store: mean embeddings at 160 m and 1.28 km, in false colours too.

    They are written into the store, with a global image pyramid. Only what changed is read. After a stop, run the same
    command again: it continues.

    Example: tessera store preview store.zarr -o preview.png
    """
    from dataclasses import asdict

    from tessera.base import TesseraError, check_picture
    from tessera.preview import draw_preview, update_preview
    from tessera.store import open_store

    if out is not None:
        check_picture(out, "preview", inputs=(store,), overwrite=overwrite)
    years = tuple(year) if year else None
    report = update_preview(open_store(store), years, refit=refit, colours=colours, full=full, step=step)
    drawn = None if out is None else draw_preview(open_store(store), out, overwrite=overwrite)
    if as_json:
        print_json({**asdict(report), "picture": None if drawn is None else str(drawn[0])})
    else:
        cells = f"{report.cells_made:,} cell{'s' * (report.cells_made != 1)} made, {report.cells_kept:,} already there"
        dropped = f", {report.cells_dropped} dropped" * bool(report.cells_dropped)
        size = report.bytes
        print(
            f"overviews: {cells}{dropped}; {size['d160'] / 1e6:,.2f} MB at 160 m, {size['d1280'] / 1e6:,.2f} at 1.28 km"
        )
        how = "fitted now to" if report.fitted else "kept, fitted to"
        shares = ", ".join(f"{share:.0%}" for share in report.explained)
        print(f"colours: {report.method}, {how} {report.sample:,} pixels of 160 m; components explain {shares}")
        if report.full is not None:
            print(f"10 m colours: {report.full:,} cells coloured")
        print(f"pyramid of {report.year}: {report.chunks} chunks written, {size['pyramid'] / 1e6:,.2f} MB")
        if drawn is not None:
            west, south, east, north = drawn[2]
            side = f"{drawn[1] * 111_320:,.0f} m"
            print(f"{drawn[0]}: {west:.4f},{south:.4f},{east:.4f},{north:.4f}, pixels of {drawn[1]:g} degrees ({side})")
    if report.troubled:
        cell, why = next(iter(report.troubled.items()))
        count = len(report.troubled)
        raise TesseraError(
            f"{count:,} cell{'s' * (count != 1)} could not be read, such as {cell} ({why}); all others are done: "
            "run tessera store check, then this command again"
        )
