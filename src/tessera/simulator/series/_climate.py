"""Climate and weather of pixel-years: temperature, rain, snow, soil water and cloudiness over three years.

Time runs in pentads of season days: day 1 is the first of January in the north and the first of July in the south, so
that summer is in the middle everywhere. Sources of the formulas: potential evaporation by Oudin et al. 2005 (J. Hydrol.
303), extraterrestrial radiation by FAO-56; snow by degree-days. Soil water is three independent buckets.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._draws import Draws, gaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PENTADS = 219
"""Three years of 73 pentads; the first spins up."""
DAYS: Floats = 2.5 + 5.0 * np.arange(PENTADS, dtype=np.float64)
"""(219,) season day of each pentad's middle."""


with Path(__file__).with_name("climates.csv").open(encoding="utf-8", newline="") as _file:
    _ZONES = list(csv.DictReader(_file))
"""Ranges of each climate: latitude, mean and half range of temperature (C), rain (mm), its peaks, sharpness, cloud."""
CODES = {zone["name"]: code for code, zone in enumerate(_ZONES)}


@dataclass(frozen=True)
class Climate:
    """Weather of a block, arrays (n, 219) over pentads unless said.

    Attributes
    ----------
    latitude : (n,) degrees, negative in the south
    warmth : (n,) mean annual temperature, C
    onset_warm, onset_wet, onset_second : (n,) season day of a year on which spring and the rainy seasons begin
    bimodal : (n,) bool
    temperature : C; water : mm of rain and melt a pentad; demand : mm of potential evaporation a pentad
    snow : share of ground under snow; wet_snow : bool
    surface, shallow, deep : soil water, 0 to 1; the deep one is what trees reach
    cloud : probability of cloud at overpass
    """

    latitude: Floats
    warmth: Floats
    onset_warm: Floats
    onset_wet: Floats
    onset_second: Floats
    bimodal: NDArray[np.bool_]
    temperature: Floats
    water: Floats
    demand: Floats
    snow: Floats
    wet_snow: NDArray[np.bool_]
    surface: Floats
    shallow: Floats
    deep: Floats
    cloud: Floats

    @property
    def south(self) -> NDArray[np.bool_]:
        """(n,) whether seasons are turned."""
        return self.latitude < 0


def make_climate(draws: Draws, zone: NDArray[np.int64], irrigated: NDArray[np.bool_]) -> Climate:
    """Weather of each pixel-year in its zone (n,); irrigated (n,) land is kept from drying out in the warm season."""

    def ranged(name: str) -> Floats:
        bounds = np.array([row[name].split() for row in _ZONES], dtype=np.float64)[zone]
        return np.asarray(draws.between(f"climate {name}", bounds[:, 0], bounds[:, 1]))

    latitude = ranged("latitude") * np.where(draws.chance("south", 0.4), -1.0, 1.0)
    mean, swing, rain, peak = ranged("mean"), ranged("swing"), ranged("rain"), ranged("peak")
    sharpness, second, cloudy = ranged("sharpness"), ranged("second"), ranged("cloud")
    year = DAYS[:73]
    warm = mean[:, None] + swing[:, None] * np.cos(2 * np.pi * (year - 202) / 365)
    other = peak + draws.between("second peak", 165, 200)
    season = _bump(year, peak, sharpness) + second[:, None] * _bump(year, other, 1.3 * sharpness)
    season /= season.mean(axis=1, keepdims=True)
    temperature = (
        _thrice(warm) + _red_noise(draws, "warmth noise", 0.75) * np.where(np.abs(latitude) < 20, 0.8, 2.3)[:, None]
    )
    temperature += np.repeat(draws.normal("warm year", 3) * 0.7, 73, axis=1)
    dry_years = np.exp(draws.normal("wet year", 3) * np.where(rain < 600, 0.35, 0.2)[:, None] - 0.03)
    dry_years *= np.where(draws.uniform("dry year", 3) < 0.07, 0.55, 1.0)
    spread = np.where(rain < 500, 0.7, 0.95)[:, None]
    showers = (-np.log(draws.uniform("showers", PENTADS))) ** (1 / spread) / np.where(spread < 0.8, 1.27, 1.02)
    falls = rain[:, None] / 73 * _thrice(season) * np.repeat(dry_years, 73, axis=1) * showers
    radiation = extraterrestrial(np.abs(latitude)[:, None], DAYS[None])
    demand = np.maximum(radiation * 0.408 * (temperature + 5) / 100, 0.0) * 5
    snow, wet_snow, water = _snow(temperature, falls)
    surface, shallow, deep = _soil(draws, water, demand, temperature, irrigated)
    wetness = np.clip(0.55 * (_thrice(season) - 1) + 0.25 * (showers - 1), -0.85, 1.6)
    cloud = np.clip(cloudy[:, None] * (1 + 0.5 * wetness), 0.02, 0.96)
    # the coldest half of the year is the greyer one outside the tropics
    grey = np.where(np.abs(latitude) > 38, 0.10, 0.0)[:, None] * np.cos(2 * np.pi * (DAYS - 10) / 365)
    cold = warm.min(axis=1) < 8
    rising = (warm > 8) & (year > 30) & (year < 230)
    onset_warm = np.where(cold & rising.any(axis=1), year[rising.argmax(axis=1)], 75.0)
    first = (peak - draws.between("wet span", 75, 100) - 1) % 365 + 1
    return Climate(
        latitude=latitude,
        warmth=mean,
        onset_warm=onset_warm,
        onset_wet=first,
        onset_second=(first + (other - peak) - 1) % 365 + 1,
        bimodal=second > 0.45,
        temperature=temperature,
        water=water,
        demand=demand,
        snow=snow,
        wet_snow=wet_snow,
        surface=surface,
        shallow=shallow,
        deep=deep,
        cloud=np.clip(cloud + grey, 0.02, 0.97),
    )


