"""tessera store import and export: published tiles into and out of a store, older year stores into one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.base import InputError, check_folder, only_year

from ..terminal import AoiOption, BboxOption, DryRunOption, JsonOption, StoreArgument, one_of, print_json, step

if TYPE_CHECKING:
    from tessera.exchange import ImportReport

_FORMATS = ("tiles", "year-store")


def import_(
    source: Annotated[Path, typer.Argument(help="Folder of tiles, or an older year store ({year}.zarr).")],
    store: Annotated[str, typer.Argument(help="Folder or URL of the store. A new one is created.")],
    year: Annotated[int | None, typer.Option(help="Year. Default: all.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of the dataset, such as v1.1-cambridge, if the source does not record it.")
    ] = None,
    format_: Annotated[str | None, typer.Option("--format", help="tiles or year-store. Default: detected.")] = None,
    keep_water: Annotated[
        bool | None,
        typer.Option(
            "--keep-water/--mask-water", help="Tiles: keep or drop embeddings of pixels that the landmask calls water."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Import published 0.1 degree tiles, or an older year store, into a store.

    A tile that is damaged or differs from its registry is named and skipped; the exit code is then 1. After a stop, run
    the same command again: it continues, and does not change what is already in the store.

    Example: tessera store import tiles/ store.zarr --dataset v1.1-cambridge
    """
    from tessera.exchange import estimate_import, import_tiles, import_year_store

    kind = _parse_format(format_) if format_ is not None else _detect(source)
    if kind == "year-store" and keep_water is not None:
        raise InputError("--keep-water and --mask-water go with tiles; a year store has no landmasks")
    local = Path(store) if "://" not in store else None
    if local is not None:
        check_folder(local, "store", inputs=(source,))
    estimate = estimate_import(source, year, kind == "tiles", local)
    if local is not None:
        estimate.check(local)
    if not as_json:
        print(estimate)
    with step(f"Importing {kind.replace('-', ' ')}") as progress:
        if kind == "tiles":
            mask = None if keep_water is None else not keep_water
            report = import_tiles(source, store, year, dataset=dataset, mask_water=mask, progress=progress)
        else:
            report = import_year_store(source, store, year, dataset=dataset, progress=progress)
    for line in report.failed:
        print(line, file=sys.stderr)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, "tiles" if kind == "tiles" else "squares")
    if report.failed:
        raise typer.Exit(1)


def _print(report: ImportReport, what: str) -> None:
    checked = f"; checked against {', '.join(report.registries)}" if report.registries else ""
    left = f", {len(report.failed):,} skipped" if report.failed else ""
    unlisted = f", {report.unlisted:,} in no registry" if report.unlisted else ""
    print(f"{report.store}: {report.written:,} {what} written, {report.kept:,} already there{left}{unlisted}{checked}")
    pixels = report.pixels
    print(
        f"pixels written: {pixels.valid:,} with data, {pixels.no_data:,} without, of which {pixels.water:,} are water "
        f"in the landmask and {pixels.corrupt:,} have a corrupt scale"
    )


def _parse_format(name: str) -> str:
    if name not in _FORMATS:
        raise InputError(f"--format {name!r}; expected {' or '.join(_FORMATS)}")
    return name


def _detect(source: Path) -> str:
    from tessera.exchange import EMBEDDINGS

    if not source.is_dir():
        raise InputError(f"{source} is not a folder; expected a folder of tiles or a year store")
    if (source / EMBEDDINGS).is_dir():
        return "tiles"
    if (source / "zarr.json").is_file():
        return "year-store"
    raise InputError(
        f"{source} has no folder {EMBEDDINGS} and no zarr.json; expected a folder of tiles or a year store"
    )


def export(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tiles. May hold an earlier export.")],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    year: Annotated[int | None, typer.Option(help="Year. Needed if the store holds several.")] = None,
    format_: Annotated[str, typer.Option("--format", hidden=True)] = "tiles",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export an area of a store as 0.1 degree tiles, in the published format.

    Landmasks and registries are written too, so that geotessera 0.11 reads the tiles offline. You can add more areas
    and years to the same folder. After a stop, run the same command again: it continues.

    Example: tessera store export store.zarr --bbox 5.2,50.6,5.3,50.7 -o tiles
    """
    from tessera.exchange import estimate_tiles, export_tiles
    from tessera.store import open_store

    if format_ != "tiles":
        raise InputError(
            f"--format {format_!r}; expected tiles: a store is exported as tiles, and year stores can only be imported"
        )
    _, area = one_of(bbox=bbox, aoi=aoi)
    opened = open_store(store)
    chosen = only_year(opened.years, store) if year is None else year
    estimate = estimate_tiles(opened, area, chosen)
    told: dict[str, Any] = {"out": str(out), "estimate": estimate.to_json()}
    if dry_run:
        if as_json:
            print_json(told)
        else:
            print(f"{out}: {estimate}")
        return
    if not as_json:
        print(estimate)
    with step("Exporting tiles") as progress:
        tiles = export_tiles(opened, area, chosen, out, progress=progress)
    if as_json:
        print_json(told | {"written": tiles.written, "kept": tiles.kept, "empty": tiles.empty})
    else:
        written = f"{tiles.written:,} tile{'s' * (tiles.written != 1)} written"
        print(f"{out}: {written}, {tiles.kept:,} already there, {tiles.empty:,} without data")
