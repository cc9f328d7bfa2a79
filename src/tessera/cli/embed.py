"""tessera embed: cubes, or the scenes of an area, to a store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.base import InputError, TesseraError

from ._forecast import show_forecast
from ._outcomes import reporting
from ._scenes import (
    FromOption,
    MaxLostOption,
    PublishedOption,
    ReaderOption,
    SetOption,
    ToOption,
    period_of,
    recipe_of,
)
from .terminal import AoiOption, BboxOption, TileOption, one_of, tell_line

if TYPE_CHECKING:
    from tessera.geo import Period


def embed(
    out: Annotated[
        str, typer.Option("--out", "-o", help="Store: a path or an s3, gs or az URL. Created if nothing is there.")
    ],
    cubes: Annotated[
        list[Path] | None, typer.Argument(help="Cubes on the lattice. Give none with --bbox, --aoi or --tile.")
    ] = None,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    tile: TileOption = None,
    year: Annotated[
        int | None,
        typer.Option(
            help="Calendar year to read. With --from and --to, always needed: the year under which the store keeps it."
        ),
    ] = None,
    first: FromOption = None,
    last: ToOption = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where scenes come from: mpc, earth-search, opera, several with commas (the preferred one first), a "
            "static STAC catalogue, or stac:URL of an API."
        ),
    ] = None,
    scenes: Annotated[
        Path | None, typer.Option(help="Table of scenes (tessera cube scenes), in place of --source.")
    ] = None,
    reader: ReaderOption = "ranges",
    max_lost: MaxLostOption = 1,
    published: PublishedOption = False,
    setting: SetOption = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Search and read again, also cells that are finished.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over a year that was made from another period, source or rules.")
    ] = False,
    keep_cubes: Annotated[
        bool, typer.Option("--keep-cubes", help="Keep the cubes of an area beside the unfinished work.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Published name or checkpoint file. Default: the bundled weights.")
    ] = None,
    statistics: Annotated[
        str | None,
        typer.Option(
            help="mpc or aws: the provider with whose statistics v1.1 was trained. Default: that of --source."
        ),
    ] = None,
    weights: Annotated[str | None, typer.Option(hidden=True)] = None,
    dims: Annotated[int | None, typer.Option(help="Length of the prefix of each vector to keep. Default: all.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:<n>. Default: every GPU, or the CPU where there is none.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, bf16, or auto: bf16 where the device has instructions for it.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the work. Default: one a GPU; one on a CPU.")
    ] = None,
    min_s2: Annotated[
        int, typer.Option(help="Fewest clear Sentinel-2 dates of a pixel to embed. What the store holds stays.")
    ] = 0,
    min_s1: Annotated[
        int, typer.Option(help="Fewest Sentinel-1 dates of a pixel to embed. What the store holds stays.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the dates that v1.0 draws. Other versions do not draw.")] = 0,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Estimate the time, and what is read and written. Write nothing."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON.")] = False,
) -> None:
    """Embed cubes, or an area from its scenes. Run again after any stop: it goes on, and ends with the same bytes.

    Example: tessera embed cube.zarr -o store.zarr

    From scenes: tessera embed --bbox 5.237,50.681,5.270,50.702 --year 2023 --source mpc -o store.zarr

    To estimate the time first, add --dry-run.
    """
    began = time.monotonic()
    if as_json and not dry_run:
        raise InputError("--json given without --dry-run; expected both")
    places = {name: value for name, value in (("bbox", bbox), ("aoi", aoi), ("tile", tile)) if value is not None}
    more = {"--from": first, "--to": last, "--scenes": scenes, "--published": published, "--set": setting}
    more |= {"--refresh": refresh, "--keep-cubes": keep_cubes}
    _check_inputs(cubes or [], [f"--{name}" for name in places], [name for name, value in more.items() if value])
    if cubes and source is not None:
        statistics, source = _renamed("--source of cubes", source, statistics), None
    statistics = _renamed("--weights", weights, statistics)
    how: dict[str, Any] = {"out": out, "model": model, "statistics": statistics, "dims": dims, "device": device}
    how |= {"precision": precision, "workers": workers, "min_s2": min_s2, "min_s1": min_s1, "seed": seed}
    how |= {"replace": replace}
    forecast = (as_json, began) if dry_run else None
    if cubes:
        _embed_cubes(cubes, year, how, forecast)
        return
    _, where = one_of(bbox=bbox, aoi=aoi, tile=tile)
    _, origin = one_of(source=source, scenes=None if scenes is None else str(scenes))
    period, its_year = _period_and_year(year, first, last)
    how |= {"source": origin, "period": period, "recipe": recipe_of(published, setting), "reader": reader}
    how |= {"max_lost": max_lost, "refresh": refresh, "keep_cubes": keep_cubes}
    _embed_area(where, its_year, how, forecast)


def _check_inputs(cubes: list[Path], places: list[str], more: list[str]) -> None:
    """Refuse cubes and an area together, neither, and options of an area without one."""
    if cubes and places:
        raise InputError(f"both {cubes[0]} and {places[0]} given; expected cubes, or an area of which to read scenes")
    if cubes and more:
        raise InputError(f"{more[0]} given with the cube {cubes[0]}; it is for an area of which to read scenes")
    if not cubes and not places:
        raise InputError("nothing to embed; expected cubes, or an area: --bbox, --aoi or --tile, --year and --source")


def _renamed(old: str, value: str | None, statistics: str | None) -> str | None:
    """The value of --statistics, also where it came by its old name."""
    if value is None:
        return statistics
    if statistics is not None:
        raise InputError(f"both --statistics and {old} given; expected --statistics alone")
    tell_line(f"{old} is deprecated; tessera 0.3 removes it; give --statistics {value}")
    return value


def _period_and_year(year: int | None, first: str | None, last: str | None) -> tuple[Period, int]:
    """The period of the scenes and the store's year."""
    period = period_of(year if first is None and last is None else None, first, last)
    if year is None and not period.whole_year:
        raise InputError(f"{period} is no calendar year; give with --year the one under which the store keeps it")
    return period, period.first.year if year is None else year


