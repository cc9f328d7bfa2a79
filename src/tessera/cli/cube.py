"""tessera cube: a year of observations, from scenes or from a d-pixel folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._cube_build import build, one_line, scenes
from ._scenes import FromOption, PeriodOption, ToOption, stated_period
from .terminal import JsonOption, OverwriteOption, print_json, print_table, step

if TYPE_CHECKING:
    from tessera.geo import Period

app = typer.Typer(help="Cubes: a year of observations of every pixel of an area.", no_args_is_help=True)


app.command("build")(build)
app.command("scenes")(scenes)


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="d-pixel folder (bands.npy, ...) or GeoTIFF stacks (data_raw, ...).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New cube.")],
    year: Annotated[int | None, typer.Option(help="Its calendar year; of GeoTIFF stacks, only that year.")] = None,
    period: PeriodOption = None,
    first: FromOption = None,
    last: ToOption = None,
    crs: Annotated[str | None, typer.Option(help="d-pixel: its UTM zone, such as EPSG:32631.")] = None,
    west: Annotated[float | None, typer.Option(help="d-pixel: left edge, metres of that zone.")] = None,
    north: Annotated[float | None, typer.Option(help="d-pixel: upper edge, metres of that zone.")] = None,
    missing_scl: Annotated[
        str, typer.Option(help="GeoTIFF: a date without scene classes is an 'error', or all of it 'clear'.")
    ] = "error",
    skip_partial: Annotated[bool, typer.Option(help="GeoTIFF: leave out dates that lack bands.")] = False,
) -> None:
    """Turn the published pipeline's files into a cube; a d-pixel folder has no place but --crs, --west and --north.

    Days of the year get their dates from --year, or from --period where a season goes over a new year.

    Example: tessera cube import tile_a/ --year 2024 --crs EPSG:32631 --west 664000 --north 5612120 -o cube.zarr
    """
    from tessera.base import InputError, check_folder, make_or_find
    from tessera.cubes import import_geotiff, is_dpixel, is_geotiff, open_cube, write_cube

    check_folder(out, "cube", inputs=(folder,))
    stacks = is_geotiff(folder)
    if not stacks and not is_dpixel(folder):
        raise InputError(_unknown_layout(folder))
    if stacks and is_dpixel(folder):
        raise InputError(f"{folder} is a d-pixel folder and holds GeoTIFF stacks; expected one of them")
    if not stacks and (skip_partial or missing_scl != "error"):
        raise InputError("--missing-scl and --skip-partial are for GeoTIFF stacks")
    if stacks and (crs, west, north) != (None, None, None):
        raise InputError("--crs, --west and --north are for a d-pixel folder; GeoTIFFs say where they are")
    given = (year, period, first, last) != (None,) * 4
    time = _time_of(stated_period(year, period, first, last) if given else None)
    options: dict[str, Any] = {"missing_scl": missing_scl, "skip_partial": skip_partial}
    placed = None if stacks else _placed_dpixel(folder, time, crs, west, north)

    def make(target: Path) -> None:
        with step("Reading GeoTIFF stacks" if stacks else "Writing the cube") as progress:
            if placed is None:
                import_geotiff(folder, target, **time, **options, progress=progress)
            else:
                write_cube(placed, target, progress=progress)

    there = make_or_find(out, "cube", open_cube, make)
    cube = open_cube(out)
    print(f"{out}: {'already there, ' * there}{one_line(cube)}")
    if cube.grid is None:
        print(
            f"{out} has no place: tessera embed refuses it until it is imported with --crs, --west and --north",
            file=sys.stderr,
        )


def _placed_dpixel(folder: Path, time: dict[str, Any], crs: str | None, west: float | None, north: float | None) -> Any:
    from dataclasses import replace

    from tessera.base import InputError
    from tessera.cubes import open_dpixel
    from tessera.geo import PIXEL_SIZE, Grid, Window

    cube = open_dpixel(folder, **time)
    if crs is None and west is None and north is None:
        return cube
    if crs is None or west is None or north is None:
        raise InputError("only some of --crs, --west and --north given; expected all three or none")
    grid = Grid(crs, (PIXEL_SIZE, 0.0, west, 0.0, -PIXEL_SIZE, north), *cube.shape)
    return replace(cube, grid=Window.of_grid(grid).grid)


@app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="Cube.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder.")],
    form: Annotated[str, typer.Option("--format", help="dpixel or geotiff.")] = "dpixel",
) -> None:
    """Write a cube as the published pipeline has it: a d-pixel folder, or GeoTIFF stacks.

    Example: tessera cube export cube.zarr --format geotiff -o stacks/
    """
    from tessera.base import InputError, check_folder, make_or_find
    from tessera.cubes import export_dpixel, export_geotiff, is_dpixel, is_geotiff, open_cube

    if form not in ("dpixel", "geotiff"):
        raise InputError(f"--format {form}; expected dpixel or geotiff")
    check_folder(out, "folder", inputs=(path,))
    cube = open_cube(path)

    def make(target: Path) -> None:
        if form == "geotiff":
            with step("Writing GeoTIFF stacks") as progress:
                export_geotiff(cube, target, progress=progress)
        else:
            export_dpixel(cube, target)

    there = make_or_find(out, f"{form} folder", is_geotiff if form == "geotiff" else is_dpixel, make)
    print(f"{out}: {'already there, ' * there}{one_line(cube)}")
    if form == "geotiff":
        print("scl has 4 where a pixel is clear and 0 elsewhere, since a cube keeps no scene classes")
        return
    if cube.grid is not None:
        _, _, west, _, _, north = cube.grid.transform
        print(
            f"a d-pixel folder has no CRS and no year; import it with {_time_option(cube)}--crs {cube.grid.crs} "
            f"--west {west:.10g} --north {north:.10g}"
        )


@app.command("info")
def info(
    path: Annotated[Path, typer.Argument(help="Cube or d-pixel folder.")],
    picture: Annotated[
        Path | None, typer.Option(help="Draw its calendar and a map of clear observations to this PNG.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a cube holds: dates, period, clear observations, orbits, lost scenes, source.

    Example: tessera cube info cube.zarr --picture cube.png
    """
    from tessera.base import check_picture
    from tessera.cubes import draw_cube, open_cube

    from ._cube_info import about_cube, rows_of

    if picture is not None:
        check_picture(picture, "cube", inputs=(path,), overwrite=overwrite)
    cube = open_cube(path)
    about = about_cube(cube)
    if as_json:
        print_json(about)
    else:
        print_table(rows_of(about))
    if picture is not None:
        draw_cube(cube, picture, title=path.resolve().name, overwrite=overwrite)
        if not as_json:
            print(f"{picture}: a calendar of observations and a map of clear counts")


