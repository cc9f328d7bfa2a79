"""What cubes of some windows would take: days planned, a sample of them sized by their files' headers, a few read."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import Crew, silent
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube, open_spool
from tessera.geo import to_lonlat

from ._bands import dtype_of, href_of, resampling_of
from ._files import open_file
from ._lines import LINES, Lines, days_at_once, pools
from ._mosaic import mosaic_day
from ._readers import check_reader, make_reader
from .plan import NoScenesError, plan_reads
from .recipe import Recipe
from .records import SCL
from .search import find_scenes
from .sources import check_credentials

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Period, Window
    from tessera.rasters import Target

    from ._files import LocalFile, RemoteFile
    from .plan import Day, ReadPlan
    from .records import Scene, SceneTable
    from .sources import Source

SIZED_OPTICAL, SIZED_RADAR = 24, 12
"""Days, over all windows, whose files are sized by their headers."""
TIMED_OPTICAL, TIMED_RADAR = 8, 4
"""Most days that are read whole."""
TIMED_BYTES = 96 * 1024**2
"""Bytes of days that are read whole; at least one of each sensor is."""
_BLOCK = 512
"""Side of the blocks of most providers' files, pixels: what a window takes of a file grows with window and block."""
_SIDE = 64
"""Side of the sample of pixels."""
_STACKS = ("s2", "s1_asc", "s1_desc")


@dataclass(frozen=True)
class WindowSurvey:
    """What the cube of a window would take.

    Attributes
    ----------
    scenes : that lie on it in the period
    requests, bytes : of its files, beside those of the search; of local files reads and bytes
    cube_bytes : of the cube on disk
    seconds : of reading it alone
    processor_seconds : of that
    """

    scenes: int
    requests: int
    bytes: int
    cube_bytes: int
    seconds: float
    processor_seconds: float


@dataclass(frozen=True)
class Survey:
    """What the cubes of some windows would take.

    Attributes
    ----------
    windows : of each window, None where no scene lies on it
    scenes : that lie on any of them, each counted once
    sized, timed : days whose files were sized by their headers, and days that were read
    sample : as many days as a window has in the mean, with places that are clear as often as in the sized days, and
        values without a meaning
    """

    windows: tuple[WindowSurvey | None, ...]
    scenes: int
    sized: int
    timed: int
    sample: PixelCube


def survey_scenes(
    table: SceneTable,
    windows: Sequence[Window],
    period: Period,
    *,
    recipe: Recipe | None = None,
    reader: str = "ranges",
    progress: Progress = silent,
) -> Survey:
    """Estimate what `build_cube` would take for each of some windows, without building one.

    Scene classes of a sample of days are read, and of all their other files the headers, which name the bytes that a
    window needs; a few days of the largest window are read whole, for their time. The sample is the same every time.

    Parameters
    ----------
    table : of scenes that cover all windows, from `search_scenes`
    windows : of the lattice
    period, recipe, reader : as `build_cube` takes them; bytes and requests are those of "ranges"
    progress : called with days sized or read and their total

    Raises
    ------
    InputError
        No scene lies on any window.
    LoadError, CredentialError
        A provider does not answer, or refuses.
    """
    check_reader(reader)
    found = find_scenes(table, windows, period)
    check_credentials(found.sources)
    plans: list[ReadPlan | None] = []
    nothing: NoScenesError | None = None
    for window in windows:
        try:
            near = table.near(window) or table.scenes
            plans.append(plan_reads(near, window, period, recipe or Recipe(), found.names))
        except NoScenesError as error:
            nothing = nothing or error
            plans.append(None)
    there = [plan for plan in plans if plan is not None]
    if not there:
        raise nothing or NoScenesError("no windows to survey")
    sources = {source.name: source for source in found.sources}
    return _Survey(plans, there, sources, reader, progress).made()


@dataclass
class _Tally:
    """Requests and bytes of one day."""

    requests: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, requests: int, size: int) -> None:
        with self._lock:
            self.requests += requests
            self.bytes += size


