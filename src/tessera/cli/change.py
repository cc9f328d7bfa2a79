"""tessera change: what changed in an area between years."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tessera.base import InputError

from .terminal import (
    AoiOption,
    BboxOption,
    JsonOption,
    OverwriteOption,
    StoreArgument,
    area_of,
    print_json,
    step,
    years_of,
)


def change(
    store: StoreArgument,
    years: Annotated[str, typer.Option(metavar="YEARS", help="Two or more years of the store, such as 2021,2023.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="GeoTIFF to write: distance and changed pixels.")],
    bbox: BboxOption = None,
    aoi: AoiOption = None,
    head: Annotated[
        Path | None, typer.Option(help="Head that `tessera fit` saved: compare its classes or numbers.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels that hold in every year: learn one head from all years.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the labels that holds the class or the number.")] = None,
    learner: Annotated[
        str, typer.Option(help="What learns from --labels: linear, prototype, knn, forest, boosting or mlp.")
    ] = "linear",
    stable: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons or points that have not changed: sets the threshold.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Cosine distance above which a pixel has changed. Default: it is found.")
    ] = None,
    false_alarms: Annotated[float, typer.Option(help="Share of stable pixels that lie beyond the threshold.")] = 0.01,
    polygons: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons to follow year by year; without an area, theirs.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Column that names the polygons.")] = None,
    table: Annotated[Path | None, typer.Option(help="Table of the polygons' years to write: .csv or .parquet.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Points of a probability sample with the class in both years."),
    ] = None,
    reference_columns: Annotated[
        str | None, typer.Option(metavar="C1,C2", help="Their columns of the first and the second year.")
    ] = None,
    design: Annotated[
        str, typer.Option(help="How the reference was drawn: random, or stratified (by mapped transition).")
    ] = "stratified",
    png: Annotated[bool, typer.Option("--png/--no-png", help="Draw pictures beside the files.")] = True,
    seed: Annotated[int, typer.Option(help="Draws the pixels from which drift is measured.", min=0)] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Map what changed between years, and say how many hectares went from which class to which.

    Each year is compared with the next. The GeoTIFF holds the cosine distance of the vectors of a pixel and whether it
    is beyond the threshold. With a head of classes, files beside it hold the class in each year (.classes.tif) and
    hectares from class to class (.transitions.csv and .png).

    Example: tessera change store.zarr --years 2021,2023 --head crops.json --bbox 5.237,50.681,5.270,50.702
    -o change.tif
    """
    from tessera.changes import change as find_change
    from tessera.changes import check_change
    from tessera.heads import load_head
    from tessera.store import open_store

    area = area_of(bbox, aoi)
    if area is None and polygons is None:
        raise InputError("no area given; expected one of --bbox, --aoi and --polygons")
    inputs = (store, head, labels, aoi, stable, polygons, reference)
    classes = head is not None or labels is not None
    check_change(out, table=table, png=png, classes=classes, inputs=inputs, overwrite=overwrite)
    with step("Comparing") as progress:
        found = find_change(
            open_store(store),
            area,
            years_of(years),
            out,
            head=None if head is None else load_head(head),
            labels=labels,
            column=column,
            learner=learner,
            stable=stable,
            threshold=threshold,
            false_alarms=false_alarms,
            polygons=polygons,
            name=name,
            table=table,
            reference=reference,
            reference_columns=_pair(reference_columns),
            design=design,
            png=png,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        print_json(found.to_json())
        return
    print(found.report())
    print(f"saved: {', '.join(map(str, found.files))}")


def _pair(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2:
        raise InputError(f"--reference-columns {text!r}; expected two columns, such as class_2021,class_2023")
    return parts[0].strip(), parts[1].strip()
