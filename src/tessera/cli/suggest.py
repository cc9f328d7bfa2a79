"""tessera suggest: where to label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.base import InputError, check_picture

from .terminal import (
    WHERE,
    AoiOption,
    BboxOption,
    JsonOption,
    OverwriteOption,
    StoreArgument,
    one_of,
    print_json,
    print_table,
    step,
)

_SHOWN = 10


def suggest(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Points to write: .gpx for a GPS device, .geojson or .csv.")],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    head: Annotated[
        Path | None, typer.Option(help="Head that `tessera fit` saved: suggest where it is unsure.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Vector file of the labels that there are: suggest what is unlike them.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the labels that holds the class or the number.")] = None,
    count: Annotated[int, typer.Option("--count", "-n", help="Number of points.", min=1, max=1000)] = 20,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Polygons that the points must lie in, such as land you may enter.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    roads: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Lines that the points must lie near, such as roads.", rich_help_panel=WHERE),
    ] = None,
    road_m: Annotated[
        float, typer.Option(metavar="M", help="Distance to a road, metres.", rich_help_panel=WHERE)
    ] = 250.0,
    spacing_m: Annotated[
        float, typer.Option(metavar="M", help="Distance between points, and to a label, metres.", rich_help_panel=WHERE)
    ] = 100.0,
    year: Annotated[int | None, typer.Option(help="Year; default: the head's own, or the store's only one.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Picture to draw: the points on false colours.")] = None,
    seed: Annotated[int, typer.Option(help="Draws the pixels among which points are chosen.", min=0)] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Suggest where to label next, as points for a GPS device, a GIS or a table.

    A point is worth more where the head is unsure, where the land is unlike what is labelled already, and where much
    other land resembles it. Mixed pixels are left out.

    Example: tessera suggest store.zarr --head crops.json --labels plots.geojson --column crop
    --bbox 5.237,50.681,5.270,50.702 -n 20 -o visit.gpx --png visit.png
    """
    from tessera.heads import load_head
    from tessera.store import open_store
    from tessera.suggestions import check_suggestions
    from tessera.suggestions import suggest as suggest_points

    _, area = one_of(bbox=bbox, aoi=aoi)
    if labels is not None and column is None:
        raise InputError(f"--labels {labels} without --column; expected the column that holds the class or the number")
    inputs = (store, head, labels, aoi, within, roads)
    check_suggestions(out, inputs=inputs, overwrite=overwrite)
    if png is not None:
        check_picture(png, "suggestions", inputs=inputs, overwrite=overwrite)
    opened = open_store(store)
    loaded = None if head is None else load_head(head)
    with step("Choosing points") as progress:
        found = suggest_points(
            opened,
            area,
            count,
            head=loaded,
            labels=labels,
            column=column,
            year=year,
            within=within,
            roads=roads,
            road_m=road_m,
            spacing_m=spacing_m,
            seed=seed,
            progress=progress,
        )
    found.write(out, overwrite=overwrite)
    if png is not None:
        found.draw(opened, png, overwrite=overwrite)
    if as_json:
        print_json(found.to_geojson())
        return
    rows: list[tuple[str, ...]] = [("rank", "lon", "lat", "why", "gain")]
    rows += [
        (str(one.rank), f"{one.lon:.5f}", f"{one.lat:.5f}", one.reason, f"{one.gain:.1%}")
        for one in found.points[:_SHOWN]
    ]
    print_table(rows)
    if len(found) > _SHOWN:
        print(f"and {len(found) - _SHOWN} more")
    if len(found) < count:
        print(f"note: {len(found)} of {count} points; no other pixel lies {spacing_m:g} m from them and from labels")
    print(
        f"{len(found)} points of {found.reached:,} pixels within reach; labelled, they cover {found.covered:.0%} of "
        "what no label resembles yet"
    )
    print(f"saved: {', '.join(str(path) for path in (out, png) if path is not None)}")