class _Counted:
    """A file whose reads are counted."""

    def __init__(self, file: LocalFile | RemoteFile, tally: _Tally) -> None:
        self.name, self._file, self._tally = file.name, file, tally

    def read(self, start: int, stop: int) -> bytes:
        """See `File`."""
        data = self._file.read(start, stop)
        self._tally.add(1, len(data))
        return data


class _SizedError(Exception):
    """The size of a file's blocks is known, and they are not wanted."""


class _Sizer:
    """A reader that reads scene classes, and of other files only the headers; it counts what they would take."""

    def __init__(self, target: Target, plan: ReadPlan, sources: Mapping[str, Source], tally: _Tally) -> None:
        self._target, self._plan, self._sources, self._tally = target, plan, sources, tally

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        """See `Reader`; bands hold 0 and radar 1 where the scene's outline has data."""
        from tessera.rasters import fetch_crop

        file = _Counted(open_file(self._sources[scene.source], href_of(scene, band)), self._tally)
        resampling, dtype = resampling_of(scene, band, self._plan.recipe), dtype_of(band)
        if band == SCL:
            return fetch_crop(file, self._target, resampling=resampling).onto(self._target, resampling, dtype)
        shape = self._plan.window.shape
        try:
            crop = fetch_crop(file, self._target, resampling=resampling, at_once=self._skip)
            inside = crop.box is not None
        except _SizedError:
            inside = True
        if scene.optical or not inside:
            return np.zeros(shape, dtype=dtype)
        return _on(scene, self._plan.window).astype(dtype)

    def _skip(self, _: object, spans: Sequence[tuple[int, int]]) -> Iterable[bytes]:
        self._tally.add(len(spans), sum(stop - start for start, stop in spans))
        raise _SizedError


def _on(scene: Scene, window: Window) -> NDArray[np.bool_]:
    """(H, W) where a scene's outline lies, looked at in 32 x 32 places; everywhere where it has no outline."""
    import shapely

    height, width = window.shape
    rows, cols = np.arange(height) * 32 // height, np.arange(width) * 32 // width
    if len(scene.footprint) < 4:
        return np.ones((height, width), dtype=np.bool_)
    left, bottom, right, top = window.bounds
    steps = (np.arange(32) + 0.5) / 32
    x, y = np.meshgrid(left + steps * (right - left), top - steps * (top - bottom))
    lon, lat = to_lonlat(x.reshape(-1), y.reshape(-1), window.zone)
    corners = np.array(scene.footprint)
    # over the date line longitudes count from the window
    corners[:, 0] = lon[0] + (corners[:, 0] - lon[0] + 180.0) % 360.0 - 180.0
    inside = shapely.contains_xy(shapely.make_valid(shapely.Polygon(corners)), lon, lat).reshape(32, 32)
    found: NDArray[np.bool_] = inside[np.ix_(rows, cols)]
    return found


@dataclass(frozen=True)
class _Pair:
    """A day of a window."""

    plan: ReadPlan
    stack: str
    day: Day

    @property
    def optical(self) -> bool:
        return self.stack == "s2"

    @property
    def weight(self) -> float:
        """What it takes, as far as its window's size says."""
        height, width = self.plan.window.shape
        return float((height + _BLOCK) * (width + _BLOCK))

    @property
    def rank(self) -> tuple[float, dt.date]:
        """Clear days first."""
        covers = [scene.cloud_cover for scene in self.day.scenes if scene.cloud_cover is not None]
        return min(covers, default=0.0), self.day.day


@dataclass(frozen=True)
class _Size:
    """What a day takes, and what it gives: (P,) bool places with data, None where it is left out of the cube."""

    requests: int
    bytes: int
    places: NDArray[np.bool_] | None


