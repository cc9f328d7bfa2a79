"""A simulated place and year: its acquisitions, one at a time, in a provider's units."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError
from tessera.geo import PIXEL_SIZE, parse_year, to_lonlat
from tessera.scenes import OFFSET, has_offset

from ._atmosphere import classify, make_sky, through
from ._landscape import make_landscape
from ._noise import halve, stream
from ._phenology import make_climate, make_units, make_units_of_year, state_on
from ._radar import backscatter
from ._spectra import surface
from .classes import WATER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.geo import Window

    from ._noise import Field
    from .options import LandscapeOptions

    S1Dates = int | tuple[Sequence[dt.date], Sequence[dt.date]]
    S2Dates = int | Sequence[dt.date]

FINE = (0, 1, 2, 3)
COARSE = (4, 5, 6, 7, 8, 9)
"""Indices of the 10 m and of the 20 m bands in `S2_BANDS`."""
_MARGIN = 4
"""Pixels by which scenes extend beyond the window, for resampling at its edge."""


@dataclass(frozen=True)
class Frame:
    """The pixels that the scenes cover: the window, a margin, and whole 20 m pixels."""

    west: int
    north: int
    width: int
    height: int

    @classmethod
    def around(cls, window: Window) -> Frame:
        """The frame of a window."""
        west, south = (window.west - _MARGIN) // 2 * 2, (window.south - _MARGIN) // 2 * 2
        east, north = -(-(window.east + _MARGIN) // 2) * 2, -(-(window.north + _MARGIN) // 2) * 2
        return cls(west, north, east - west, north - south)

    def slices(self, window: Window) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        row, col = self.north - window.north, window.west - self.west
        return slice(row, row + window.height), slice(col, col + window.width)


@dataclass(frozen=True)
class OpticalScene:
    """A Sentinel-2 acquisition: 10 m bands (H, W, 4), 20 m bands (H/2, W/2, 6) uint16 and classes (H/2, W/2) uint8."""

    day: dt.date
    baseline: str
    fine: NDArray[np.uint16]
    coarse: NDArray[np.uint16]
    scl: NDArray[np.uint8]

    @property
    def cloud_cover(self) -> float:
        """Cloud and cirrus, per cent of the pixels with data."""
        seen = max(int(np.count_nonzero(self.scl)), 1)
        return round(100.0 * int(np.count_nonzero(np.isin(self.scl, (8, 9, 10)))) / seen, 4)


@dataclass(frozen=True)
class RadarScene:
    """A Sentinel-1 pass: gamma0 (H, W, 2) float32, linear power, 0 = no data."""

    day: dt.date
    ascending: bool
    power: Field


class World:
    """A place and a year, with its acquisitions."""

    def __init__(
        self,
        window: Window,
        year: int,
        seed: int,
        s2_dates: S2Dates,
        s1_dates: S1Dates,
        options: LandscapeOptions | None = None,
    ) -> None:
        self.window, self.year, self.seed = window, parse_year(year), _parse_seed(seed)
        self.options = options
        yearly = None if options is None else options.year_seed
        self.year_seed = self.seed if yearly is None else yearly
        self.frame = Frame.around(window)
        shape = (self.frame.height, self.frame.width)
        x = (window.west + window.width / 2) * PIXEL_SIZE
        y = (window.north - window.height / 2) * PIXEL_SIZE
        self.longitude, self.latitude = (float(value) for value in to_lonlat(x, y, window.zone))
        self.land = make_landscape(seed, shape, options)
        self.climate = make_climate(self.year_seed, southern=self.latitude < 0)
        if self.land.parcel is None:
            self.units = make_units(seed, self.land.unit_class)
        else:
            self.units = make_units_of_year(seed, self.year_seed, self.land.unit_class, self.land.parcel)
        rng = stream(self.year_seed, "dates")
        self.s2_dates = _dates(rng, year, s2_dates, "s2_dates", (0, 3))
        if isinstance(s1_dates, int):
            self.s1_asc_dates = _dates(rng, year, s1_dates, "s1_dates", (1,))
            self.s1_desc_dates = _dates(rng, year, s1_dates, "s1_dates", (4,))
        elif len(s1_dates) == 2:
            self.s1_asc_dates = _dates(rng, year, s1_dates[0], "ascending s1_dates", ())
            self.s1_desc_dates = _dates(rng, year, s1_dates[1], "descending s1_dates", ())
        else:
            raise InputError(f"s1_dates {s1_dates!r}; expected a number or (ascending dates, descending dates)")
        self._reprocessed = stream(self.year_seed, "dates", 1).random(len(self.s2_dates)) < 0.5

    @property
    def truth(self) -> NDArray[np.uint8]:
        """(H, W) uint8 class codes of the window."""
        return np.ascontiguousarray(self.land.cover[self.frame.slices(self.window)])

    def baseline(self, index: int) -> str:
        """Processing baseline of a date. Before 2022 some are of the first processing, others reprocessed."""
        if self.year < 2022:
            return "05.00" if self._reprocessed[index] else "02.14"
        return "05.00" if self.year == 2022 else "05.09" if self.year == 2023 else "05.11"

    def optical(self, index: int) -> OpticalScene:
        """The Sentinel-2 acquisition of a date."""
        day = self.s2_dates[index]
        doy = day.timetuple().tm_yday
        rng, sky_rng = stream(self.year_seed, "optical", index), stream(self.year_seed, "clouds", index)
        shape = (self.frame.height, self.frame.width)
        state = state_on(self.units, self.climate, doy)
        clean = surface(self.land, self.units, self.climate, state, doy, self._burnt(day))
        clean *= np.float32(1 + 0.025 * rng.standard_normal())
        sky = make_sky(sky_rng, self.climate, doy, shape)
        scl = classify(rng, sky, clean, self.land.cover == WATER)
        seen = through(sky, clean)
        fine = _noisy(rng, seen[..., FINE[0] : FINE[-1] + 1])
        coarse = _noisy(rng, halve(seen[..., COARSE[0] : COARSE[-1] + 1]))
        offset = OFFSET if has_offset(self.baseline(index)) else 0
        dn_fine, dn_coarse = _digital(fine, offset), _digital(coarse, offset)
        beyond = _swath_edge(sky_rng, (shape[0] // 2, shape[1] // 2), 0.15)
        scl[beyond] = 0
        dn_coarse[beyond] = 0
        dn_fine[beyond.repeat(2, axis=0).repeat(2, axis=1)] = 0
        return OpticalScene(day, self.baseline(index), dn_fine, dn_coarse, scl)

    def radar(self, index: int, ascending: bool) -> RadarScene:
        """The Sentinel-1 pass of a date."""
        day = (self.s1_asc_dates if ascending else self.s1_desc_dates)[index]
        doy = day.timetuple().tm_yday
        rng = stream(self.year_seed, "radar", 2 * index + int(ascending))
        state = state_on(self.units, self.climate, doy)
        power = backscatter(rng, self.land, self.units, self.climate, state, doy, ascending, self._burnt(day))
        power[_swath_edge(rng, (self.frame.height, self.frame.width), 0.06)] = 0.0
        return RadarScene(day, ascending, power)

    def _burnt(self, day: dt.date) -> tuple[Field, Field] | None:
        """Char and lost leaves of all fires, as `Scar.left_on`; None where nothing burnt."""
        left = [found for scar in self.land.scars if (found := scar.left_on(day)) is not None]
        if not left:
            return None
        char, lost = zip(*left, strict=True)
        return np.maximum.reduce(char), np.maximum.reduce(lost)


def _parse_seed(seed: object) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or int(seed) < 0:
        raise InputError(f"seed {seed!r}; expected a whole number from 0")
    return int(seed)


def _is_in(day: object, year: int) -> bool:
    return isinstance(day, dt.date) and day.year == year


def _noisy(rng: np.random.Generator, image: Field) -> Field:
    """Sensor and correction noise: 1.5 per cent and 0.0015, half of it shared by the bands of a pixel."""
    shared = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None]
    own = rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(image * (1 + np.float32(0.01) * (shared + own)) + np.float32(0.0015) * own, dtype=np.float32)


def _digital(reflectance: Field, offset: int) -> NDArray[np.uint16]:
    dn: Field = np.rint(reflectance * np.float32(10000)) + np.float32(offset)
    return np.clip(dn, 1, 28000).astype(np.uint16)


def _swath_edge(rng: np.random.Generator, shape: tuple[int, int], chance: float) -> NDArray[np.bool_]:
    """Pixels outside a swath that ends within the frame."""
    if rng.random() >= chance:
        return np.zeros(shape, dtype=np.bool_)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    across = cols / shape[1] - rng.uniform(0.1, 0.9) + np.float32(0.2) * (rows / shape[0] - 0.5)
    return np.asarray(across < 0 if rng.random() < 0.5 else across > 0, dtype=np.bool_)


def _dates(
    rng: np.random.Generator, year: int, given: int | Sequence[dt.date], what: str, tracks: tuple[int, ...]
) -> tuple[dt.date, ...]:
    """Dates of acquisition: those given, or a number of revisit days at uneven steps."""
    if not isinstance(given, int):
        days = tuple(sorted(given))
        if len(set(days)) != len(days) or not all(_is_in(day, year) for day in days):
            raise InputError(f"{what} holds a date twice or outside {year}; expected distinct dates of that year")
        return days
    revisit, phase = (5, int(rng.integers(5))) if len(tracks) == 2 else (6, int(rng.integers(6)))
    candidates = sorted(
        {1 + (phase + track) % revisit + revisit * k for track in tracks for k in range(366 // revisit)}
    )
    candidates = [day for day in candidates if day <= 365]
    if not 0 <= given <= len(candidates):
        raise InputError(f"{what} {given}; expected 0 to {len(candidates)} dates in a year")
    # A date from each stretch of the year, so that no season is empty.
    edges = np.linspace(0, len(candidates), given + 1).round().astype(int)
    picked = [candidates[int(rng.integers(a, b))] for a, b in pairwise(edges)]
    return tuple(dt.date(year, 1, 1) + dt.timedelta(days=day - 1) for day in picked)
