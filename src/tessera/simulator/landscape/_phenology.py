"""Phenology: the weather of a year, differences between fields of a class, and the state of a field on a day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from ._noise import stream
from .classes import (
    ARABLE,
    BARE,
    BARLEY,
    BEET,
    CLASSES,
    CONIFER,
    DECIDUOUS,
    GRASS,
    MAIZE,
    RAPESEED,
    WHEAT,
    WINTER_CROPS,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._noise import Field


@dataclass(frozen=True)
class _Crop:
    """Days of year of a season in north-western Europe, and the leaf area at its peak."""

    rise: float
    rise_width: float
    fall: float
    fall_width: float
    harvest: float
    leaf_area: float
    winter: float = 0.0


_CROPS = {
    WHEAT: _Crop(97, 10, 186, 7, 207, 4.8, winter=0.16),
    BARLEY: _Crop(90, 10, 168, 7, 189, 4.4, winter=0.2),
    RAPESEED: _Crop(82, 10, 178, 8, 201, 4.8, winter=0.32),
    MAIZE: _Crop(170, 8, 258, 9, 274, 4.4),
    BEET: _Crop(160, 10, 325, 15, 303, 4.6),
}
"""Typical dates of lowland Belgium: cereals are cut in July, maize in late September, beet in late October."""
_FLOWERING = (118.0, 10.0)
"""Day of year and width of rapeseed's flowering."""


@dataclass(frozen=True)
class Climate:
    """The weather of one simulated year.

    Attributes
    ----------
    class_shift : (C,) float32, days that a class is late
    class_vigour : (C,) float32, factor on its leaf area
    rain_days, rain : (E,) float32, day of year and depth (0 to 1) of rain events
    drought : 0 to 1, how far grass dries out in summer
    cloudiness : 0 to 1
    southern : seasons are turned by half a year
    """

    class_shift: Field
    class_vigour: Field
    rain_days: Field
    rain: Field
    drought: float
    cloudiness: float
    southern: bool

    def season(self, day: int) -> float:
        """The equivalent day of year in the northern hemisphere, 1 to 366."""
        return float((day - 1 + 182) % 365 + 1) if self.southern else float(day)

    def moisture(self, day: int) -> float:
        """Wetness of the topsoil, 0 to 1. It dries within days, more slowly in winter."""
        season = self.season(day)
        memory = 5.0 + 5.0 * np.cos(2 * np.pi * (season - 15) / 365.0) + 2.0
        age = day - self.rain_days
        wet = float(np.sum(np.where(age >= 0, self.rain * np.exp(-np.maximum(age, 0) / memory), 0.0)))
        return float(np.clip(0.15 + 0.2 * np.cos(2 * np.pi * (season - 15) / 365.0) + 0.55 * wet, 0.02, 1.0))


@dataclass(frozen=True)
class Units:
    """Properties of the fields, stands and water bodies; every array has length U.

    Attributes
    ----------
    code : uint8 class
    shift : days that the season is late; vigour : factor on the leaf area; harvest : days that the harvest is late
    after : 0 nothing, 1 a winter cereal, 2 a catch crop, sown after the harvest
    before, before_end : leaf area of what covers a summer crop's field in winter, and the day it is ploughed under
    mowing : (U, 4) days of year on which grass is cut
    brightness, sand : soil brightness factor, and share of a sandy, brighter soil
    canopy : (U, 10) factor on the canopy's reflectance
    roughness : dB on the soil's backscatter; radar : (U, 2) dB on VV and VH
    """

    code: NDArray[np.uint8]
    shift: Field
    vigour: Field
    harvest: Field
    after: NDArray[np.int64]
    before: Field
    before_end: Field
    mowing: Field
    brightness: Field
    sand: Field
    canopy: Field
    roughness: Field
    radar: Field


@dataclass(frozen=True)
class State:
    """The units on a day, float32 (U,): leaf area index, dead plant matter on the ground and blossom (shares)."""

    leaf_area: Field
    dry: Field
    flower: Field


