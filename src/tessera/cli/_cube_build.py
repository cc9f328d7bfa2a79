"""tessera cube build and scenes: observations from any provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.base import check_folder

from ._scenes import (
    FromOption,
    MaxLostOption,
    PeriodOption,
    PublishedOption,
    ReaderOption,
    SetOption,
    SourceOption,
    ToOption,
    YearOption,
    named_parts,
    recipe_of,
    stated_period,
)
from .terminal import AoiOption, BboxOption, OverwriteOption, TileOption, one_of, step, tell_line


def build(
    source: SourceOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="New cube; over several zones one each, named _utmNN.")],
    year: YearOption = None,
    first: FromOption = None,
    last: ToOption = None,
    period: PeriodOption = None,
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
    from tessera.cubes import sweep_spool
    from tessera.scenes import (
        NoScenesError,
        area_of,
        asked_of,
        build_cube,
        left_out_line,
        swapped_hint,
        where_scenes_are,
    )

    time, recipe = stated_period(year, period, first, last), recipe_of(published, setting)
    _, value = one_of(bbox=bbox, aoi=aoi, tile=tile)
    parts = area_of(value).parts()

    def of_zone(place: tuple[Any, Path]) -> tuple[Path, Any]:
        """The new cube of a zone, None where it is there."""
        part, target = place
        if _is_there(target, part.window, time, source, recipe, reader):
            sweep_spool(target)
            return target, None
        title = f"Reading scenes of zone {part.zone}"
        try:
            with step(title, unit="days") as progress:
                return target, build_cube(
                    part.window,
                    time,
                    source=source,
                    out=target,
                    recipe=recipe,
                    reader=reader,
                    max_lost=max_lost,
                    asked=asked_of(source),
                    progress=progress,
                )
        except NoScenesError as error:
            raise NoScenesError(f"{error}{swapped_hint(value, str(error))}") from None

    def left_out(line: str) -> None:
        tell_line(f"{line}; that zone is left out")

    for target in named_parts(out, [part.zone for part in parts]):
        check_folder(target, "cube", inputs=(*source.split(","), aoi))
    places = zip(parts, named_parts(out, [part.zone for part in parts]), strict=True)
    for target, cube in where_scenes_are(places, of_zone, left_out):
        if cube is None:
            print(f"{target}: already there, of the same area, time, source and rules; remove it to build it anew")
            continue
        print(f"{target}: {one_line(cube)}")
        tell_line(left_out_line(cube.provenance.get("left_out", {})))
        tell_line(_uncovered(cube))


def _uncovered(cube: Any) -> str:
    """A line where a part of the area was never seen, "" where every pixel was, but for one in a hundred."""
    from tessera.cubes import clear_counts
    from tessera.scenes import LEAST_SEEN

    counts, _ = clear_counts(cube)
    share = float((counts == 0).mean())
    if share < LEAST_SEEN:
        return ""
    return f"{share:.0%} of the pixels have no clear Sentinel-2 observation; the scenes may not cover the whole area"


def _is_there(target: Path, window: Any, period: Any, source: str, recipe: Any, reader: str) -> bool:
    """Whether a cube of this window, period, source, recipe and reader is there; another in its place is an error."""
    from tessera.base import InputError
    from tessera.cubes import open_cube
    from tessera.scenes import asked_of, source_names

    if not target.exists():
        return False
    try:
        cube = open_cube(target)
    except InputError as error:
        raise InputError(f"{target} exists and is no whole cube ({error}); expected a new path for the cube") from None
    wanted = {"period": period.to_json(), "source": source_names(source), "recipe": recipe.to_json(), "reader": reader}
    other = [name for name, value in wanted.items() if cube.provenance.get(name) != value]
    # cubes of older versions do not say it
    if "source" not in other and cube.provenance.get("asked", asked_of(source)) != asked_of(source):
        other.insert(0, "catalogue or table of that name")
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
    period: PeriodOption = None,
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    tile: TileOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Search once and keep what was found; cube build and embed take the table as their --source.

    Example: tessera cube scenes --source mpc --bbox 5.237,50.681,5.270,50.702 --year 2023 -o scenes.parquet
    """
    from tessera.base import InputError, check_output
    from tessera.scenes import AreaScenes, area_of, read_scenes, search_scenes

    time = stated_period(year, period, first, last)
    _, value = one_of(bbox=bbox, aoi=aoi, tile=tile)
    if out.suffix != ".parquet":
        raise InputError(f"{out} does not end in .parquet; expected the name of a table of scenes")
    given = (source, aoi)
    check_output(out, "table", inputs=given, ours=lambda path: bool(read_scenes(path).query), overwrite=overwrite)
    area = area_of(value)
    with step("Searching") as progress:
        table = search_scenes(area, time, source, progress=progress)
    if not overwrite and out.exists():
        known = read_scenes(out)
        if (known.sha256, dict(known.query)) != (table.sha256, dict(table.query)):
            raise InputError(f"{out} exists, of another search; expected a new path for the table, or --overwrite")
    else:
        table.write(out)
    found = AreaScenes(table, area, time)
    print(f"{out}: {found}")
    for line in found.notes:
        tell_line(line)


def one_line(cube: Any) -> str:
    """What a cube holds, in a line."""
    height, width = cube.shape
    dates = f"{cube.s2.shape[0]} Sentinel-2, {cube.s1_asc.shape[0]} + {cube.s1_desc.shape[0]} Sentinel-1 dates"
    lost = cube.provenance.get("scenes_lost")
    return f"{height} x {width} pixels, {dates}" + (f", {lost} scene{'s' * (lost != 1)} lost" if lost else "")
