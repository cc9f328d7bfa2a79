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
    points: Annotated[str | None, typer.Option(help="CSV (lon, lat), GeoJSON or GeoParquet file of points.")] = None,
    year: Annotated[int | None, typer.Option(help="Year; may be left out where there is one.")] = None,
    dims: Annotated[int | None, typer.Option(help="Prefix of the model's dims.")] = None,
) -> None:
    """Write the vectors at points or of a region to a file.

    Example: tessera get store.zarr --points plots.csv -o plots_embeddings.csv
    """
    from tessera.geo import parse_points
    from tessera.store import export_points, export_region, open_store

    kind, value = one_of(bbox=bbox, aoi=aoi, points=points)
    opened = open_store(store)
    chosen = year_of(year, opened.years, store)
    if kind == "points":
        lonlat = parse_points(value)
        found = export_points(opened, lonlat, chosen, out, dims=dims)
        print(f"{out}: {len(lonlat)} points, {found} with data")
        return
    with step("Reading the region") as progress:
        height, width, bands = export_region(opened, value, chosen, out, dims=dims, progress=progress)
    print(f"{out}: {height} x {width} pixels, {bands} dims")