def make_climate(seed: int, southern: bool) -> Climate:
    """The weather of a seed."""
    rng = stream(seed, "climate")
    count = int(rng.integers(35, 75))
    return Climate(
        class_shift=(rng.normal(0.0, 7.0) + rng.normal(0.0, 5.0, len(CLASSES))).astype(np.float32),
        class_vigour=rng.lognormal(0.0, 0.1, len(CLASSES)).astype(np.float32),
        rain_days=np.sort(rng.uniform(-20.0, 366.0, count)).astype(np.float32),
        rain=rng.beta(1.2, 2.5, count).astype(np.float32),
        drought=float(rng.beta(1.5, 3.0)),
        cloudiness=float(rng.uniform(0.35, 0.65)),
        southern=southern,
    )


def make_units(seed: int, code: NDArray[np.uint8]) -> Units:
    """The properties of units with the given class codes."""
    return _drawn(stream(seed, "units"), code)


def make_units_of_year(seed: int, year_seed: int, code: NDArray[np.uint8], parcel: NDArray[np.int32]) -> Units:
    """The properties of units in a year. Soils, stands and roughness of parcels stay; what is sown and cut does not."""
    count = np.zeros(int(parcel.max()) + 1, dtype=np.uint8)
    lasting, yearly = _drawn(stream(seed, "units", 1), count), _drawn(stream(year_seed, "units", 2), count)
    kept = ("brightness", "sand", "canopy", "roughness", "radar")
    names = [field.name for field in fields(Units) if field.name != "code"]
    return Units(code=code, **{name: getattr(lasting if name in kept else yearly, name)[parcel] for name in names})


def _drawn(rng: np.random.Generator, code: NDArray[np.uint8]) -> Units:
    count = len(code)

    def normal(scale: float, *more: int) -> Field:
        return (scale * rng.standard_normal((count, *more))).astype(np.float32)

    visible, infrared, shortwave = normal(0.1), normal(0.07), normal(0.09)
    ramp = np.array([1, 1, 1, 0, 0, 0.8, 0.1, 0, 0, 0.3], dtype=np.float32)
    wet = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1], dtype=np.float32)
    canopy = np.exp(
        visible[:, None] * ramp
        + infrared[:, None] * (1 - ramp) * (1 - wet)
        + shortwave[:, None] * wet
        + normal(0.02, 10)
    )
    cuts = np.array([138.0, 180.0, 224.0, 268.0], dtype=np.float32) + normal(12.0, 4)
    cuts[rng.random((count, 4)) < np.array([0.15, 0.35, 0.35, 0.6])] = 1e4
    cuts[rng.random(count) < 0.35] = 1e4
    return Units(
        code=code,
        shift=normal(6.0),
        vigour=np.exp(normal(0.14)),
        harvest=normal(6.0),
        after=rng.choice(3, size=count, p=[0.25, 0.4, 0.35]),
        before=(np.where(rng.random(count) < 0.45, 0.0, rng.uniform(0.3, 2.2, count))).astype(np.float32),
        before_end=(75.0 + normal(18.0)).astype(np.float32),
        mowing=cuts,
        brightness=np.exp(normal(0.13)),
        sand=rng.beta(1.2, 3.0, count).astype(np.float32),
        canopy=canopy.astype(np.float32),
        roughness=normal(0.9),
        radar=normal(0.45, 2),
    )


