"""tessera get: embeddings from a store into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.base import InputError, only_year

from .terminal import (
    WHERE,
    AoiOption,
    BboxOption,
    DryRunOption,
    JsonOption,
    OverwriteOption,
    StoreArgument,
    one_of,
    print_json,
    step,
)

_EMPTY = "see tessera store info for the area that has data"
_OF_POINTS, _OF_POLYGONS, _OF_REGION = "Only with --points", "Only with --zonal", "Only with --bbox or --aoi"


def get(
    store: StoreArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="File to write. Points and polygons: .csv or .parquet. A region: .tif (COG), .zarr or .npy.",
        ),
    ],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    points: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Points: a vector file, or a CSV with the columns lon and lat. Gives the vector of each.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    zonal: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Polygons: a vector file. Gives the mean vector of each.", rich_help_panel=WHERE
        ),
    ] = None,
    year: Annotated[
        list[str] | None,
        typer.Option(metavar="YEAR", help="Year, or several: 2023,2024. Needed if the store holds several years."),
    ] = None,
    dims: Annotated[
        int | None, typer.Option(help="Read only the first dims, such as 16, of a model that has this prefix.")
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(help="CRS, such as EPSG:3035. Default: the area's UTM zone.", rich_help_panel=_OF_REGION),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(help="Pixel size in units of the CRS. Default: 10 m.", rich_help_panel=_OF_REGION),
    ] = None,
    resampling: Annotated[
        str, typer.Option(help="nearest, bilinear or average.", rich_help_panel=_OF_REGION)
    ] = "nearest",
    clip: Annotated[
        bool,
        typer.Option("--clip", help="Set pixels outside the polygons of --aoi to nodata.", rich_help_panel=_OF_REGION),
    ] = False,
    quantised: Annotated[
        bool,
        typer.Option(
            "--quantised",
            help="Write int8 codes and float32 scales: a quarter of the size.",
            rich_help_panel=_OF_REGION,
        ),
    ] = False,
    search: Annotated[
        int,
        typer.Option(
            help="For a point without data, take the nearest pixel with data within so many pixels.",
            rich_help_panel=_OF_POINTS,
        ),
    ] = 0,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check checksums, for which whole chunks are read.", rich_help_panel=_OF_POINTS),
    ] = False,
    all_touched: Annotated[
        bool,
        typer.Option(
            "--all-touched",
            help="Average every pixel that a polygon touches. Default: pixels whose centre is inside.",
            rich_help_panel=_OF_POLYGONS,
        ),
    ] = False,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write embeddings to a file: at points, averaged over polygons, or of a region.

    Give one of --points, --zonal, --bbox and --aoi. Tables keep the columns of your points or polygons. A region is
    the rectangle of pixels around the area. After a stop, run the same command again: it continues.

    Example: tessera get store.zarr --points plots.csv -o plots_embeddings.csv
    """
    from tessera.exchange import check_region, check_table
    from tessera.store import open_store

    kind, value = one_of(bbox=bbox, aoi=aoi, points=points, zonal=zonal)
    opened = open_store(store)
    years = _years(year, opened.years, store)
    region = {"crs": crs, "resolution": resolution, "resampling": resampling, "clip": clip}
    _refuse(kind, region | {"quantised": quantised, "search": search, "verify": verify, "all_touched": all_touched})
    files: dict[str, Any] = {"inputs": (store, None if kind == "bbox" else value), "overwrite": overwrite}
    if kind in ("points", "zonal"):
        check_table(out, kind, **files)
    else:
        several = tuple(years) if isinstance(years, list) else (years,)
        check_region(out, several, quantised=quantised, **files)
    if kind == "points":
        run, estimate = _points(opened, value, years, out, dims, search, verify, overwrite)
    elif kind == "zonal":
        run, estimate = _zonal(opened, value, years, out, dims, all_touched, overwrite)
    else:
        run, estimate = _region(opened, value, years, out, dims, region, quantised, overwrite)
    if dry_run:
        if as_json:
            print_json({"out": str(out), "estimate": estimate.to_json()})
        else:
            print(f"{out}: {estimate}")
        return
    if not as_json:
        print(estimate)
    told, line = run()
    if as_json:
        print_json({"out": str(out), **told, "estimate": estimate.to_json()})
    else:
        print(line)


