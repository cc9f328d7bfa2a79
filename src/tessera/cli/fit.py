"""tessera fit: labels to a head."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tessera.base import InputError

from .terminal import (
    LEARN,
    READ,
    BalanceOption,
    BlockOption,
    BufferOption,
    GroupOption,
    JsonOption,
    KindOption,
    OverwriteOption,
    RegionOption,
    SetOption,
    StoreArgument,
    TuneOption,
    YearColumnOption,
    print_json,
    settings_of,
    step,
    years_of,
)

if TYPE_CHECKING:
    from tessera.embeddings import ModelIdentity

_TEST = "How it is tested"


@dataclass(frozen=True)
class _Given:
    """Labels by a file and its column, or by a project."""

    labels: Any
    column: str
    colours: dict[str, str] | None = None
    group: str | None = None
    year: int | None = None
    model: ModelIdentity | None = None
    kind: str | None = None


def _given(
    labels: Path | None, column: str | None, project: Path | None, *, year: object, years: object, group: object
) -> _Given:
    from tessera.heads import load_project

    if project is None:
        if labels is None or column is None:
            raise InputError("labels without a file or a --column; expected LABELS and --column, or --project")
        return _Given(labels, column)
    if labels is not None or column is not None:
        raise InputError("labels by a file and by --project; expected one of the two")
    opened = load_project(project)
    options = opened.fit_options()
    return _Given(
        options["labels"],
        options["column"],
        options["colours"],
        None if group is not None else options["group"],
        None if year is not None or years is not None else options["year"],
        opened.model,
        options["kind"],
    )


def fit(
    store: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Head to write, a JSON file.")],
    labels: Annotated[
        Path | None, typer.Argument(help="Vector file of labelled points or polygons; not with --project.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column that holds the class or the number.")] = None,
    project: Annotated[
        Path | None,
        typer.Option(metavar="ZIP", help="Project of the page: its labels, classes, colours and year."),
    ] = None,
    year: Annotated[
        int | None, typer.Option(help="Year; may be left out if the store holds one.", rich_help_panel=READ)
    ] = None,
    years: Annotated[
        str | None,
        typer.Option(metavar="YEARS", help="Several years side by side, with commas: 2021,2022.", rich_help_panel=READ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="STORE", help="Another store, side by side; again for more.", rich_help_panel=READ),
    ] = None,
    dims: Annotated[
        int | None, typer.Option(help="Length of the prefix to learn from; all if left out.", rich_help_panel=READ)
    ] = None,
    kind: KindOption = None,
    group: GroupOption = None,
    region: RegionOption = None,
    year_column: YearColumnOption = None,
    head: Annotated[
        str,
        typer.Option(help="Learner: linear, prototype, knn, forest, boosting, mlp or unet.", rich_help_panel=LEARN),
    ] = "linear",
    balance: BalanceOption = "even",
    setting: SetOption = None,
    tune: TuneOption = False,
    split: Annotated[
        str,
        typer.Option(
            help="What is held out together: spatial (blocks), group (polygons, sites), region, year or random.",
            rich_help_panel=_TEST,
        ),
    ] = "spatial",
    block_km: BlockOption = None,
    buffer_km: BufferOption = None,
    curve: Annotated[
        bool | None,
        typer.Option(
            "--curve/--no-curve",
            help="Scores by number of labels. Default: for learners that are quick to fit.",
            rich_help_panel=_TEST,
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="DESIGN",
            help="random, if the labels were drawn at random from the mapped area.",
            rich_help_panel=_TEST,
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="HTML file: the report with pictures, on one page.")] = None,
    out_of_fold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Vector file to write: each tested label, what was predicted, its probability and fold.",
            rich_help_panel=_TEST,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Deals labels to folds, and of what the head draws.", min=0)] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a head on labels, report how well it does on labels held out, and save it.

    The head learns from all labels. The report fits it again for each fold, without the blocks of land that it tests
    and without labels near them. It prints scores with 95 % intervals, and what a random split would have shown.

    Example: tessera fit store.zarr plots.geojson --column crop --head forest -o crops.json
    """
    from tessera.heads import check_head, check_out_of_fold, head_files
    from tessera.heads import fit as fit_head
    from tessera.reports import check_report
    from tessera.store import open_store

    given = _given(labels, column, project, year=year, years=years, group=group)
    inputs = (store, *(also or ()), labels, project)
    check_head(out, head=head, inputs=inputs, overwrite=overwrite)
    if report is not None:
        check_report(report, inputs=(*inputs, out), overwrite=overwrite)
    if out_of_fold is not None:
        check_out_of_fold(out_of_fold, inputs=(*inputs, out, report), overwrite=overwrite)
    options: dict[str, Any] = {
        "kind": kind or given.kind,
        "block_km": block_km,
        "buffer_km": buffer_km,
        "year": year if given.year is None else given.year,
        "years": None if years is None else years_of(years),
        "dims": dims,
        "seed": seed,
        "group": group or given.group,
        "colours": given.colours,
        "region": region,
        "year_column": year_column,
        "weights": balance,
        "settings": settings_of(setting),
        "tune": tune,
        "curve": curve,
        "sample": sample,
        "out_of_fold": out_of_fold,
        "overwrite": overwrite,
    }
    stores: Any = [open_store(one) for one in (store, *(also or ()))]
    if given.model is not None and stores[0].model.sha256 != given.model.sha256:
        raise InputError(
            f"project {project} is about embeddings of {given.model.name} ({given.model.sha256[:12]}), the store has "
            f"those of {stores[0].model.name} ({stores[0].model.sha256[:12]}); expected the same model"
        )
    with step("Fitting", "fits") as progress:
        fitted = fit_head(
            stores if also else stores[0],
            given.labels,
            given.column,
            head=head,
            split=split,
            progress=progress,
            **options,
        )
    fitted.save(out, overwrite=overwrite)
    if report is not None:
        with step("Writing the report"):
            fitted.write_report(report, overwrite=overwrite)
    if as_json:
        values = dict(zip(fitted.classes, fitted.values, strict=True))
        print_json({**fitted.metrics, "head": fitted.head, "kind": fitted.kind, "values": values})
    else:
        print(fitted.report())
        held_out = out_of_fold if fitted.metrics["folds"] else None
        more = [path for path in (report, held_out) if path is not None]
        print(f"saved: {', '.join(map(str, (*head_files(out, head), *more)))}")
