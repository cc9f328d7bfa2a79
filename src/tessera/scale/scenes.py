"""Scenes to a store: one search for the whole area, then cell by cell from scenes to embeddings."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tessera import scenes
from tessera.base import Folder, InputError, TesseraError, checked, sha256_hex, silent
from tessera.geo import parse_period
from tessera.shards import parse_year
from tessera.store import open_store

from ._setup import Setup, update_manifest
from .area import embed_area, places_of
from .cubes import CubeSource, EmptyCellError, RefusedCellError
from .forecast import forecast_area
from .made_from import refuse_other
from .report import EmbedReport, Reporter

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.base import Progress
    from tessera.cubes import PixelCube
    from tessera.encode import Encoder
    from tessera.geo import Area, Period, Window
    from tessera.scenes import Recipe, SceneTable, Survey
    from tessera.store import Store

    from .forecast import Forecast


@checked
def embed(
    area: object,
    year: object,
    *,
    source: Any,
    out: str | Path,
    model: str | Path | Encoder | None = None,
    period: object = None,
    recipe: Recipe | None = None,
    reader: str = "ranges",
    max_lost: int = scenes.MAX_LOST,
    statistics: str | None = None,
    dims: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    workers: int | None = None,
    min_s2: int = 0,
    min_s1: int = 0,
    seed: int = 0,
    refresh: bool = False,
    replace: bool = False,
    keep_cubes: bool = False,
    progress: Progress = silent,
    reporter: Reporter | None = None,
) -> EmbedReport:
    """Embed an area from its scenes into a store.

    Scenes are searched once, and the answer is kept in the store. Then each cell of 10.24 km gets its cube, which is
    embedded, written and removed, while the next cell's cube is built. Run the same call again after any stop: it goes
    on where it was, and ends with the same bytes. Finished cells are left alone without asking a provider. Several
    processes of one machine may embed into one store at the same time. `tessera embed` does the same in a shell.

    Parameters
    ----------
    area : what `parse_area` reads, such as (west, south, east, north) in degrees or a vector file of polygons
    year : calendar year whose scenes are read, and under which the store keeps the embeddings
    source : where scenes come from: "mpc", "earth-search", "opera", several with commas, the preferred one first,
        "stac:" and the address of an API, a static STAC catalogue, or a table of scenes
    out : path or s3, gs or az URL of the store; it is made where nothing is there, once scenes are known
    model : None for the bundled weights, a published name or checkpoint file as `load_encoder` takes it, or an Encoder
    period : days to read in place of the whole year, such as "2023-04-01/2023-09-30"; `year` must lie in it
    recipe, reader, max_lost : how scenes are read, as `build_cube` takes them; a cell that lost more scenes is refused
    statistics : "mpc" or "aws": which provider's statistics v1.1 was trained with; those of the source where None
    dims : length of the prefix of each vector to keep; all where None
    device : "cpu", "cuda" or "cuda:<n>"; every GPU where None, or the CPU where there is none
    precision : "fp32", "bf16", or "auto" for bf16 where the device has instructions for it; "auto" where None
    workers : processes that share the work; one a device where None
    min_s2, min_s1 : fewest clear Sentinel-2 dates, and Sentinel-1 dates, of a pixel to embed
    seed : of the dates that v1.0 draws, 0 to 2**32 - 1
    refresh : search and read again, also cells that are finished
    replace : write over a year that was made from another period, source or recipe
    keep_cubes : keep the cubes beside the unfinished work
    progress : called with pixels done and their total
    reporter : functions that are told of searches, cells and warnings; the log is told where None

    Returns
    -------
    The store, open, and what became of each cell. A cell without scenes is empty. A cell that lost too many scenes is
    refused, and tried again by the next call. Neither stops the other cells.

    Raises
    ------
    InputError
        An argument that cannot be; no scene on any cell, and a store that was made for them is gone again; a store of
        another model, or one that holds the year from other inputs while `replace` is not given.
    LoadError, CredentialError
        A provider does not answer, or refuses; what is finished stays.
    TesseraError
        The disk is full or refuses; what is finished stays.

    Examples
    --------
    >>> import tessera
    >>> report = tessera.embed((5.245, 50.690, 5.253, 50.695), 2023, source="scenes", out="embedded.zarr")
    >>> report.written, report.refused
    (1, [])
    >>> report.store.years
    (2023,)
    """
    reporter = _with(reporter, progress)
    setup = Setup(out, model, statistics, dims, device, precision, workers, min_s2, min_s1, seed)
    wanted = _wanted(area, year, source, period, recipe, reader, max_lost)
    how = setup.how(wanted.source_names, refresh=refresh, keep_cubes=keep_cubes)
    store = setup.open(how)
    if store is not None and not replace:
        wanted.refuse_other(store)
    table = wanted.search(None if store is None else _kept_scenes(store), reporter, refresh=refresh)
    made = store is None
    if store is None:
        store = setup.create(how)
        if not wanted.from_table:
            table.write(_kept_scenes(store) / wanted.file_name)
    try:
        report = embed_area(store, wanted.area, wanted.year, wanted.cubes(table), how, reporter)
        cells = len(report.outcomes)
        if len(report.empty) == cells:
            name, reason = report.empty[0]
            # of several cells each has told its reason
            said = f"; {name}: {reason}" if cells == 1 else ""
            raise InputError(f"none of {cells} cells has scenes{said}{scenes.swapped_hint(area, reason)}")
    except InputError:
        if made:
            _remove_bare(store)
        raise
    update_manifest(store, reporter.note)
    return report


def forecast_embed(
    area: object,
    year: object,
    *,
    source: Any,
    out: str | Path,
    period: object = None,
    recipe: Recipe | None = None,
    reader: str = "ranges",
    max_lost: int = scenes.MAX_LOST,
    refresh: bool = False,
    replace: bool = False,
    keep_cubes: bool = False,
    began: float | None = None,
    reporter: Reporter | None = None,
    **how: Any,
) -> Forecast:
    """Estimate what `tessera.embed` would take; nothing is written but temporary files.

    Parameters
    ----------
    began : when the program did, by `time.monotonic`: its start counts too, since a run has it too; now where None
    how : model, statistics, dims, device, precision, workers, min_s2, min_s1 and seed; these and all others are as
        `tessera.embed` takes them

    Raises
    ------
    InputError, NetError
        See `tessera.embed`.
    """
    began, reporter = time.monotonic() if began is None else began, _with(reporter, silent)
    setup = Setup(out, **how)
    wanted = _wanted(area, year, source, period, recipe, reader, max_lost)
    chosen = setup.how(wanted.source_names, refresh=refresh, keep_cubes=keep_cubes)
    store = setup.open(chosen)
    if store is not None and not replace:
        wanted.refuse_other(store)
    table = wanted.search(None if store is None else _kept_scenes(store), reporter, refresh=refresh, keep=False)
    # imports, weights and the search, which a run has too
    begun = time.monotonic() - began, time.process_time()

    def survey(windows: list[Window]) -> Survey:
        with reporter.step("Sizing scenes, a sample of their days", "") as progress:
            return scenes.survey_scenes(
                table, windows, wanted.period, recipe=wanted.recipe, reader=reader, progress=progress
            )

    try:
        return forecast_area(
            store, wanted.area, wanted.year, wanted.cubes(table), chosen, survey, local=setup.local, begun=begun
        )
    except scenes.NoScenesError as error:
        raise InputError(f"{error}{scenes.swapped_hint(area, str(error))}") from None


@dataclass(frozen=True)
class _Wanted:
    """What is to be read, and how; `year` is the one under which the store keeps the embeddings."""

    area: Area
    period: Period
    year: int
    source: Any
    recipe: Recipe
    reader: str
    max_lost: int

    @cached_property
    def source_names(self) -> str:
        """The names of its sources, as a cube's provenance holds them."""
        return scenes.source_names(self.source)

    @cached_property
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
        """Digest of what the source names, since two catalogues may have one name."""
        return scenes.asked_of(self.source)

    @property
    def from_table(self) -> bool:
        """Whether its source is a table of scenes, which needs no search."""
        return isinstance(self.source, scenes.SceneTable) or str(self.source).endswith(".parquet")

    @property
    def file_name(self) -> str:
        """Name of the file that keeps the answer to a search: another area, time or source has another."""
        windows = [[part.zone, *part.window.bounds] for part in self.area.parts()]
        query = json.dumps([windows, self.period.to_json(), self.source_names, self.asked])
        return f"{sha256_hex(query.encode())[:24]}.parquet"

    def refuse_other(self, store: Store) -> None:
        """Refuse a store that holds a part of the area from other inputs."""
        windows = [place.window for place in places_of(self.area, store.layout.shard)]
        refuse_other(store, windows, self.year, {**self.identity, "asked": self.asked})

    def search(self, folder: Path | None, reporter: Reporter, *, refresh: bool, keep: bool = True) -> SceneTable:
        """The scenes of the whole area: from an earlier search, or asked for once and kept where there is a folder.

        Parameters
        ----------
        keep : write what was found to the folder
        """
        path = None if folder is None else folder / self.file_name
        table, known = None, False
        if self.from_table:
            table = self.source if isinstance(self.source, scenes.SceneTable) else scenes.read_scenes(self.source)
        elif path is not None and path.exists() and not refresh:
            # a file of our own that was damaged is asked for again
            with suppress(InputError):
                table, known = scenes.read_scenes(path), True
        if table is None:
            scenes.check_credentials(scenes.parse_source(self.source))
            with reporter.step("Searching scenes", "") as progress:
                table = scenes.search_scenes(self.area, self.period, self.source, progress=progress)
            if path is not None and keep:
                table.write(path)
        found = scenes.AreaScenes(table, self.area, self.period)
        reporter.found(f"{self.source_names}: {found}", known)
        for line in found.notes:
            reporter.note(line)
        return table

    def cubes(self, table: SceneTable) -> CubeSource:
        """Where the cubes of its cells come from.

        Parameters
        ----------
        table : of the scenes of the whole area
        """

        def build(window: Window, out: Path, progress: Progress) -> PixelCube:
            try:
                return scenes.build_cube(
                    window,
                    self.period,
                    source=table,
                    out=out,
                    recipe=self.recipe,
                    reader=self.reader,
                    max_lost=self.max_lost,
                    progress=progress,
                )
            except scenes.LossError as error:
                raise RefusedCellError(str(error)) from None
            except scenes.NoScenesError as error:
                raise EmptyCellError(str(error)) from None

        return CubeSource(build, self.identity, {"asked": self.asked}, table.sha256)


def _wanted(
    area: object, year: object, source: Any, period: object, recipe: Recipe | None, reader: str, max_lost: int
) -> _Wanted:
    when = parse_period(year if period is None else period)
    if period is None and not when.whole_year:
        raise InputError(f"{when} is no calendar year; give it as period, with the year under which the store keeps it")
    kept = when.first.year if period is None else parse_year(year)
    if not when.first.year <= kept <= when.last.year:
        raise InputError(f"year {kept} with a period of {when}; expected a year that it lies in")
    scenes.check_reading(recipe, reader, max_lost)
    return _Wanted(scenes.area_of(area), when, kept, source, recipe or scenes.Recipe(), reader, max_lost)


def _with(reporter: Reporter | None, progress: Progress) -> Reporter:
    found = reporter or Reporter()
    return found if progress is silent else found.also(progress)


def _kept_scenes(store: Store) -> Path:
    """Where answers to searches are kept."""
    return Folder(store.scratch()).inner("scenes")


def _remove_bare(store: Store) -> None:
    """Remove a store in a folder to which nothing was written and for which nothing was read; not where others work."""
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
