"""tessera report: what a head is worth, as one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import OverwriteOption, step


def report(
    head: Annotated[Path, typer.Option(help="Head that `tessera fit` saved.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")],
    map_: Annotated[Path | None, typer.Option("--map", help="GeoTIFF that `tessera map` wrote with this head.")] = None,
    sample: Annotated[
        Path | None, typer.Option(help="Labelled points drawn at random on the map, which did not train it.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Column of the sample with the class; the head's if omitted.")
    ] = None,
    design: Annotated[
        str, typer.Option(help="How the sample was drawn: stratified (within each class of the map) or random.")
    ] = "stratified",
    overwrite: OverwriteOption = False,
) -> None:
    """Write what a head is worth as one page of HTML, which needs no network.

    The page holds scores with intervals beside those of a random split, each class, confusions, calibration, sets, a
    learning curve, where the labels lie, the worst examples, what the head was made from, and a methods paragraph with
    references. With --map it also shows the map and the area of each class. With --sample the areas get intervals.

    Example: tessera report --head crops.json --map map.tif -o report.html
    """
    from tessera.heads import load_head
    from tessera.reports import check_report

    check_report(out, inputs=(head, map_, sample), overwrite=overwrite)
    loaded = load_head(head)
    with step("Writing the report"):
        loaded.write_report(out, map_, sample=sample, column=column, design=design, overwrite=overwrite)
    print(f"saved: {out}")