def state_on(units: Units, climate: Climate, day: int) -> State:
    """The state of every unit on a day of year."""
    season = climate.season(day)
    code = units.code
    leaf = np.zeros(len(code), dtype=np.float32)
    dry = np.zeros_like(leaf)
    flower = np.zeros_like(leaf)
    late = units.shift + climate.class_shift[code]
    vigour = units.vigour * climate.class_vigour[code]
    for crop in ARABLE:
        at = code == crop
        leaf[at], dry[at], flower[at] = _arable(crop, season, units, at, late[at], vigour[at])
    at = code == GRASS
    leaf[at], dry[at] = _grass(season, units.mowing[at], late[at], vigour[at], climate.drought)
    at = code == DECIDUOUS
    flush, shed = _rise(season, 116 + late[at], 6), _rise(season, 303 + 0.6 * late[at], 7)
    leaf[at] = 4.6 * vigour[at] ** 0.5 * flush * (1 - shed)
    dry[at] = _bump(season, 300 + 0.6 * late[at], 13) * 0.5
    at = code == CONIFER
    leaf[at] = (3.6 + 0.3 * np.cos(2 * np.pi * (season - 190) / 365)) * vigour[at] ** 0.4
    at = code == BARE
    leaf[at] = 0.25 * vigour[at] ** 3 * _bump(season, 185 + late[at], 60)
    return State(leaf, dry, flower)


def _rise(season: float, day: Field, width: float) -> Field:
    return np.asarray(1.0 / (1.0 + np.exp(-(np.float32(season) - day) / np.float32(width))), dtype=np.float32)


def _bump(season: float, day: Field, width: float) -> Field:
    return np.asarray(np.exp(-0.5 * ((np.float32(season) - day) / np.float32(width)) ** 2), dtype=np.float32)


def _arable(
    crop: int, season: float, units: Units, at: NDArray[np.bool_], late: Field, vigour: Field
) -> tuple[Field, Field, Field]:
    """The year of a field: its winter cover, the crop, the stubble, and the next crop."""
    about = _CROPS[crop]
    harvest = about.harvest + late + units.harvest[at]
    standing = season < harvest
    rise = _rise(season, about.rise + late, about.rise_width)
    fall = _rise(season, about.fall + late, about.fall_width)
    overwintered = np.float32(about.winter) * (1.0 + 0.5 * _rise(season, np.float32(60) + late, 10))
    green = np.maximum(overwintered * (1 - rise), 0) + rise
    crop_leaf = about.leaf_area * vigour * green * (1 - fall) * standing
    # Ripening turns leaves into straw; the stubble is worked into the soil within weeks.
    dry = np.where(standing, 0.85 * fall * rise, 0.5 * np.exp(-np.maximum(season - harvest, 0) / 22.0))
    after = units.after[at]
    cereal = 0.9 * _rise(season, 315 + late, 9) * (after == 1)
    catch = 2.6 * _rise(season, harvest + 42, 7) * (1 - 0.6 * _rise(season, np.float32(345) + late, 12)) * (after == 2)
    second = np.where(standing, 0.0, np.maximum(cereal, catch)) * vigour
    first = np.zeros_like(late)
    if crop not in WINTER_CROPS:
        first = units.before[at] * (1 - _rise(season, units.before_end[at], 3))
    flower = np.zeros_like(late)
    if crop == RAPESEED:
        flower = _bump(season, np.float32(_FLOWERING[0]) + late, _FLOWERING[1])
    leaf = np.maximum(crop_leaf, np.maximum(first, second))
    return leaf.astype(np.float32), dry.astype(np.float32), flower.astype(np.float32)


def _grass(season: float, mowing: Field, late: Field, vigour: Field, drought: float) -> tuple[Field, Field]:
    growth = 0.45 + 0.55 * _rise(season, 98 + late, 12) * (1 - 0.6 * _rise(season, 305 + late, 18))
    since = np.float32(season) - mowing
    cut = np.where(since >= 0, 0.62 * np.exp(-np.maximum(since, 0) / 16.0), 0.0).max(axis=1)
    parched = drought * _bump(season, 212 + late, 26)
    leaf = 3.3 * vigour * growth * (1 - cut) * (1 - 0.7 * parched)
    return leaf.astype(np.float32), (0.15 * cut + 0.55 * parched).astype(np.float32)