class _Survey:
    """One call of `survey_scenes`."""

    def __init__(
        self,
        plans: list[ReadPlan | None],
        there: list[ReadPlan],
        sources: Mapping[str, Source],
        reader: str,
        progress: Progress,
    ) -> None:
        self._plans, self._sources, self._reader, self._progress = plans, sources, reader, progress
        self._pairs = [_Pair(plan, stack, day) for plan in there for stack, day in plan.days()]
        largest = max(there, key=lambda plan: (plan.window.height * plan.window.width, len(list(plan.days()))))
        own = [pair for pair in self._pairs if pair.plan is largest]
        self._timed = _evenly([pair for pair in own if pair.optical], TIMED_OPTICAL) + _evenly(
            [pair for pair in own if not pair.optical], TIMED_RADAR
        )
        sized = _evenly([pair for pair in self._pairs if pair.optical], SIZED_OPTICAL) + _evenly(
            [pair for pair in self._pairs if not pair.optical], SIZED_RADAR
        )
        known = {id(pair) for pair in sized}
        self._sized = sized + [pair for pair in self._timed if id(pair) not in known]
        self._sizes: dict[int, _Size] = {}

    def made(self) -> Survey:
        """Size, read, and put together."""
        self._size()
        self._cut_to_budget()
        seconds, processor, packed = self._time()
        timed = [self._sizes[id(pair)] for pair in self._timed]
        requests, taken = sum(size.requests for size in timed), sum(size.bytes for size in timed)
        windows: list[WindowSurvey | None] = []
        rates = {optical: self._rate(optical) for optical in (True, False)}
        for plan in self._plans:
            if plan is None:
                windows.append(None)
                continue
            asked = got = cube = 0.0
            pixels = plan.window.height * plan.window.width
            for pair in (pair for pair in self._pairs if pair.plan is plan):
                size = self._sizes.get(id(pair))
                per_request, per_byte, given = rates[pair.optical]
                asked += size.requests if size else per_request
                got += size.bytes if size else per_byte * pair.weight
                share = given if size is None else float(size.places is not None)
                cube += share * packed[pair.optical] * pixels
            # time goes with requests on a slow line and with bytes on a fast one
            part = (asked / max(1, requests) + got / max(1, taken)) / 2
            scenes = len({scene.key for _, day in plan.days() for scene in day.scenes})
            windows.append(
                WindowSurvey(scenes, round(asked), round(got), round(cube), seconds * part, processor * part)
            )
        scenes = len({scene.key for pair in self._pairs for scene in pair.day.scenes})
        return Survey(tuple(windows), scenes, len(self._sized), len(self._timed), self._sample())

    def _rate(self, optical: bool) -> tuple[float, float, float]:
        """Requests of a day, bytes for its weight, and the share of days that are in a cube, of those that were sized.

        The days that were sized for their window's time alone are not of the even sample, but as good.
        """
        pairs = [pair for pair in self._sized if pair.optical == optical]
        sizes = [self._sizes[id(pair)] for pair in pairs]
        if not sizes:
            return 0.0, 0.0, 0.0
        return (
            sum(size.requests for size in sizes) / len(sizes),
            sum(size.bytes for size in sizes) / sum(pair.weight for pair in pairs),
            sum(size.places is not None for size in sizes) / len(sizes),
        )

    def _size(self) -> None:
        from tessera.rasters import Target

        lines, done = Crew(LINES, "tessera-size"), 0
        targets = {id(pair.plan): Target.of(pair.plan.window) for pair in self._sized}
        given_up = threading.Event()

        def size(pair: _Pair) -> _Size:
            tally = _Tally()
            bands = Lines(_Sizer(targets[id(pair.plan)], pair.plan, self._sources, tally), lines, given_up)
            shape = pair.plan.window.shape
            images, _ = mosaic_day(bands, pair.stack, pair.day, pair.plan.recipe, shape)
            if images is None:
                return _Size(tally.requests, tally.bytes, None)
            valid = np.asarray(images["s2_mask"] > 0 if pair.optical else (images[pair.stack] > 0).any(axis=-1))
            rows, cols = (np.arange(_SIDE) * side // _SIDE for side in shape)
            return _Size(tally.requests, tally.bytes, valid[np.ix_(rows, cols)])

        days = ThreadPoolExecutor(min(days_at_once(pair.plan.window.shape) for pair in self._sized))
        try:
            for pair, found in zip(self._sized, days.map(size, self._sized), strict=True):
                self._sizes[id(pair)] = found
                done += 1
                self._progress(done, len(self._sized) + len(self._timed))
        finally:
            given_up.set()
            days.shutdown(wait=False, cancel_futures=True)
            lines.dismiss(0.0)

    def _cut_to_budget(self) -> None:
        """Leave as many days to be read as fit, each sensor's share of them, at least one of each."""
        total = sum(self._sizes[id(pair)].bytes for pair in self._timed)
        if total <= TIMED_BYTES:
            return
        kept: list[_Pair] = []
        for optical in (True, False):
            pairs = [pair for pair in self._timed if pair.optical == optical]
            kept += _evenly(pairs, max(1, int(len(pairs) * TIMED_BYTES / total)))
        self._timed = kept

    def _time(self) -> tuple[float, float, dict[bool, float]]:
        """Seconds and processor seconds of reading the timed days as a build does; bytes kept of a pixel of a day."""
        window = self._timed[0].plan.window
        recipe, done = self._timed[0].plan.recipe, len(self._sized)
        reader = make_reader(self._reader, window, self._sources, recipe)
        given: dict[bool, int] = {True: 0, False: 0}
        kept: dict[bool, int] = {True: 0, False: 0}
        place = Path(tempfile.mkdtemp(prefix="tessera-survey-"))
        try:
            began, used = time.monotonic(), time.process_time()
            with (
                open_spool(place / "cube.zarr", {}, window.shape) as spool,
                pools(days_at_once(window.shape)) as (days, lines, given_up),
            ):
                bands = Lines(reader, lines, given_up)

                def lay(pair: _Pair) -> bool:
                    images, record = mosaic_day(bands, pair.stack, pair.day, recipe, window.shape)
                    spool.put(pair.stack, pair.day.day, None if images is None else dict(images), record)
                    return images is not None

                for pair, full in zip(self._timed, days.map(lay, self._timed), strict=True):
                    given[pair.optical] += full
                    done += 1
                    self._progress(done, len(self._sized) + len(self._timed))
                seconds, processor = time.monotonic() - began, time.process_time() - used
                for stack in _STACKS:
                    files = (spool.folder / "dates" / stack).rglob("*")
                    kept[stack == "s2"] += sum(path.stat().st_size for path in files if path.is_file())
        finally:
            shutil.rmtree(place, ignore_errors=True)
        pixels = window.height * window.width
        raw = {True: len(S2_BANDS) * 2 + 1, False: len(S1_BANDS) * 2}
        return (
            seconds,
            processor,
            {kind: kept[kind] / (given[kind] * pixels) if given[kind] else float(raw[kind]) for kind in kept},
        )

    def _sample(self) -> PixelCube:
        """As many days as a window's pixel has in the mean, each with the places of a sized day in turn."""
        pixels = {id(plan): plan.window.height * plan.window.width for plan in self._plans if plan is not None}
        total, rng = sum(pixels.values()), np.random.default_rng(0)
        parts: dict[str, Any] = {}
        for stack in _STACKS:
            sizes = [self._sizes[id(pair)].places for pair in self._sized if pair.stack == stack]
            places = [one for one in sizes if one is not None]
            planned = sum(pixels[id(pair.plan)] for pair in self._pairs if pair.stack == stack) / total
            days = round(planned * (len(places) / len(sizes) if sizes else 0.0))
            bands = len(S2_BANDS) if stack == "s2" else len(S1_BANDS)
            kind: Any = np.uint16 if stack == "s2" else np.int16
            values = rng.integers(1000, 9000, (days, _SIDE, _SIDE, bands)).astype(kind)
            valid = np.array([places[index % len(places)] for index in range(days)], dtype=np.bool_)
            valid = valid.reshape(days, _SIDE, _SIDE)
            values[~valid] = 0
            parts[stack] = values
            parts[f"{stack}_doy"] = (1 + np.arange(days) * 365 // max(1, days)).astype(np.int16)
            if stack == "s2":
                parts["s2_mask"] = valid.astype(np.uint8)
        return PixelCube(**parts)


def _evenly(pairs: Sequence[_Pair], most: int) -> list[_Pair]:
    """At most so many, evenly from the clearest to the most clouded."""
    ordered = sorted(pairs, key=lambda pair: pair.rank)
    if len(ordered) <= most:
        return ordered
    return [ordered[(2 * place + 1) * len(ordered) // (2 * most)] for place in range(most)]
