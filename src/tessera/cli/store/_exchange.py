"""tessera store import and export: published tiles into a store and out of it, older year stores into it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.base import InputError, check_folder, only_year

from ..terminal import one_of, print_json, step

if TYPE_CHECKING:
    from tessera.exchange import ImportReport

_FORMATS = ("tiles", "year-store")


def import_(
    source: Annotated[Path, typer.Argument(help="Folder of tiles, or a {year}.zarr of an older year store.")],
    store: Annotated[str, typer.Argument(help="Path or URL of the store; created where there is none.")],
    year: Annotated[int | None, typer.Option(help="Year; all where left out.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Published dataset, such as v1.1-cambridge, where the source does not say it.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="tiles or year-store; detected where left out.")
    ] = None,
    keep_water: Annotated[
        bool | None,
        typer.Option(
            "--keep-water/--mask-water", help="Tiles: whether pixels keep data that the landmask calls water."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read published 0.1 degree tiles, or an older year store, into a store.

    A tile that is damaged or differs from its registry is left out and named. The other tiles are written, and the
    command exits 1. After a stop, run the same command again: it continues, and leaves what is there as it is.

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
    checked = f", checked by {', '.join(report.registries)}" if report.registries else ""
    left = f", {len(report.failed)} left out" if report.failed else ""
    unlisted = f", {report.unlisted} in no registry" if report.unlisted else ""
    print(f"{report.store}: {what} {report.written} written, {report.kept} there before{left}{unlisted}{checked}")
    pixels = report.pixels
    print(
        f"pixels written: {pixels.valid:,} with data, {pixels.no_data:,} without (of these {pixels.water:,} water by "
        f"the landmask, {pixels.corrupt:,} with a corrupt scale)"
    )


def _parse_format(name: str) -> str:
    if name not in _FORMATS:
        raise InputError(f"--format {name!r}; expected {' or '.join(_FORMATS)}")
    return name


def _detect(source: Path) -> str:
    from tessera.exchange import EMBEDDINGS

    if not source.is_dir():
        raise InputError(f"{source} is no folder; expected tiles or a year store")
    if (source / EMBEDDINGS).is_dir():
        return "tiles"
    if (source / "zarr.json").is_file():
        return "year-store"
    raise InputError(f"{source} holds neither tiles (a folder {EMBEDDINGS}) nor a year store (zarr.json)")


def export(
    store: Annotated[str, typer.Argument(help="Path, URL or published name of a store.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the tiles, new or of an earlier export.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Vector file of polygons, a tile name or a cell name.")] = None,
    year: Annotated[int | None, typer.Option(help="Year; may be left out if there is only one.")] = None,
    format_: Annotated[str, typer.Option("--format", hidden=True)] = "tiles",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it takes, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write an area of a store as published 0.1 degree tiles.

    The tiles come with landmasks and registries: geotessera 0.11 reads them offline. After a stop, run the same command
    again: it continues. You can add more areas and years to the same folder.

    Example: tessera store export store.zarr --bbox 5.2,50.6,5.3,50.7 -o tiles
    """
    from tessera.exchange import estimate_tiles, export_tiles
    from tessera.store import open_store

    if format_ != "tiles":
        raise InputError(f"--format {format_!r}; a store is exported as tiles (year stores are read, and not written)")
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
        print(f"{out}: tiles {tiles.written} written, {tiles.kept} there before, {tiles.empty} without data left out")
