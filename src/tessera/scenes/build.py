"""From scenes to a cube: find them, plan by day, lay each day into images, several days at a time."""

from __future__ import annotations

import ctypes
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Crew, InputError, MachineError, TesseraError, checked, raise_if_machine, silent
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube, open_spool
from tessera.geo import Window, parse_area, parse_period
from tessera.net import NetError

from ._bands import resampling_of
from ._files import Traffic
from ._mosaic import UnreadableError, lay_day
from ._readers import check_reader, make_reader
from .plan import NoScenesError, plan_reads, where_scenes_are
from .recipe import Recipe
from .records import SCL
from .search import find_scenes
from .sources import check_credentials

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.cubes import CubeSpool
    from tessera.geo import Period

    from ._bands import Reader
    from .plan import Day, ReadPlan
    from .records import Scene
    from .search import Found

_LOG = logging.getLogger(__name__)
MAX_LOST = 1
"""Scenes that may be lost: the published production rejects what lost more than one file (pipeline notes of 2026)."""
LINES = 24
"""Files that are read at once; the published production caps a worker at 64."""
_IMAGES_BYTES = 128 * 1024**2
"""Images of days that are laid at the same time; a day of a cell has 25 MB."""
_MOST_DAYS = 5
_GLANCE = 0.2
"""Seconds between two looks: of a day that waits for files, whether the build was given up; of the build, at its days,
after each of which it tells its progress."""
_SILENT_ROUNDS = 50
"""Glances after which a day that was laid, and whose thread does not say so, is given up."""
_PARTING = 1.0
"""Seconds that threads have for what they decode when a build is given up; one that waits for a server is left."""
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
"""mallopt's parameters (glibc's malloc.h); libraries without it are left as they are."""


class LossError(TesseraError):
    """More scenes could not be read than the cube may lack."""


@checked
def build_cube(
    aoi: object,
    year: object,
    *,
    source: Any,
    out: str | Path | None = None,
    recipe: Recipe | None = None,
    reader: str = "ranges",
    max_lost: int = MAX_LOST,
    asked: str = "",
    progress: Progress = silent,
) -> PixelCube:
    """Build a cube of a year of scenes, on the smallest window of the lattice that contains an area.

    Scenes are grouped by solar day. Within a day the clearest scene comes first, and each pixel takes the first scene
    in which it is clear. The same scenes give the same bytes, whatever their order in the catalogue. Days without a
    clear pixel and passes without a valid one are left out. A pixel that is not clear holds 0.

    With glibc, the first call limits the process to two malloc arenas (mallopt) to save memory.

    Parameters
    ----------
    aoi : what `parse_area` reads, or a `Window`
    year : calendar year by solar date, or a period such as "2021-04-01/2021-09-30" (see `parse_period`)
    source : where to find scenes: "mpc", "earth-search" or "opera", or several with commas, the preferred one first;
        the folder or URL of a static STAC catalogue; "stac:" and the URL of a STAC API; or the path of a table of
        scenes
    out : a new folder to write the cube to, day by day. Memory then holds a few days at a time, and a stopped build
        continues when it is run again, with the same bytes in the end. If None, the cube is built in memory
    recipe : settings of the rules; the defaults of `Recipe` if None
    reader : "ranges" reads the blocks of a file that the area touches; "odc" reads through odc-stac and GDAL
    max_lost : number of scenes that may be lost because no copy can be read
    asked : identity entries that a cube does not record, such as a hash of the catalogue's address
    progress : called several times a second as `progress(days, total)`; what it raises stops the build

    Returns
    -------
    The cube, in memory or opened from `out`. Its provenance names the scenes that were used, replaced and lost.

    Raises
    ------
    InputError
        The area lies in several UTM zones (see `build_cubes`); there is no such source or reader; the catalogue is not
        STAC, or has no scene of the area in that time; or `out` exists (open it with `open_cube`).
    LossError
        More than `max_lost` scenes cannot be read. Finished days stay beside `out`; the next run tries the lost scenes
        again.
    LoadError, CredentialError
        A provider does not answer, or refuses. Finished days stay beside `out`.

    Examples
    --------
    >>> import tessera
    >>> cube = tessera.build_cube("5.246,50.691,5.252,50.694", 2023, source="scenes", out="new.zarr")
    >>> cube
    PixelCube(35 x 45 pixels, EPSG:32631, 2023, 7 Sentinel-2 and 4 + 4 Sentinel-1 dates)
    >>> bbox = "5.246,50.691,5.252,50.694"
    >>> cube = tessera.build_cube(bbox, 2023, source="earth-search,opera", out="real.zarr")  # doctest: +SKIP
    """
    window = _one_window(aoi)
    if not isinstance(recipe, Recipe | None):
        raise InputError(f"recipe is a {type(recipe).__name__}; expected a tessera.scenes.Recipe")
    if max_lost < 0:
        raise InputError(f"max_lost {max_lost}; expected 0 or more")
    check_reader(reader)
    period, recipe = parse_period(year), recipe or Recipe()
    found = find_scenes(source, [window], period)
    check_credentials(found.sources)
    if out is None:
        return _Build(found.searched(), window, period, recipe, reader, max_lost, progress, asked).in_memory()
    about = {
        "window": [window.zone, window.west, window.north, window.height, window.width],
        "period": period.to_json(),
        "source": found.asked,
        # two catalogues may have one name
        "asked": [getattr(one, "asked", one.name) for one in found.sources],
        "recipe": recipe.to_json(),
        "reader": reader,
        **({} if found.table is None else {"scenes": found.table.sha256}),
    }
    with open_spool(Path(out), about, window.shape) as spool:
        table = spool.folder / "notes" / "scenes.parquet"
        found = found.kept(table)
        try:
            build = _Build(found, window, period, recipe, reader, max_lost, progress, asked)
        except NoScenesError:
            # there may be some when it is run again
            table.unlink(missing_ok=True)
            raise
        return build.into(spool)


