"""tessera cube: a year of observations, from scenes or from a d-pixel folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ._show import one_of, print_json, print_table, step

app = typer.Typer(help="Cubes: a year of observations of every pixel of an area.", no_args_is_help=True)


@app.command("build")
def build(
    source: Annotated[str, typer.Option(help="Folder of a static STAC catalogue.")],
    year: Annotated[int, typer.Option(help="Calendar year.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New cube; over several zones one each, named _utmNN.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Vector file of polygons.")] = None,
    tile: Annotated[str | None, typer.Option(help="Tile (grid_5.05_50.65) or cell (utm31_e64_n548).")] = None,
) -> None:
    """Build the cube of an area from scenes.

    Example: tessera cube build --source scenes/ --bbox 5.237,50.681,5.270,50.702 --year 2023 -o cube.zarr
    """
    from tessera.geo import parse_area
    from tessera.scenes import build_cube

    _, value = one_of(bbox=bbox, aoi=aoi, tile=tile)
    parts = parse_area(value).parts()
    for part in parts:
        target = out if len(parts) == 1 else out.with_name(f"{out.stem}_utm{part.zone:02d}{out.suffix}")
        if _is_there(target, part.window, year, source):
            print(f"{target}: already there, from the same area, year and catalogue; remove it to build it anew")
            continue
        with step(f"Reading scenes of zone {part.zone}") as progress:
            print(f"{target}: {_one_line(build_cube(part.window, year, source=source, out=target, progress=progress))}")


def _is_there(target: Path, window: Any, year: int, source: str) -> bool:
    """Whether a cube of this window, year and catalogue is there already; another one in its place is an error."""
    from tessera.base import InputError
    from tessera.cubes import open_cube
    from tessera.scenes import catalogue_id

    if not target.exists():
        return False
    cube = open_cube(target)
    origin = catalogue_id(source)
    if cube.grid != window.grid or cube.year != year or cube.provenance.get("source") != origin:
        raise InputError(f"{target} exists, of another area, year or catalogue; expected a new path for the cube")
    return True


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="d-pixel folder (bands.npy, masks.npy, ...).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New cube.")],
    year: Annotated[int | None, typer.Option(help="Its calendar year.")] = None,
    crs: Annotated[str | None, typer.Option(help="Its UTM zone, such as EPSG:32631.")] = None,
    west: Annotated[float | None, typer.Option(help="Left edge, metres of that zone.")] = None,
    north: Annotated[float | None, typer.Option(help="Upper edge, metres of that zone.")] = None,
) -> None:
    """Turn a d-pixel folder into a cube; with --crs, --west and --north its embeddings can go into a store.

    Example: tessera cube import tile_a/ --year 2024 --crs EPSG:32631 --west 664000 --north 5612120 -o cube.zarr
    """
    from dataclasses import replace

    from tessera.base import InputError
    from tessera.cubes import open_dpixel, write_cube
    from tessera.geo import PIXEL_SIZE, Grid, Window

    cube = open_dpixel(folder, year=year)
    if crs is not None or west is not None or north is not None:
        if crs is None or west is None or north is None:
            raise InputError("only some of --crs, --west and --north given; expected all three or none")
        grid = Grid(crs, (PIXEL_SIZE, 0.0, west, 0.0, -PIXEL_SIZE, north), *cube.shape)
        cube = replace(cube, grid=Window.of_grid(grid).grid)
    with step("Writing the cube") as progress:
        print(f"{out}: {_one_line(write_cube(cube, out, progress=progress))}")


@app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="Cube.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New d-pixel folder.")],
) -> None:
    """Write a cube as a d-pixel folder, as the reference encoders read it.

    Example: tessera cube export cube.zarr -o dpixel/
    """
    from tessera.cubes import export_dpixel, open_cube

    cube = open_cube(path)
    print(f"{export_dpixel(cube, out)}: {_one_line(cube)}")
    if cube.grid is not None:
        _, _, west, _, _, north = cube.grid.transform
        print(
            f"a d-pixel folder has no CRS; import it with --crs {cube.grid.crs} --west {west:.10g} --north {north:.10g}"
        )


@app.command("info")
def info(
    path: Annotated[Path, typer.Argument(help="Cube or d-pixel folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a cube holds.

    Example: tessera cube info cube.zarr
    """
    from tessera.cubes import open_cube

    about = _about(open_cube(path))
    if as_json:
        print_json(about)
    else:
        print_table([(key.replace("_", " "), _text(value)) for key, value in about.items()])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value)) if len(value) <= 6 else f"{value[0]} to {value[-1]} ({len(value)})"
    return str(value)


def _about(cube: Any) -> dict[str, Any]:
    clear, pixels = 0, 0
    for start, stop in cube.row_blocks(128):
        mask = np.asarray(cube.s2_mask[:, start:stop])
        clear, pixels = clear + int(np.count_nonzero(mask)), pixels + mask.size
    grid = cube.grid
    return {
        "height": cube.shape[0],
        "width": cube.shape[1],
        "crs": None if grid is None else grid.crs,
        "transform": None if grid is None else list(grid.transform),
        "bbox": _bbox(grid),
        "sentinel_2_dates": int(cube.s2.shape[0]),
        "sentinel_2_clear_fraction": round(clear / pixels, 4) if pixels else None,
        "sentinel_1_ascending_dates": int(cube.s1_asc.shape[0]),
        "sentinel_1_descending_dates": int(cube.s1_desc.shape[0]),
        "sha256": cube.sha256,
        "provenance": cube.provenance,
    }


def _bbox(grid: Any) -> list[float] | None:
    """West, south, east, north in degrees, None off the lattice."""
    from tessera.base import InputError
    from tessera.geo import Window

    try:
        return [round(value, 5) for value in Window.of_grid(grid).lonlat_bounds]
    except InputError:
        return None


def _one_line(cube: Any) -> str:
    height, width = cube.shape
    dates = f"{cube.s2.shape[0]} Sentinel-2, {cube.s1_asc.shape[0]} + {cube.s1_desc.shape[0]} Sentinel-1 dates"
    return f"{height} x {width} pixels, {dates}"
