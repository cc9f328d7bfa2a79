"""From scenes to a cube: find them, plan by day, lay each day into images, several days at a time."""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, MachineError, TesseraError, checked, silent
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube, open_spool
from tessera.geo import Window, parse_area, parse_period

from ._bands import resampling_of
from ._lines import GLANCE, Lines, days_at_once, pools
from ._mosaic import mosaic_day
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

    from .plan import Day, ReadPlan
    from .records import Scene
    from .search import Found

_LOG = logging.getLogger(__name__)
MAX_LOST = 1
"""Scenes that may be lost: the published production rejects what lost more than one file (pipeline notes of 2026)."""
_SILENT_ROUNDS = 50
"""Glances after which a day that was laid, and whose thread does not say so, is given up."""


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
    check_reading(recipe, reader, max_lost)
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
    check_reading(recipe, reader, max_lost)
    period, recipe = parse_period(year), recipe or Recipe()
    windows = [aoi] if isinstance(aoi, Window) else [part.window for part in parse_area(aoi).parts()]
    found = find_scenes(source, windows, period)
    check_credentials(found.sources)
    found = found.searched()

    def begun(window: Window) -> _Build:
        return _Build(found, window, period, recipe, reader, max_lost, progress)

    builds = list(where_scenes_are(windows, begun, _LOG.warning))
    return (build.in_memory() for build in builds)


def check_reading(recipe: Recipe | None, reader: str, max_lost: int) -> None:
    """Check how scenes are to be read, as `build_cube` takes it.

    Raises
    ------
    InputError
        Another type than a recipe, an unknown reader, or less than no scene that may be lost.
    """
    if not isinstance(recipe, Recipe | None):
        raise InputError(f"recipe is a {type(recipe).__name__}; expected a tessera.scenes.Recipe")
    if max_lost < 0:
        raise InputError(f"max_lost {max_lost}; expected 0 or more")
    check_reader(reader)


def _one_window(aoi: object) -> Window:
    if isinstance(aoi, Window):
        return aoi
    area = parse_area(aoi)
    parts = area.parts()
    if len(parts) > 1:
        zones = " and ".join(str(part.zone) for part in parts)
        raise InputError(f"{area.name} lies in UTM zones {zones}; a cube has one: use build_cubes, one cube a zone")
    return parts[0].window


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
        sources = {source.name: source for source in found.sources}
        self._reader = make_reader(reader, window, sources, recipe)
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
        with pools(at_once) as (days, lines, given_up):
            bands = Lines(self._reader, lines, given_up)

            ended: set[tuple[str, dt.date]] = set()

            def lay(stack: str, day: Day) -> dict[str, Any]:
                try:
                    images, record = mosaic_day(bands, stack, day, self.plan.recipe, self.plan.window.shape)
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
                done, _ = wait(waiting, GLANCE, FIRST_COMPLETED)
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
