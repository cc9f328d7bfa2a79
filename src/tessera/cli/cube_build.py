"""tessera cube build and scenes: observations from any provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ._scenes import (
    FromOption,
    MaxLostOption,
    PublishedOption,
    ReaderOption,
    SetOption,
    SourceOption,
    ToOption,
    YearOption,
    named_parts,
    period_of,
    recipe_of,
)
from ._show import one_of, step

BboxOption = Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")]
AoiOption = Annotated[str | None, typer.Option(help="Vector file of polygons.")]
TileOption = Annotated[str | None, typer.Option(help="Tile (grid_5.05_50.65) or cell (utm31_e64_n548).")]


def build(
    source: SourceOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="New cube; over several zones one each, named _utmNN.")],
    year: YearOption = None,
    first: FromOption = None,
    last: ToOption = None,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    tile: TileOption = None,
    reader: ReaderOption = "ranges",
    max_lost: MaxLostOption = 1,
    published: PublishedOption = False,
    setting: SetOption = None,
) -> None:
    """Build the cube of an area from scenes; run again after any stop, it goes on and ends with the same bytes.

    Example: tessera cube build --source earth-search,opera --bbox 5.237,50.681,5.270,50.702 --year 2023 -o cube.zarr
    """
    from tessera.geo import parse_area
    from tessera.scenes import build_cube

    period, recipe = period_of(year, first, last), recipe_of(published, setting)
    _, value = one_of(bbox=bbox, aoi=aoi, tile=tile)
    parts = parse_area(value).parts()
    for part, target in zip(parts, named_parts(out, [part.zone for part in parts]), strict=True):
        if _is_there(target, part.window, period, source, recipe):
            print(f"{target}: already there, of the same area, time, source and rules; remove it to build it anew")
            continue
        with step(f"Reading scenes of zone {part.zone}", unit="days") as progress:
            cube = build_cube(
                part.window,
                period,
                source=source,
                out=target,
                recipe=recipe,
                reader=reader,
                max_lost=max_lost,
                progress=progress,
            )
        print(f"{target}: {one_line(cube)}")


def _is_there(target: Path, window: Any, period: Any, source: str, recipe: Any) -> bool:
    """Whether a cube of this window, period, source and recipe is there already; another in its place is an error."""
    from tessera.base import InputError
    from tessera.cubes import open_cube
    from tessera.scenes import source_names

    if not target.exists():
        return False
    cube = open_cube(target)
    wanted = {"period": period.told(), "source": source_names(source), "recipe": recipe.told()}
    other = [name for name, value in wanted.items() if cube.provenance.get(name) != value]
    if cube.grid != window.grid:
        other.insert(0, "area")
    if other:
        raise InputError(f"{target} exists, of another {' and '.join(other)}; expected a new path for the cube")
    return True


def scenes(
    source: SourceOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="New table, GeoParquet.")],
    year: YearOption = None,
    first: FromOption = None,
    last: ToOption = None,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    tile: TileOption = None,
) -> None:
    """Search once and keep what was found; cube build and embed take the table as their --source.

    Example: tessera cube scenes --source mpc --bbox 5.237,50.681,5.270,50.702 --year 2023 -o scenes.parquet
    """
    from tessera.base import InputError
    from tessera.scenes import search_scenes

    period = period_of(year, first, last)
    _, value = one_of(bbox=bbox, aoi=aoi, tile=tile)
    if out.suffix != ".parquet":
        raise InputError(f"{out} does not end in .parquet; expected the name of a table of scenes")
    if out.exists():
        raise InputError(f"{out} exists; expected a new path for the table")
    with step("Searching") as progress:
        table = search_scenes(value, period, source, progress=progress)
    table.write(out)
    optical = sum(scene.optical for scene in table.scenes)
    print(f"{out}: {optical} Sentinel-2 and {len(table.scenes) - optical} Sentinel-1 scenes")


def one_line(cube: Any) -> str:
    """What a cube holds, in a line."""
    height, width = cube.shape
    dates = f"{cube.s2.shape[0]} Sentinel-2, {cube.s1_asc.shape[0]} + {cube.s1_desc.shape[0]} Sentinel-1 dates"
    lost = cube.provenance.get("scenes_lost")
    return f"{height} x {width} pixels, {dates}" + (f", {lost} scene{'s' * (lost != 1)} lost" if lost else "")
