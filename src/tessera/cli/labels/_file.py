"""tessera labels FILE: what a file of labels holds, and whether it is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import (
    READ,
    GroupOption,
    JsonOption,
    KindOption,
    OverwriteOption,
    RegionOption,
    YearColumnOption,
    print_json,
    step,
)


def labels_of_file(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Points, polygons or a raster: a vector file, a table or a GeoTIFF.")
    ],
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column that holds the class or the number; of a raster the band."),
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="Store to look the labels up in, and to draw them on.")
    ] = None,
    year: Annotated[int | None, typer.Option(help="Year of the store; may be left out if it holds one.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write the labels: .parquet, .gpkg, .fgb or .geojson."),
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the labels to a PNG.")] = None,
    kind: KindOption = None,
    group: GroupOption = None,
    region: RegionOption = None,
    year_column: YearColumnOption = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layer of a file with several.", rich_help_panel=READ)
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            metavar="EPSG:CODE",
            help="CRS of a file that declares none, such as a CSV with x and y.",
            rich_help_panel=READ,
        ),
    ] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE", help="Value that means missing, such as -9999; may be repeated.", rich_help_panel=READ
        ),
    ] = None,
    per_polygon: Annotated[int, typer.Option(help="Most pixels of a polygon.", min=1, rich_help_panel=READ)] = 200,
    edges: Annotated[
        str,
        typer.Option(
            metavar="drop|keep",
            help="Leave out pixels near the border of their polygon, if any others remain; or keep them.",
            rich_help_panel=READ,
        ),
    ] = "drop",
    edge_m: Annotated[float, typer.Option(help="How near to the border, metres.", min=0, rich_help_panel=READ)] = 10.0,
    per_class: Annotated[
        int,
        typer.Option(
            help="Most pixels of each class of a raster; ten times as many of numbers.", min=1, rich_help_panel=READ
        ),
    ] = 1000,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Describe labels of a file: classes or numbers, what is left out, and whether each class has enough.

    With --store, labels outside it and on pixels without data are counted. With -o, the labels are written as they are
    learnt: one point for each 10 m pixel, with its group, for `tessera fit`.

    Example: tessera labels file plots.geojson --column crop --store store.zarr --png labels.png -o labels.parquet
    """
    from tessera.base import check_picture
    from tessera.labels import check_labels, describe_labels, read_labels, write_labels
    from tessera.store import open_store

    inputs = (file, store)
    if png is not None:
        check_picture(png, "labels", inputs=inputs, overwrite=overwrite)
    if out is not None:
        check_labels(out, inputs=inputs, overwrite=overwrite)
    opened = None if store is None else open_store(store)
    with step("Reading labels") as progress:
        labels = read_labels(
            file,
            column,
            kind,
            group=group,
            region=region,
            year=year_column,
            layer=layer,
            crs=crs,
            missing=missing or (),
            per_polygon=per_polygon,
            edges=edges,
            edge_m=edge_m,
            per_class=per_class,
            progress=progress,
        )
        report = describe_labels(labels, opened, year, progress=progress)
    if png is not None:
        with step("Drawing") as progress:
            report.draw(png, opened, overwrite=overwrite, progress=progress)
    if out is not None:
        write_labels(labels, out, overwrite=overwrite)
    saved = [str(path) for path in (out, png) if path is not None]
    if as_json:
        print_json({**report.to_json(), "saved": saved})
        return
    print(report.text())
    if saved:
        print(f"saved: {', '.join(saved)}")
