"""What `tessera embed` does with an area: one search, then cell by cell from scenes to the store."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._made_from import refuse_other
from ._scenes import (
    asked_of,
    hint_swapped,
    in_words,
    left_out_line,
    now_and_then,
    period_of,
    scenes_of,
    tell_line,
    uncovered_line,
)
from .terminal import step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessera.base import Progress
    from tessera.encode import Encoder, Options
    from tessera.geo import Area, Period, Window
    from tessera.scale import AreaReport, Build, CellOutcome, Forecast, Workers
    from tessera.scenes import Recipe, SceneTable, Survey
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
    bbox : the area as it was given, where it was given so
    """

    area: Area
    period: Period
    year: int
    source: str
    recipe: Recipe
    reader: str
    max_lost: int
    bbox: str | None = None

    @cached_property
    def source_names(self) -> str:
        """Its sources' names, as a cube's provenance holds them."""
        from tessera.scenes import source_names

        return source_names(self.source)

    @property
    def identity(self) -> dict[str, Any]:
        """What the provenance of each of its cubes has."""
        return {
            "period": self.period.to_json(),
            "source": self.source_names,
            "recipe": self.recipe.to_json(),
            "reader": self.reader,
        }

    @cached_property
    def asked(self) -> str:
        """Digest of what the source names, as two catalogues may have one id."""
        return asked_of(self.source)


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
    store: Store | None,
    create: Callable[[], Store],
    encoder: Encoder,
    options: Options,
    wanted: Wanted,
    *,
    refresh: bool,
    replace: bool,
    keep_cubes: bool,
    workers: Workers | None,
) -> tuple[Store, AreaReport]:
    """From scenes to the store, and say so.

    Parameters
    ----------
    store : None where there is none yet
    create : makes it, once scenes are known
    replace : write over embeddings of other scenes or rules

    Raises
    ------
    InputError
        No scene lies on any cell, and a store that was made for them is gone; or the store holds the year from other
        scenes or rules.
    """
    from tessera.base import InputError
    from tessera.scale import embed_area, places_of

    asked = {"asked": wanted.asked}
    if store is not None and not replace:
        windows = [place.window for place in places_of(wanted.area, store.layout.shard)]
        refuse_other(store, windows, wanted.year, wanted.identity | asked)
    table = _search(wanted, None if store is None else _kept_scenes(store), refresh=refresh)
    made = store is None
    if store is None:
        store = create()
        if not wanted.source.endswith(".parquet"):
            table.write(_kept_scenes(store) / _name_of(wanted))
    try:
        with _bars() as (progress, building, tell):
            report = embed_area(
                store,
                encoder,
                wanted.area,
                wanted.year,
                _builder(wanted, table),
                options,
                identity=wanted.identity,
                asked=asked,
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
            first = report.empty[0][1]
            # of several cells each has told its reason
            said = f"; {report.empty[0][0]}: {first}" if cells == 1 else ""
            raise InputError(f"none of {cells} cells has scenes{said}{hint_swapped(wanted.bbox, first)}")
    except InputError:
        if made:
            _remove_bare(store)
        raise
    print(
        f"{store.objects.root}: {report.written} cell{'s' * (report.written != 1)} written, "
        f"{report.skipped} already there, {len(report.empty)} without scenes, {len(report.refused)} refused"
    )
    if keep_cubes:
        print(f"cubes are kept in {store.scratch() / 'cubes'}")
    return store, report


def _kept_scenes(store: Store) -> Path:
    """Where answers to searches are kept."""
    from tessera.base import Folder

    return Folder(store.scratch()).inner("scenes")


def forecast_scenes(
    store: Store | None,
    encoder: Encoder,
    options: Options,
    wanted: Wanted,
    devices: tuple[str, ...],
    out: str,
    began: float,
    *,
    refresh: bool,
    replace: bool,
    keep_cubes: bool,
) -> Forecast:
    """What `embed_scenes` would take; scenes are searched, or taken from an earlier search, and nothing is kept.

    Parameters
    ----------
    began : when the command did, of the monotonic clock

    Raises
    ------
    InputError
        As `embed_scenes`.
    """
    from tessera.base import InputError
    from tessera.scale import forecast_area, places_of
    from tessera.scenes import NoScenesError, survey_scenes

    asked = {"asked": wanted.asked}
    if store is not None and not replace:
        windows = [place.window for place in places_of(wanted.area, store.layout.shard)]
        refuse_other(store, windows, wanted.year, wanted.identity | asked)
    folder = None if store is None else _kept_scenes(store)
    table = _search(wanted, folder, refresh=refresh, keep=False, tell=tell_line)
    # imports, weights and the search, which a run has too
    begun = time.monotonic() - began, time.process_time()

    def survey(windows: list[Window]) -> Survey:
        with step("Sizing scenes, a sample of their days") as progress:
            return survey_scenes(
                table, windows, wanted.period, recipe=wanted.recipe, reader=wanted.reader, progress=progress
            )

    try:
        return forecast_area(
            store,
            encoder,
            wanted.area,
            wanted.year,
            options,
            survey,
            identity=wanted.identity,
            asked=asked,
            refresh=refresh,
            keep_cubes=keep_cubes,
            devices=devices,
            local="://" not in out,
            begun=begun,
        )
    except NoScenesError as error:
        raise InputError(f"{error}{hint_swapped(wanted.bbox, str(error))}") from None


def _remove_bare(store: Store) -> None:
    """Remove a store in a folder to which nothing was written and for which nothing was read; not where others work."""
    import shutil
    from contextlib import ExitStack, suppress

    from tessera.base import Folder, TesseraError
    from tessera.store import open_store

    folder = store.objects.folder
    if folder is None:
        return
    with suppress(TesseraError, OSError), ExitStack() as held:
        door = Folder(folder)
        for lock in door.inner(".tessera/locks").glob("*.lock"):
            held.enter_context(door.lock(lock, wait=False))
        work = [path for path in store.scratch().rglob("*") if path.is_file() and path.parent.name != "scenes"]
        if not work and not open_store(folder).years:
            shutil.rmtree(folder)


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
        # of several cells each has told its reason
        said = f": {reason}" if len(report.outcomes) == 1 else ""
        raise TesseraError(
            f"{len(report.refused)} of {len(report.outcomes)} cells were refused, such as {cell}{said}; run the "
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


def _name_of(wanted: Wanted) -> str:
    """Of the file that keeps the answer to a search: another area, time or source has another."""
    import json

    from tessera.base import sha256_hex

    windows = [[part.zone, *part.window.bounds] for part in wanted.area.parts()]
    query = json.dumps([windows, wanted.period.to_json(), wanted.source_names, wanted.asked])
    return f"{sha256_hex(query.encode())[:24]}.parquet"


def _search(
    wanted: Wanted, folder: Path | None, *, refresh: bool, keep: bool = True, tell: Callable[[str], None] = print
) -> SceneTable:
    """The scenes of the whole area: from an earlier search, or asked for once and kept where there is a folder.

    Parameters
    ----------
    keep : write what was searched to the folder
    tell : given a line on what was found
    """
    from tessera.base import InputError
    from tessera.scenes import check_credentials, parse_source, read_scenes, search_scenes

    path = None if folder is None else folder / _name_of(wanted)
    table, before = None, ""
    if wanted.source.endswith(".parquet"):
        table = read_scenes(wanted.source)
    elif path is not None and path.exists() and not refresh:
        try:
            table, before = read_scenes(path), ", as found before (--refresh searches again)"
        except InputError:
            # a file of our own that was damaged
            table = None
    if table is None:
        check_credentials(parse_source(wanted.source))
        with step("Searching scenes") as progress:
            table = search_scenes(wanted.area, wanted.period, wanted.source, progress=progress)
        if path is not None and keep:
            table.write(path)
    found = scenes_of(table, wanted.area, wanted.period)
    tell(f"{wanted.source_names}: {in_words(found)} of {wanted.period}{before}")
    tell_line(left_out_line(table.left_out))
    tell_line(uncovered_line(found, wanted.area) if found else "")
    return table


class Outcomes:
    """Lines of what became of cells: one each, and one of all cells without scenes that come one after another."""

    def __init__(self) -> None:
        self._empty: list[CellOutcome] = []

    def lines(self, outcome: CellOutcome, done: int, total: int) -> list[str]:
        """What there is to say after a cell.

        Parameters
        ----------
        done, total : cells, this one included
        """
        said = []
        if outcome.what == "empty":
            self._empty.append(outcome)
        if self._empty and (outcome.what != "empty" or done == total):
            before = done if outcome.what == "empty" else done - 1
            first, count = self._empty[0], len(self._empty)
            name = (
                f"{first.cell} empty" if count == 1 else f"{count} cells empty, {first.cell} to {self._empty[-1].cell}"
            )
            # of one cell that fails the last line says it
            said += [f"{name}, {before} of {total} cells: {first.reason}"] * (total > 1)
            self._empty = []
        if outcome.what == "written" or (outcome.what == "refused" and total > 1):
            reason = f": {outcome.reason}" if outcome.reason else ""
            said.append(f"{outcome.cell} {outcome.what}, {done} of {total} cells{reason}")
        return said


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

        told = Outcomes()

        def tell(outcome: CellOutcome, done: int, total: int) -> None:
            bars.update(pixels, description=f"Embedding, {done} of {total} cells")
            for line in told.lines(outcome, done, total):
                print(line, file=sys.stderr, flush=True)

        def embedding(done: int, total: int) -> None:
            bars.update(pixels, completed=done, total=total)

        def reading(done: int, total: int) -> None:
            bars.update(scenes, completed=done, total=total)

        yield now_and_then(embedding, "Embedding", "px"), now_and_then(reading, "Reading scenes", "days"), tell
