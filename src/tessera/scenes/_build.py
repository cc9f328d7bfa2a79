"""From scenes to a cube: choose them, group them by solar day, lay them into mosaics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, silent
from tessera.cubes import S1_BANDS, S2_BANDS, PixelCube, write_cube
from tessera.geo import Window, parse_area

from ._assets import RESAMPLING, SCL
from ._catalogue import open_catalogue
from ._plan import plan_reads
from ._read import Reader
from .rules import is_clear, parse_year, remove_offset, scale_s1, take_first_valid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress

    from ._catalogue import Scene
    from ._plan import Day, Plan


def build_cube(
    aoi: object,
    year: int,
    *,
    source: str | Path,
    out: str | Path | None = None,
    progress: Progress = silent,
) -> PixelCube:
    """Read a year of scenes into a cube on the smallest lattice window that holds an area.

    Scenes are grouped by solar day. Within a day the clearest scene comes first, and a pixel takes the first scene in
    which it is clear; the order of items in the catalogue does not matter, and the same scenes give the same bytes.
    Days without a clear pixel are left out, and passes without a valid one. A pixel that is not clear holds 0.

    Parameters
    ----------
    aoi : what `tessera.geo.parse_area` reads, or a `Window` of the lattice
    year : calendar year, by solar date
    source : folder of a static STAC catalogue on disk
    out : new folder to write the cube to. Reflectances then go there date by date, so that memory holds the masks, the
        radar passes and one date
    progress : called with reads done and their total

    Returns
    -------
    The cube: in memory, or opened from `out`.

    Raises
    ------
    InputError
        The area lies in several UTM zones; the catalogue is missing, is not STAC or points outside its folder; an item
        lacks an asset; no item lies on the area in that year; a file cannot be read; `out` exists.
    """
    window = _one_window(aoi)
    if out is not None and Path(out).exists():
        raise InputError(f"{out} exists; expected a new path for the cube")
    plan = plan_reads(open_catalogue(source), window, parse_year(year))
    return _read(plan, out, progress)


def build_cubes(aoi: object, year: int, *, source: str | Path, progress: Progress = silent) -> Iterator[PixelCube]:
    """Read a year of scenes into one cube for each UTM zone that an area lies in, from west to east.

    Parameters and errors are those of `build_cube`; scenes of a neighbouring zone are reprojected. Errors of the choice
    of scenes come before the first cube.
    """
    year = parse_year(year)
    windows = [aoi] if isinstance(aoi, Window) else [part.window for part in parse_area(aoi).parts()]
    catalogue = open_catalogue(source)
    plans = [plan_reads(catalogue, window, year) for window in windows]
    return (_read(plan, None, progress) for plan in plans)


def _one_window(aoi: object) -> Window:
    if isinstance(aoi, Window):
        return aoi
    area = parse_area(aoi)
    parts = area.parts()
    if len(parts) > 1:
        zones = " and ".join(str(part.zone) for part in parts)
        raise InputError(f"{area.name} lies in UTM zones {zones}; a cube has one: use build_cubes, one cube a zone")
    return parts[0].window


def _read(plan: Plan, out: str | Path | None, progress: Progress) -> PixelCube:
    reader = Reader(plan.window)
    total = 2 * len(plan.optical) + len(plan.ascending) + len(plan.descending)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        progress(count, total)

    used: set[tuple[str, str]] = set()
    optical = _Optical(reader, plan.window.shape)
    for day in plan.optical:
        optical.choose(day)
        step()
    total -= len(plan.optical) - len(optical.days)
    passes = {}
    for orbit, days in (("ascending", plan.ascending), ("descending", plan.descending)):
        images, dates = [], []
        for day in days:
            image, givers = _radar_day(reader, plan.window.shape, day)
            if givers:
                images.append(image)
                dates.append(day.day)
                used.update(givers)
            step()
        stack = np.stack(images) if images else np.zeros((0, *plan.window.shape, len(S1_BANDS)), dtype=np.int16)
        passes[orbit] = (stack, dates)
    used.update(scene.key for chosen in optical.chosen for scene in chosen)
    (asc, asc_dates), (desc, desc_dates) = passes["ascending"], passes["descending"]
    s2_dates = [day.day for day in optical.days]
    scenes = [scene for day in (*plan.optical, *plan.ascending, *plan.descending) for scene in day.scenes]
    kept = [scene for scene in scenes if scene.key in used]
    stack_on_disk = _LazyReflectance(optical, step)
    cube = PixelCube(
        s2=stack_on_disk if out is not None else stack_on_disk.load(),
        s2_mask=optical.masks(),
        s2_doy=_doy(s2_dates),
        s1_asc=asc,
        s1_asc_doy=_doy(asc_dates),
        s1_desc=desc,
        s1_desc_doy=_doy(desc_dates),
        grid=plan.window.grid,
        provenance={
            "year": plan.year,
            "source": plan.source,
            "collections": sorted({scene.collection for scene in kept}),
            "s2_dates": [day.isoformat() for day in s2_dates],
            "s1_asc_dates": [day.isoformat() for day in asc_dates],
            "s1_desc_dates": [day.isoformat() for day in desc_dates],
            "s2_baselines": sorted({scene.baseline for scene in kept if scene.optical}),
            "scenes_found": len(scenes),
            "scenes_used": len(kept),
            # a scene that cannot be read stops the build
            "scenes_lost": 0,
            "resampling": {band: RESAMPLING[band] for band in (SCL, *S2_BANDS, *S1_BANDS)},
        },
    )
    return cube if out is None else write_cube(cube, out)


def _doy(days: Sequence[dt.date]) -> NDArray[np.int16]:
    return np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)


class _Optical:
    """Two passes over the Sentinel-2 days: scene classes choose a scene for every pixel, then its bands are read."""

    def __init__(self, reader: Reader, shape: tuple[int, int]) -> None:
        self.reader, self.shape = reader, shape
        self.days: list[Day] = []
        self.chosen: list[tuple[Scene, ...]] = []
        self._picks: list[NDArray[np.uint8]] = []

    def choose(self, day: Day) -> None:
        """Which scene of a day gives each pixel; the day counts if any does."""
        pick = np.zeros(self.shape, dtype=np.uint8)
        filled = np.zeros(self.shape, dtype=np.bool_)
        chosen: list[Scene] = []
        for scene in day.scenes:
            clear = is_clear(self.reader.read(scene, [SCL])[..., 0])
            code = np.full(self.shape, len(chosen) + 1, dtype=np.uint8)
            if take_first_valid(pick, filled, code, clear):
                chosen.append(scene)
            if filled.all() or len(chosen) == 255:
                break
        if chosen:
            self.days.append(day)
            self.chosen.append(tuple(chosen))
            self._picks.append(pick)

    def masks(self) -> NDArray[np.uint8]:
        """(T, H, W) uint8, 1 = clear."""
        masks = np.zeros((len(self._picks), *self.shape), dtype=np.uint8)
        for index, pick in enumerate(self._picks):
            np.not_equal(pick, 0, out=masks[index], casting="unsafe")
        return masks

    def reflectance(self, index: int) -> NDArray[np.uint16]:
        """(H, W, 10) uint16 of a day, 0 where it is not clear."""
        mosaic = np.zeros((*self.shape, len(S2_BANDS)), dtype=np.uint16)
        for place, scene in enumerate(self.chosen[index]):
            mine = self._picks[index] == place + 1
            dn = self.reader.read(scene, S2_BANDS)
            mosaic[mine] = remove_offset(dn[mine], scene.offset)
        return mosaic


class _LazyReflectance:
    """The Sentinel-2 stack, read when a date is asked for, so that a cube can be written without holding it."""

    def __init__(self, optical: _Optical, step: Any) -> None:
        self._optical, self._step = optical, step
        self.shape: tuple[int, ...] = (len(optical.days), *optical.shape, len(S2_BANDS))
        self.dtype: np.dtype[Any] = np.dtype(np.uint16)

    def __getitem__(self, key: Any, /) -> Any:
        if not isinstance(key, (int, np.integer)):
            return self.load()[key]
        image = self._optical.reflectance(int(key))
        self._step()
        return image

    def load(self) -> NDArray[np.uint16]:
        """Read every date."""
        stack = np.zeros(self.shape, dtype=np.uint16)
        for index in range(self.shape[0]):
            stack[index] = self[index]
        return stack


def _radar_day(reader: Reader, shape: tuple[int, int], day: Day) -> tuple[NDArray[np.int16], list[tuple[str, str]]]:
    """Mosaic of a day and orbit, each polarisation by itself as published, and the keys of the scenes that gave."""
    mosaic = np.zeros((*shape, len(S1_BANDS)), dtype=np.int16)
    filled = np.zeros(mosaic.shape, dtype=np.bool_)
    used = []
    for scene in day.scenes:
        image = scale_s1(reader.read(scene, S1_BANDS))
        if take_first_valid(mosaic, filled, image, image > 0):
            used.append(scene.key)
        if filled.all():
            break
    return mosaic, used