def _embed_area(where: str, year: int, how: dict[str, Any], forecast: tuple[bool, float] | None) -> None:
    """Embed an area, or where `forecast` is given estimate it: whether as JSON, and when the command began."""
    from tessera.scale import embed, forecast_embed

    out = how["out"]
    with reporting(out, found_to_stderr=forecast is not None) as reporter:
        if forecast is not None:
            found = forecast_embed(where, year, **how, began=forecast[1], reporter=reporter)
        else:
            report = embed(where, year, **how, reporter=reporter)
    if forecast is not None:
        show_forecast(found, out, as_json=forecast[0])
        return
    print(
        f"{report.store.objects.root}: {report.written} cell{'s' * (report.written != 1)} written, "
        f"{report.skipped} already there, {len(report.empty)} without scenes, {len(report.refused)} refused"
    )
    if how["keep_cubes"]:
        print(f"cubes are kept in {report.store.scratch() / 'cubes'}")
    if report.refused:
        cell, reason = report.refused[0]
        # of several cells each has told its reason
        said = f": {reason}" if len(report.outcomes) == 1 else ""
        raise TesseraError(
            f"{len(report.refused)} of {len(report.outcomes)} cells were refused, such as {cell}{said}; run the "
            "same command again to try what was lost anew, or with a greater --max-lost"
        )


def _embed_cubes(cubes: list[Path], year: int | None, how: dict[str, Any], forecast: tuple[bool, float] | None) -> None:
    from tessera.scale import embed_cubes, forecast_embed_cubes

    with reporting(how["out"]) as reporter:
        if forecast is None:
            embed_cubes(cubes, year, **how, reporter=reporter)
            return
        found = forecast_embed_cubes(cubes, year, **how, began=forecast[1], reporter=reporter)
    show_forecast(found, how["out"], as_json=forecast[0])
