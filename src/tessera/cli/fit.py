"""tessera fit: labels to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .terminal import BlockOption, JsonOption, KindOption, OverwriteOption, StoreArgument, print_json, step


def fit(
    store: StoreArgument,
    labels: Annotated[Path, typer.Argument(help="Vector file of labelled points or polygons.")],
    column: Annotated[str, typer.Option(help="Column that holds the class or the number.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Head to write, a JSON file.")],
    year: Annotated[int | None, typer.Option(help="Year; may be left out if the store holds one.")] = None,
    head: Annotated[str, typer.Option(help="What learns: linear, knn, forest, mlp or unet.")] = "linear",
    kind: KindOption = None,
    split: Annotated[
        str,
        typer.Option(help="What the report keeps together: spatial (blocks of land), group (polygons) or random."),
    ] = "spatial",
    block_km: BlockOption = None,
    report: Annotated[Path | None, typer.Option(help="HTML file: the report with pictures, on one page.")] = None,
    seed: Annotated[int, typer.Option(help="Deals labels to folds, and of what the head draws.", min=0)] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a head on labels, report how well it does on labels held out, and save it.

    The head learns from all labels. The report fits it five times more, each time without a fifth of the blocks of
    land, and tests it on these. It prints scores with 95 % intervals, and what a random split would have shown.

    Example: tessera fit store.zarr plots.geojson --column crop --head forest -o crops.json
    """
    from tessera.heads import check_head
    from tessera.heads import fit as fit_head
    from tessera.reports import check_report
    from tessera.store import open_store

    check_head(out, inputs=(store, labels), overwrite=overwrite)
    if report is not None:
        check_report(report, inputs=(store, labels, out), overwrite=overwrite)
    with step("Fitting"):
        options: dict[str, Any] = {"kind": kind, "block_km": block_km, "year": year, "seed": seed}
        fitted = fit_head(open_store(store), labels, column, head=head, split=split, **options)
    fitted.save(out, overwrite=overwrite)
    if report is not None:
        with step("Writing the report"):
            fitted.write_report(report, overwrite=overwrite)
    if as_json:
        values = dict(zip(fitted.classes, fitted.values, strict=True))
        print_json({**fitted.metrics, "head": fitted.head, "kind": fitted.kind, "values": values})
    else:
        print(fitted.report())
        print(f"saved: {out}{'' if report is None else f', {report}'}")