def _unknown_layout(folder: Path) -> str:
    """What was found in place of a layout that can be imported, and all that there are."""
    from tessera.base import shown

    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
    elif (folder / "zarr.json").exists():
        found = "is a Zarr group, perhaps a cube already (tessera cube info)"
    else:
        names = sorted(path.name for path in folder.iterdir())[:6]
        found = f"holds {shown(', '.join(names), 120)}" if names else "is empty"
    return (
        f"{folder} {found}; expected a d-pixel folder (bands.npy, masks.npy, doys.npy, sar_ascending.npy, "
        "sar_ascending_doy.npy, sar_descending.npy, sar_descending_doy.npy) or GeoTIFF stacks "
        "(data_raw/red/2021-06-01_mosaic.tiff and so on, data_sar_raw/2021-06-01_vv_ascending.tiff and so on); for "
        "arrays of your own see tessera.cubes.cube_of_arrays and cube_of_xarray in Python"
    )


def _time_of(period: Period | None) -> dict[str, Any]:
    """What an import is told of the time; of a calendar year the year alone."""
    if period is None:
        return {}
    return {"year": period.year} if period.whole_year else {"period": period}


def _time_option(cube: Any) -> str:
    from tessera.cubes import period_of
    from tessera.geo import parse_period

    told = period_of(cube)
    if told is None:
        return ""
    period = parse_period(told)
    return f"--year {period.year} " if period.whole_year else f"--period {period} "
