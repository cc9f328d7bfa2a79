"""What `tessera embed` does with an area: one search, then cell by cell from scenes to the store."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._scenes import period_of
from ._show import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessera.base import Progress
    from tessera.encode import Encoder, Options
    from tessera.geo import Area
    from tessera.scale import AreaReport, Build, CellOutcome, Workers
    from tessera.scenes import Period, Recipe, SceneTable
    from tessera.store import Store

_WEIGHTS = {"mpc": "mpc", "earth-search": "aws", "opera": "aws"}
"""Source of scenes -> whose statistics the weights of v1.1 were trained with."""


@dataclass(frozen=True)
class Wanted:
    """What is to be read, and how.

    Attributes
    ----------
    area, period : of the scenes
    year : under which the store keeps the embeddings
    source : as `build_cube` takes it
    recipe, reader, max_lost : as `build_cube` takes them
    """

    area: Area
    period: Period
    year: int
    source: str
    recipe: Recipe
    reader: str
    max_lost: int

    @property
    def source_names(self) -> str:
        """Its sources' names, as a cube's provenance holds them."""
        from tessera.scenes import source_names

        return source_names(self.source)

    @property
    def identity(self) -> dict[str, Any]:
        """What the provenance of each of its cubes has."""
        return {"period": self.period.told(), "source": self.source_names, "recipe": self.recipe.told()}


def period_and_year(year: int | None, first: str | None, last: str | None) -> tuple[Period, int]:
    """The period of the scenes and the store's year.

    Raises
    ------
    InputError
        Neither was given, or a period that is no calendar year without the year of the store.
    """
    from tessera.base import InputError

    period = period_of(year if first is None and last is None else None, first, last)
    if year is None and period.whole_year:
        year = period.year
    if year is None:
        raise InputError(f"{period} is no calendar year; give with --year the one under which the store keeps it")
    if not period.first.year <= year <= period.last.year:
        raise InputError(f"--year {year} with a period of {period}; expected a year that it lies in")
    return period, year


def weights_of(given: str | None, model: str | None, names: str) -> str | None:
    """Whose statistics to bind: those that were given, else, of v1.1, those that fit the first source of scenes."""
    return _WEIGHTS.get(names.partition(",")[0]) if given is None and model == "v1.1" else given


def embed_scenes(
    store: Store,
    encoder: Encoder,
    options: Options,
    wanted: Wanted,
    *,
    refresh: bool,
    keep_cubes: bool,
    workers: Workers | None,
) -> AreaReport:
    """From scenes to the store, and say so.

    Raises
    ------
    InputError
        No scene lies on any cell.
    """
    from tessera.base import InputError
    from tessera.scale import embed_area

    table = _search(wanted, store.scratch() / "scenes", refresh=refresh)
    with _bars() as (progress, building, tell):
        report = embed_area(
            store,
            encoder,
            wanted.area,
            wanted.year,
            _builder(wanted, table),
            options,
            identity=wanted.identity,
            scenes=table.sha256,
            refresh=refresh,
            keep_cubes=keep_cubes,
            workers=workers,
            progress=progress,
            building=building,
            tell=tell,
        )
    cells = len(report.outcomes)
    if len(report.empty) == cells:
        raise InputError(f"none of {cells} cells has scenes; {report.empty[0][0]}: {report.empty[0][1]}")
    print(
        f"{store.objects.root}: {report.written} cell{'s' * (report.written != 1)} written, "
        f"{report.skipped} already there, {len(report.empty)} without scenes, {len(report.refused)} refused"
    )
    if keep_cubes:
        print(f"cubes are kept in {store.scratch() / 'cubes'}")
    return report


def check_refused(report: AreaReport) -> None:
    """Raise where cells were refused.

    Raises
    ------
    TesseraError
        Cells were refused; all others are finished.
    """
    from tessera.base import TesseraError

    if report.refused:
        cell, reason = report.refused[0]
        raise TesseraError(
            f"{len(report.refused)} of {len(report.outcomes)} cells were refused, such as {cell}: {reason}; run the "
            "same command again to try what was lost anew, or with a greater --max-lost"
        )


def _builder(wanted: Wanted, table: SceneTable) -> Build:
    """What builds the cube of a window from scenes that were searched."""
    from tessera.scale import EmptyCellError, RefusedCellError
    from tessera.scenes import LossError, NoScenesError, build_cube

    def build(window: Any, out: Path, progress: Progress) -> Any:
        try:
            return build_cube(
                window,
                wanted.period,
                source=table,
                out=out,
                recipe=wanted.recipe,
                reader=wanted.reader,
                max_lost=wanted.max_lost,
                progress=progress,
            )
        except LossError as error:
            raise RefusedCellError(str(error)) from None
        except NoScenesError as error:
            raise EmptyCellError(str(error)) from None

    return build


def _search(wanted: Wanted, folder: Path, *, refresh: bool) -> SceneTable:
    """The scenes of the whole area: from an earlier run's search, or asked for once and kept."""
    import json

    from tessera.base import InputError, sha256_hex
    from tessera.scenes import read_scenes, search_scenes

    windows = [[part.zone, *part.window.bounds] for part in wanted.area.parts()]
    query = json.dumps([windows, wanted.period.told(), wanted.source_names])
    path, table, before = folder / f"{sha256_hex(query.encode())[:24]}.parquet", None, ""
    if wanted.source.endswith(".parquet"):
        table = read_scenes(wanted.source)
    elif path.exists() and not refresh:
        try:
            table, before = read_scenes(path), ", as found before (--refresh searches again)"
        except InputError:
            # a file of our own that was damaged
            table = None
    if table is None:
        with step("Searching scenes") as progress:
            table = search_scenes(wanted.area, wanted.period, wanted.source, progress=progress)
        table.write(path)
    optical = sum(scene.optical for scene in table.scenes)
    print(
        f"{wanted.source_names}: {optical} Sentinel-2 and {len(table.scenes) - optical} Sentinel-1 scenes of "
        f"{wanted.period}{before}"
    )
    return table


@contextmanager
def _bars() -> Iterator[tuple[Progress, Progress, Callable[[CellOutcome, int, int], None]]]:
    """Show pixels and cells that are done and the cell whose scenes are read; off a terminal, a line for each cell."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        pixels, scenes = bars.add_task("Embedding", total=None), bars.add_task("Reading scenes", total=None)

        def tell(outcome: CellOutcome, done: int, total: int) -> None:
            bars.update(pixels, description=f"Embedding, {done} of {total} cells")
            if outcome.what != "skipped":
                reason = f": {outcome.reason}" if outcome.reason else ""
                print(f"{outcome.cell} {outcome.what}, {done} of {total} cells{reason}", file=sys.stderr)

        yield (
            lambda done, total: bars.update(pixels, completed=done, total=total),
            lambda done, total: bars.update(scenes, completed=done, total=total),
            tell,
        )
