"""tessera fit: labels to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .terminal import OverwriteOption, print_json, step


def fit(
    store: Annotated[str, typer.Argument(help="Path or URL of a store.")],
    labels: Annotated[Path, typer.Argument(help="Vector file of labelled points or polygons.")],
    column: Annotated[str, typer.Option(help="Column that holds the class.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Head to write (.json).")],
    year: Annotated[int | None, typer.Option(help="Year; may be left out where there is one.")] = None,
    head: Annotated[str, typer.Option(help="Kind of head.")] = "linear",
    overwrite: OverwriteOption = False,
    split: Annotated[str, typer.Option(help="How the report holds labels out: spatial or random.")] = "spatial",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Fit a head on labels, report how well it does on labels held out, and save it.

    Example: tessera fit store.zarr plots.geojson --column crop -o crops.json
    """
    from tessera.heads import check_head
    from tessera.heads import fit as fit_head
    from tessera.store import open_store

    check_head(out, inputs=(store, labels), overwrite=overwrite)
    with step("Fitting"):
        fitted = fit_head(open_store(store), labels, column, head=head, split=split, year=year)
    fitted.save(out, overwrite=overwrite)
    if as_json:
        print_json({**fitted.metrics, "values": dict(zip(fitted.classes, fitted.values, strict=True))})
    else:
        print(fitted.report())
        print(f"saved: {out}")
