"""tessera get: vectors out of a store, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._show import one_of, step, year_of


def get(
    store: Annotated[str, typer.Argument(help="Path or URL of a store.")],
    out: Annotated[Path, typer.Option("--out", "-o", help=".csv or .parquet for points, .tif or .npy for a region.")],
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Vector file of polygons, a tile name or a cell name.")] = None,
    points: Annotated[str | None, typer.Option(help="Vector file of points, or CSV with lon and lat.")] = None,
    year: Annotated[int | None, typer.Option(help="Year; may be left out where there is one.")] = None,
    dims: Annotated[int | None, typer.Option(help="Prefix of the model's dims.")] = None,
) -> None:
    """Write the vectors at points, with their own columns, or of a region to a file.

    A region is the whole rectangle of pixels that holds the area, also where the area is a polygon.

    Example: tessera get store.zarr --points plots.csv -o plots_embeddings.csv
    """
    from tessera.exchange import export_points, export_region
    from tessera.geo import parse_points
    from tessera.store import open_store

    kind, value = one_of(bbox=bbox, aoi=aoi, points=points)
    opened = open_store(store)
    chosen = year_of(year, opened.years, store)
    if kind == "points":
        count = len(parse_points(value))
        found = export_points(opened, value, chosen, out, dims=dims)
        hint = (
            "" if found or not count else "; are longitude and latitude swapped? tessera store info says where data is"
        )
        print(f"{out}: {count} points, {found} with data{hint}")
        return
    with step("Reading the region") as progress:
        height, width, bands, found = export_region(opened, value, chosen, out, dims=dims, progress=progress)
    hint = "" if found else "; tessera store info says where data is"
    print(f"{out}: {height} x {width} pixels, {bands} dims, {found:,} pixels with data{hint}")
