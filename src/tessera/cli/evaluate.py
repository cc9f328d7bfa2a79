"""tessera evaluate: how many labels features need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tessera.base import InputError, check_folder, check_picture, only_year

from .terminal import (
    BalanceOption,
    BlockOption,
    BufferOption,
    GroupOption,
    JsonOption,
    KindOption,
    OverwriteOption,
    RegionOption,
    SetOption,
    TuneOption,
    YearColumnOption,
    print_table,
    settings_of,
    step,
)


def evaluate(
    data: Annotated[str, typer.Argument(help="Table of labelled pixel-years (.parquet), or path or URL of a store.")],
    places: Annotated[
        Path | None, typer.Argument(help="For a store: vector file of labelled points or polygons.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="For a store: column that holds the class or number.")] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            help="For pixel-years: checkpoint or published name; again for more. The bundled one if left out."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels learnt from: numbers, numbers a class, per cent, as 31,5/class,10%.")
    ] = None,
    heads: Annotated[
        str, typer.Option(help="What learns: some of linear, prototype, knn, forest, boosting, mlp.")
    ] = "linear,forest",
    balance: BalanceOption = "even",
    setting: SetOption = None,
    tune: TuneOption = False,
    split: Annotated[
        str,
        typer.Option(help="What is held out together: auto, given, group, spatial, region, year or random (inflates)."),
    ] = "auto",
    block_km: BlockOption = None,
    buffer_km: BufferOption = None,
    draws: Annotated[int, typer.Option(help="Random subsets of each amount.")] = 20,
    kind: KindOption = None,
    metric: Annotated[str | None, typer.Option(help="What the table and the curves show.")] = None,
    year: Annotated[int | None, typer.Option(help="Of a store; may be left out where it holds one.")] = None,
    group: GroupOption = None,
    region: RegionOption = None,
    year_column: YearColumnOption = None,
    seed: Annotated[int, typer.Option(help="Of draws, heads and intervals.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for evaluation.json, curves.png and finished scores.")
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how well features tell labels apart, by how many labels a head learns from.

    In each draw a third of the groups, or of the blocks of land, is held out and tested; a head learns from a part of
    the other labels. The table shows means over 20 draws with 95 % intervals. Paired differences compare feature sets
    and heads. Beside stands what a random split would have shown.

    Example: tessera evaluate plots.parquet --encoder mine.safetensors --labels 5/class,20/class,100% -o worth
    """
    from tessera.evaluation import check_evaluation, read_pixel_years
    from tessera.evaluation import evaluate as run
    from tessera.labels import CLASSES, read_labels
    from tessera.learners import parse_heads, settings_by_head
    from tessera.validation import CLASS_METRICS, NUMBER_METRICS

    settings = settings_of(setting)
    settings_by_head(parse_heads(heads), settings)
    if out is not None:
        given = (data, places, *(encoder or ()))
        for folder in (out, out / "scores"):
            check_folder(folder, "folder", inputs=given)
        check_evaluation(out / "evaluation.json", inputs=given, overwrite=overwrite)
        check_picture(out / "curves.png", "curves", inputs=given, overwrite=overwrite)
    makers: Any
    if places is None:
        if data.startswith(("http://", "https://", "s3://", "gs://")) or Path(data).is_dir():
            raise InputError(f"{data} is no table of pixel-years; for a store give labelled places too, and --column")
        if any(part is not None for part in (column, year, group, region, year_column)):
            raise InputError(
                f"--column, --year, --group, --region or --year-column beside {data} and no places; a table of "
                f"pixel-years has a column label and takes none of them, places need a store: "
                f"tessera evaluate STORE {data} --column {column or 'NAME'}"
            )
        labelled = read_pixel_years(data, kind=kind)
        makers = _encoders(encoder)
    else:
        from tessera.geo import read_vector
        from tessera.store import open_store

        if Path(data).is_file():
            raise InputError(
                f"{data} is a file; expected the folder or URL of a store before {places}, "
                "or a table of pixel-years alone"
            )
        if encoder:
            raise InputError("--encoder for a store; what made its embeddings is fixed, leave it out")
        if column is None:
            held = ", ".join(read_vector(places).columns) or "none"
            raise InputError(f"no column of {places} named; expected --column with one of its columns: {held}")
        store = open_store(data)
        if year is None and year_column is None:
            year = only_year(store.years, data)
        makers = {Path(data).name or "store": store}
        labelled = read_labels(places, column, kind, group=group, region=region, year=year_column)
    known = CLASS_METRICS if labelled.kind == CLASSES else NUMBER_METRICS
    if metric is not None and metric not in known:
        raise InputError(f"metric {metric!r} of a {labelled.kind}; expected one of {', '.join(known)}")
    with step(f"Evaluating {heads.replace(',', ', ')} on {', '.join(makers)}", "fits") as progress:
        result = run(
            makers,
            labelled,
            heads=heads,
            labels=labels,
            split=split,
            draws=draws,
            seed=seed,
            block_km=block_km,
            buffer_km=buffer_km,
            year=year,
            weights=balance,
            settings=settings,
            tune=tune,
            keep=None if out is None else out / "scores",
            progress=progress,
        )
    rows = result.report(metric)
    if out is not None:
        result.to_json(out / "evaluation.json", overwrite=overwrite)
        result.draw(out / "curves.png", metric, overwrite=overwrite)
    if as_json:
        print(result.to_json(), end="")
        return
    about = result.about
    print(
        f"{about['source']}: {about['labels']} labels of {about['column']}, {about['kind']}, split {about['told']}; "
        f"about {about['tested']:.0f} labels tested in each of {draws} draws; 95 % intervals, a bootstrap of "
        f"{about['bootstrap']} samples over draws and tested groups"
    )
    print_table(rows)
    beside = result.report_random(metric)
    if beside:
        print(beside)
    gaps, lines = result.report_differences(metric)
    if gaps:
        print()
        print_table(gaps)
        print("\n".join([*lines, ""]))
    for note in about["notes"]:
        print(f"note: {note}")
    if out is not None:
        print(f"saved: {out}")


def _encoders(names: list[str] | None) -> dict[str, Any]:
    """Encoders under names that differ."""
    from tessera.encode import load_encoder

    out: dict[str, Any] = {}
    given: list[str | None] = [*names] if names else [None]
    for name in given:
        loaded = load_encoder(name)
        title = "bundled" if name is None else Path(name).stem
        if title in out:
            title = f"{title} {loaded.identity.sha256[:8]}"
        if title in out:
            raise InputError(f"encoder {name} was given twice")
        out[title] = loaded
    return out