@checked
def build_cubes(
    aoi: object,
    year: object,
    *,
    source: Any,
    recipe: Recipe | None = None,
    reader: str = "ranges",
    max_lost: int = MAX_LOST,
    progress: Progress = silent,
) -> Iterator[PixelCube]:
    """Build one cube in memory for each UTM zone of an area, from west to east.

    Scenes of a neighbouring zone are reprojected. A zone without scenes is left out with a warning in the log.

    Parameters
    ----------
    aoi : as `build_cube`
    year : as `build_cube`
    source : as `build_cube`
    recipe : as `build_cube`
    reader : as `build_cube`
    max_lost : as `build_cube`, for each zone
    progress : as `build_cube`

    Raises
    ------
    InputError
        As `build_cube`, before the first cube; or no zone has a scene.
    LossError, LoadError, CredentialError
        As `build_cube`.

    Examples
    --------
    >>> import tessera
    >>> cubes = tessera.build_cubes("5.246,50.691,5.252,50.694", 2023, source="scenes")
    >>> [cube.grid.crs for cube in cubes]
    ['EPSG:32631']
    """
    check_reader(reader)
    period, recipe = parse_period(year), recipe or Recipe()
    windows = [aoi] if isinstance(aoi, Window) else [part.window for part in parse_area(aoi).parts()]
    found = find_scenes(source, windows, period)
    check_credentials(found.sources)
    found = found.searched()

    def begun(window: Window) -> _Build:
        return _Build(found, window, period, recipe, reader, max_lost, progress)

    builds = list(where_scenes_are(windows, begun, _LOG.warning))
    return (build.in_memory() for build in builds)


def _one_window(aoi: object) -> Window:
    if isinstance(aoi, Window):
        return aoi
    area = parse_area(aoi)
    parts = area.parts()
    if len(parts) > 1:
        zones = " and ".join(str(part.zone) for part in parts)
        raise InputError(f"{area.name} lies in UTM zones {zones}; a cube has one: use build_cubes, one cube a zone")
    return parts[0].window