def _years(given: list[str] | None, held: tuple[int, ...], what: str) -> Any:
    """A year, or a list of several."""
    if given is None:
        return only_year(held, what)
    texts = [part.strip() for text in given for part in text.split(",")]
    wrong = [text for text in texts if not (text.isascii() and text.isdigit() and len(text) == 4)]
    if wrong:
        raise InputError(f"--year {wrong[0]!r}; expected a year of four digits, or several: 2023,2024")
    years = list(dict.fromkeys(int(text) for text in texts))
    return years if len(years) > 1 else years[0]


def _refuse(kind: str, given: dict[str, Any]) -> None:
    """Refuse an option that has no effect with what is read."""
    of = {"points": ("search", "verify"), "zonal": ("all_touched",)}.get(
        kind, ("crs", "resolution", "resampling", "clip", "quantised")
    )
    unused = {"crs": None, "resolution": None, "resampling": "nearest", "search": 0}
    for name, value in given.items():
        if name not in of and value != unused.get(name, False):
            raise InputError(f"--{name.replace('_', '-')} does not go with --{kind}; leave it out")


def _points(
    opened: Any, value: str, years: Any, out: Path, dims: int | None, search: int, verify: bool, overwrite: bool
) -> Any:
    from tessera.exchange import estimate_points, export_points, point_notes
    from tessera.geo import lonlat_of, read_vector, swap_hint

    table = read_vector(value)
    count = len(table)
    rows = count * (len(years) if isinstance(years, list) else 1)
    options: dict[str, Any] = {"dims": dims, "search": search, "verify": verify}
    estimate = estimate_points(opened, table, years, out, **options)

    def run() -> tuple[dict[str, Any], str]:
        with step("Reading points") as progress:
            found = export_points(opened, table, years, out, **options, overwrite=overwrite, progress=progress)
        hint = ""
        if count and not found:

            def with_data(lonlat: Any) -> int:
                return int(opened.sample(lonlat, years, dims, search=search).valid.sum())

            hint = f"; {swap_hint(lonlat_of(table), with_data) or opened.whereabouts(years) or _EMPTY}"
        notes = point_notes(table)
        told = {"points": count, "rows": rows, "valid": found, "notes": notes}
        line = f"{out}: {count:,} points, {found:,} with data{hint}"
        return told, "\n".join([line, *(f"note: {note}" for note in notes)])

    return run, estimate


def _zonal(opened: Any, value: str, years: Any, out: Path, dims: int | None, all_touched: bool, overwrite: bool) -> Any:
    from tessera.exchange import estimate_zonal, export_zonal
    from tessera.geo import read_vector

    table = read_vector(value)
    estimate = estimate_zonal(opened, table, years, out, dims=dims, all_touched=all_touched)

    def run() -> tuple[dict[str, Any], str]:
        with step("Reading polygons") as progress:
            found = export_zonal(
                opened, table, years, out, dims=dims, all_touched=all_touched, overwrite=overwrite, progress=progress
            )
        counts = found.counts.reshape(len(found), -1)
        filled = int((counts > 0).any(axis=1).sum())
        notes = list(table.notes)
        told = {"polygons": len(found), "with_data": filled, "valid": int(counts.sum()), "notes": notes}
        hint = "" if filled else f"; {opened.whereabouts(years) or _EMPTY}"
        line = f"{out}: {len(found):,} polygons, {filled:,} with data, {told['valid']:,} pixels averaged{hint}"
        return told, "\n".join([line, *(f"note: {note}" for note in notes)])

    return run, estimate


def _region(
    opened: Any,
    value: str,
    years: Any,
    out: Path,
    dims: int | None,
    options: dict[str, Any],
    quantised: bool,
    overwrite: bool,
) -> Any:
    from tessera.exchange import estimate_region, export_region, targets_of
    from tessera.store import plan_region

    planned = plan_region(opened, value, years, dims, **options)
    opened.refuse_empty(value, years)
    estimate = estimate_region(opened, planned, out, quantised=quantised)

    def run() -> tuple[dict[str, Any], str]:
        with step("Reading the region") as progress:
            height, width, bands, found = export_region(
                opened,
                value,
                years,
                out,
                dims=dims,
                quantised=quantised,
                overwrite=overwrite,
                progress=progress,
                **options,
            )
        files = [str(file) for file in targets_of(out, planned.query.years, quantised)]
        told = {"files": files, "height": height, "width": width, "dims": bands, "valid": found}
        hint = "" if found else f"; {_EMPTY}"
        return told, f"{', '.join(files)}: {height} x {width} pixels, {bands} dims, {found:,} pixels with data{hint}"

    return run, estimate