def _bump(year: Floats, peak: Floats, sharpness: Floats) -> Floats:
    shape = np.exp(sharpness[:, None] * (np.cos(2 * np.pi * (year - peak[:, None]) / 365) - 1))
    return np.asarray(shape / shape.mean(axis=1, keepdims=True))


def _thrice(values: Floats) -> Floats:
    return np.asarray(np.tile(values, (1, 3)), dtype=np.float64)


def _red_noise(draws: Draws, name: str, memory: float) -> Floats:
    """(n, 219) noise of variance 1 with a correlation of `memory` from one pentad to the next."""
    fresh = gaussian(draws.uniform(name, PENTADS)) * np.sqrt(1 - memory**2)
    for step in range(1, PENTADS):
        fresh[:, step] += memory * fresh[:, step - 1]
    return np.asarray(fresh)


def extraterrestrial(latitude: Floats, day: Floats) -> Floats:
    """Daily radiation at the top of the atmosphere in MJ/m2 (FAO-56, equation 21), latitude in degrees."""
    phi = np.deg2rad(latitude)
    tilt = 0.409 * np.sin(2 * np.pi * day / 365 - 1.39)
    sunset = np.arccos(np.clip(-np.tan(phi) * np.tan(tilt), -1, 1))
    near = 1 + 0.033 * np.cos(2 * np.pi * day / 365)
    height = sunset * np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.sin(sunset)
    return np.asarray(np.maximum(37.59 * near * height, 0.0))


def _snow(temperature: Floats, falls: Floats) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Share of ground covered, whether it melts, and the water that reaches the soil."""
    solid = np.clip((1.5 - temperature) / 3, 0, 1)
    melt = 5 * 3.0 * np.maximum(temperature - 0.3, 0.0)
    pack = np.zeros(len(falls))
    depth, water = np.empty_like(falls), np.empty_like(falls)
    for step in range(PENTADS):
        pack = pack + falls[:, step] * solid[:, step]
        gone = np.minimum(pack, melt[:, step])
        pack = np.minimum(pack - gone, 600.0)
        depth[:, step] = pack
        water[:, step] = falls[:, step] * (1 - solid[:, step]) + gone
    return 1 - np.exp(-depth / 9), (depth > 1) & (melt > 2), water


def _soil(
    draws: Draws, water: Floats, demand: Floats, temperature: Floats, irrigated: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Three buckets; the first year is gone through twice so that the deep one forgets how it began."""
    capacity = np.stack(
        [draws.between("surface mm", 14, 26), draws.between("shallow mm", 60, 130), draws.between("deep mm", 130, 420)]
    )
    share, use = np.array([[1.0], [1.0], [0.8]]), np.array([[1.0], [0.9], [0.62]])
    store = capacity * 0.5
    levels = np.empty((3, *water.shape))
    spin = [*range(73), *range(PENTADS)]
    watered = irrigated[:, None] & (temperature > 9) & (draws.uniform("watering", PENTADS) < 0.8)
    floor = np.array([[0.35], [0.62], [0.62]])
    for step in spin:
        filled = store / capacity
        store = store + share * water[:, step] - use * demand[:, step] * np.minimum(1.0, 1.6 * filled) * filled**0.3
        store = np.clip(store, 0.02 * capacity, capacity)
        store = np.where(watered[:, step], np.maximum(store, floor * capacity), store)
        levels[:, :, step] = store / capacity
    return levels[0], levels[1], levels[2]