class _Lines:
    """Bands of scenes, read by a number of threads that all days share."""

    def __init__(self, reader: Reader, crew: Crew, given_up: threading.Event) -> None:
        self._reader, self._crew, self._given_up = reader, crew, given_up

    def _read(self, scene: Scene, band: str) -> NDArray[Any]:
        # a job that is cancelled from outside would leave its day waiting for ever
        if self._given_up.is_set():
            raise CancelledError
        return self._reader.read(scene, band)

    def __call__(self, scene: Scene, bands: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        waiting = {self._crew.submit(self._read, scene, band): place for place, band in enumerate(bands)}
        failed: tuple[int, NetError] | None = None
        try:
            # of several bands that fail the first is named, so what is lost reads the same every time
            while waiting and (failed is None or min(waiting.values()) < failed[0]):
                ready, _ = wait(waiting, _GLANCE, FIRST_COMPLETED)
                # a server may keep a file's thread waiting for minutes
                if self._given_up.is_set():
                    raise CancelledError
                if not ready:
                    self._crew.check()
                while ready:
                    done = ready.pop()
                    place = waiting.pop(done)
                    try:
                        image = done.result()
                    except NetError as error:
                        failed = (place, error) if failed is None or place < failed[0] else failed
                        continue
                    if failed is None:
                        yield bands[place], image
                    del done, image
        finally:
            for job in waiting:
                job.cancel()
        if failed is not None:
            raise UnreadableError(scene, bands[failed[0]], failed[1]) from None


class _Build:
    """One cube: its plan, and the days of it that are laid at the same time."""

    def __init__(
        self,
        found: Found,
        window: Window,
        period: Period,
        recipe: Recipe,
        reader: str,
        max_lost: int,
        progress: Progress,
        asked: str = "",
    ) -> None:
        self._asked = asked
        self._found, self._reader_name, self._max_lost, self._progress = found, reader, max_lost, progress
        self.traffic = Traffic()
        sources = {source.name: source for source in found.sources}
        self._reader = make_reader(reader, window, sources, recipe, self.traffic)
        table = found.table_of()
        # one search may hold the scenes of many cells; where none is near, the error tells what there is
        try:
            self.plan: ReadPlan = plan_reads(table.near(window) or table.scenes, window, period, recipe, found.names)
        except NoScenesError as error:
            left_out = table.left_out
            if not left_out:
                raise
            most = max(left_out, key=lambda reason: (left_out[reason], reason))
            raise NoScenesError(
                f"{error}; the search left out {sum(left_out.values())} there, most of them for: {most}"
            ) from None

    def into(self, spool: CubeSpool) -> PixelCube:
        """The cube on disk, with the days that are not in the spool yet read into it."""
        records: dict[tuple[str, dt.date], dict[str, Any]] = {}
        wanted = []
        for stack, day in self.plan.days():
            record = spool.record(stack, day.day)
            # a search that had to be made again may have found other scenes
            if record is None or record["lost"] or record.get("plan") != day.sha256(stack):
                wanted.append((stack, day))
            else:
                records[stack, day.day] = record

        def keep(stack: str, day: dt.date, images: Mapping[str, NDArray[Any]] | None, record: dict[str, Any]) -> None:
            spool.put(stack, day, None if images is None else dict(images), record)

        self._run(wanted, records, keep)
        return spool.finish(self.plan.window.grid, self._provenance(records), records)

    def in_memory(self) -> PixelCube:
        """The cube in memory."""
        records: dict[tuple[str, dt.date], dict[str, Any]] = {}
        images: dict[tuple[str, dt.date], Mapping[str, NDArray[Any]]] = {}

        def keep(stack: str, day: dt.date, made: Mapping[str, NDArray[Any]] | None, _: dict[str, Any]) -> None:
            if made is not None:
                images[stack, day] = made

        self._run(list(self.plan.days()), records, keep)
        provenance = self._provenance(records)
        shape = self.plan.window.shape
        stacks: dict[str, Any] = {}
        kinds = {"s2": (len(S2_BANDS),), "s2_mask": (), "s1_asc": (len(S1_BANDS),), "s1_desc": (len(S1_BANDS),)}
        types = {"s2": np.uint16, "s2_mask": np.uint8, "s1_asc": np.int16, "s1_desc": np.int16}
        for name, more in kinds.items():
            stack = name.removesuffix("_mask")
            days = sorted(day for kind, day in images if kind == stack)
            array = np.zeros((len(days), *shape, *more), dtype=types[name])
            for place, day in enumerate(days):
                array[place] = images[stack, day][name]
            stacks[name] = array
            stacks[f"{stack}_doy"] = np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)
        return PixelCube(**stacks, grid=self.plan.window.grid, provenance=provenance)

    def _run(
        self,
        wanted: Sequence[tuple[str, Day]],
        records: dict[tuple[str, dt.date], dict[str, Any]],
        keep: Any,
    ) -> None:
        """Lay days, a few at a time, and keep each when it is done."""
        total = len(records) + len(wanted)
        at_once = days_at_once(self.plan.window.shape)
        with _pools(at_once) as (days, lines, given_up):
            bands = _Lines(self._reader, lines, given_up)

            ended: set[tuple[str, dt.date]] = set()

            def lay(stack: str, day: Day) -> dict[str, Any]:
                try:
                    images, record = lay_day(bands, stack, day, self.plan.recipe, self.plan.window.shape)
                    record |= {"given": images is not None, "plan": day.sha256(stack)}
                    keep(stack, day.day, images, record)
                    return record
                finally:
                    ended.add((stack, day.day))

            silent_rounds = 0
            waiting: dict[Future[dict[str, Any]], tuple[str, dt.date]] = {}
            rest = iter(wanted)
            while True:
                for stack, day in rest:
                    waiting[days.submit(lay, stack, day)] = stack, day.day
                    if len(waiting) == 2 * at_once:
                        break
                if not waiting:
                    return
                # a round without a finished day shows life, and lets the caller stop
                done, _ = wait(waiting, _GLANCE, FIRST_COMPLETED)
                for job in done:
                    records[waiting.pop(job)] = job.result()
                silent_rounds = silent_rounds + 1 if not done and ended & set(waiting.values()) else 0
                if silent_rounds > _SILENT_ROUNDS:
                    raise MachineError("a day was laid, but its thread ended for want of memory before it could say so")
                self._refuse_losses(records)
                self._progress(len(records), total)

    def _refuse_losses(self, records: Mapping[tuple[str, dt.date], dict[str, Any]]) -> None:
        lost = [trouble for record in records.values() for trouble in record["lost"]]
        if len(lost) <= self._max_lost:
            return
        first = min(lost, key=lambda trouble: (trouble["id"], trouble["band"]))
        raise LossError(
            f"{len(lost)} scene{'s' * (len(lost) != 1)} cannot be read, at most {self._max_lost} may be lost; "
            f"item {first['id']}, {first['band']}: {first['said']}"
        )

    def _provenance(self, records: Mapping[tuple[str, dt.date], dict[str, Any]]) -> dict[str, Any]:
        """What the cube is made of; the same whatever the order in which days were laid."""
        plan = self.plan
        ordered = [(stack, day.day, records[stack, day.day]) for stack, day in plan.days()]
        scenes = {scene.key: scene for _, day in plan.days() for scene in day.scenes}
        used = {tuple(key) for _, _, record in ordered if record["given"] for key in record["used"]}

        def dates(wanted: str) -> list[str]:
            return [day.isoformat() for stack, day, record in ordered if stack == wanted and record["given"]]

        lost = [_told(trouble) for _, _, record in ordered for trouble in record["lost"]]
        return {
            "year": plan.period.year,
            "period": plan.period.to_json(),
            "source": self._found.asked,
            **({"asked": self._asked} if self._asked else {}),
            "reader": self._reader_name,
            "recipe": plan.recipe.to_json(),
            "collections": sorted({key[1] for key in used}),
            "s2_dates": dates("s2"),
            "s1_asc_dates": dates("s1_asc"),
            "s1_desc_dates": dates("s1_desc"),
            "s2_baselines": sorted({baseline for _, _, record in ordered for baseline in record["baselines"]}),
            "scenes_sha256": plan.sha256,
            "scenes_found": len(scenes),
            "scenes_used": len(used),
            "scenes_lost": len(lost),
            "left_out": dict(self._found.table_of().left_out),
            "lost": lost,
            "fallbacks": [_told(trouble) for _, _, record in ordered for trouble in record["fallbacks"]],
            "resampling": _resampling(scenes.values(), plan.recipe),
        }


def days_at_once(shape: tuple[int, int]) -> int:
    """Days of (H, W) pixels that are laid at the same time."""
    height, width = shape
    return max(1, min(_MOST_DAYS, _IMAGES_BYTES // (height * width * 2 * (len(S2_BANDS) + 2))))


def _told(trouble: Mapping[str, str]) -> dict[str, str]:
    """Without the message, which may name the address of the day."""
    return {key: value for key, value in trouble.items() if key != "said"}


def _resampling(scenes: Iterable[Scene], recipe: Recipe) -> dict[str, str]:
    """How each band was laid onto the lattice; of Sentinel-1, as the scenes of most use have it."""
    rules: dict[str, str] = {}
    for scene in scenes:
        for band in (SCL, *S2_BANDS) if scene.optical else S1_BANDS:
            rules[band] = resampling_of(scene, band, recipe)
    return dict(sorted(rules.items()))


@cache
def _few_arenas() -> None:
    """Let threads share memory that was freed: glibc keeps it apart for each thread, a third more in all."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 2)
        libc.mallopt(_MMAP_THRESHOLD, 4 * 1024**2)


@contextmanager
def _pools(days: int) -> Iterator[tuple[ThreadPoolExecutor, Crew, threading.Event]]:
    """Threads that lay days and threads that read files; after an error or interrupt what waits is given up."""
    given_up = threading.Event()
    _few_arenas()
    lines = Crew(LINES, "tessera-file")
    try:
        # days end before the caller goes on: they write
        with ThreadPoolExecutor(days, thread_name_prefix="tessera-day") as laying:
            try:
                yield laying, lines, given_up
            except BaseException as error:
                given_up.set()
                laying.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, (MemoryError, RuntimeError)):
                    raise_if_machine(error, "reading scenes")
                raise
    finally:
        lines.dismiss(_PARTING if given_up.is_set() else None)
