"""Simulate any number of independent pixel-years, each from its own seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, require
from tessera.cubes import S1_BANDS, S2_BANDS

from ._atmosphere import seen
from ._calendar import (
    SLOTS,
    ObservationPlan,
    Passes,
    RadarPasses,
    civil_day,
    optical_passes,
    plan_observations,
    radar_passes,
)
from ._climate import Climate, make_climate
from ._draws import Draws
from ._growth import Land, Plants, draw_land, grow
from ._latents import latents
from ._optical import at_days, make_traits, reflectance
from ._radar import Scatterers, backscatter
from ._surfaces import make_ground
from .kinds import GLACIER, KIND_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BLOCK = 256
"""Pixel-years that are simulated at once: they fit into the processor's caches."""
_LIMIT = 5_000_000
"""Most pixel-years of one call: about 3 kB each."""


@dataclass(frozen=True)
class SimulatedSeries:
    """Observations of pixel-years with their true values. Observations fill their row from the left.

    Attributes
    ----------
    s2 : (N, T, 10) uint16, reflectance x 10000 in `tessera.cubes.S2_BANDS` order, 0 = none
    s2_valid : (N, T) bool
    s2_day : (N, T) int16, day of year 1 to 365; 1 where there is none
    s1 : (N, T', 2) int16, scaled dB of VV and VH, (2 dB + 50) * 200 clipped to 0..32767; 0 in both = none
    s1_day, s1_descending : (N, T') int16 and bool
    kind : (N,) uint8, code of the land, see `kind_names`
    latents : (N, K) float32, true values; NaN where one has no meaning
    kind_names, latent_names, latent_units
    """

    s2: NDArray[np.uint16]
    s2_valid: NDArray[np.bool_]
    s2_day: NDArray[np.int16]
    s1: NDArray[np.int16]
    s1_day: NDArray[np.int16]
    s1_descending: NDArray[np.bool_]
    kind: NDArray[np.uint8]
    latents: NDArray[np.float32]
    kind_names: tuple[str, ...]
    latent_names: tuple[str, ...]
    latent_units: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def truths(self) -> NDArray[np.float32]:
        """(N, K + number of kinds) float32: the latents, then a one-hot of the kind."""
        return np.concatenate([self.latents, np.eye(len(self.kind_names), dtype=np.float32)[self.kind]], axis=1)

    def __repr__(self) -> str:
        return f"SimulatedSeries({len(self)} pixel-years, {len(self.latent_names)} latents)"


def simulate_series(count: int, *, seed: int, start: int = 0) -> SimulatedSeries:
    """Simulate pixel-years `start` to `start + count` of the endless series of a seed.

    Each depends on (seed, number) alone, so any slice of a series has the same values.

    Parameters
    ----------
    count : pixel-years, 1 to 5,000,000
    seed : 0 or more
    start : number of the first pixel-year, 0 or more

    Returns
    -------
    SimulatedSeries

    Raises
    ------
    InputError
        Count, seed or start is out of range, or the extra `train` is not installed.
    """
    for name, given, least in (("count", count, 1), ("seed", seed, 0), ("start", start, 0)):
        if given < least:
            raise InputError(f"{name} {given}; expected {least} or more")
    if count > _LIMIT:
        raise InputError(f"count {count}; expected at most {_LIMIT}: simulate slices by start")
    require("prosail", extra="train", purpose="simulating series")
    parts = [
        _block(seed, np.arange(first, min(first + _BLOCK, start + count)))
        for first in range(start, start + count, _BLOCK)
    ]
    if len(parts) == 1:
        return parts[0]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("s2", "s2_valid", "s2_day", "s1", "s1_day", "s1_descending", "kind", "latents")
    }
    first_part = parts[0]
    return SimulatedSeries(
        **joined,
        kind_names=first_part.kind_names,
        latent_names=first_part.latent_names,
        latent_units=first_part.latent_units,
    )


def _block(seed: int, index: NDArray[np.int64]) -> SimulatedSeries:
    from ._optics import constants

    draws = Draws(seed, index)
    land = draw_land(draws)
    climate = make_climate(draws, land.zone, land.irrigated)
    climate.snow[land.kind == GLACIER] = np.maximum(climate.snow[land.kind == GLACIER], 0.85)
    plants = grow(draws, land, climate)
    known = constants()
    ground = make_ground(draws, land, known.dry_soil, known.wet_soil)
    traits = make_traits(draws, land)
    plan = plan_observations(draws, climate.south)
    passes = optical_passes(draws, plan, climate)
    surface, sun = reflectance(draws, land, climate, plants, ground, traits, passes)
    image = seen(draws, plan, passes, surface, sun)
    s2, s2_valid, s2_day, last = _optical_table(len(index), plan, passes, image, climate.south)
    radar = radar_passes(draws, plan)
    db = backscatter(draws, land, radar, _scatterers(land, climate, plants, radar))
    s1, s1_day, descending = _radar_table(len(index), plan, radar, db, climate.south)
    end = plan.start + plan.months * 365 / 12
    last = np.where(np.isfinite(last), last, end - 1)
    truths = latents(land, climate, plants, traits, ground.dry_soil, end, last, climate.south)
    return SimulatedSeries(
        s2,
        s2_valid,
        s2_day,
        s1,
        s1_day,
        descending,
        land.kind.astype(np.uint8),
        np.stack([values for _, values in truths.values()], axis=1).astype(np.float32),
        KIND_NAMES,
        tuple(truths),
        tuple(unit for unit, _ in truths.values()),
    )


def _optical_table(
    n: int, plan: ObservationPlan, passes: Passes, image: Floats, south: NDArray[np.bool_]
) -> tuple[NDArray[np.uint16], NDArray[np.bool_], NDArray[np.int16], Floats]:
    """Rows as (n, SLOTS, ...), composites by month; also the season day of each pixel's last row."""
    single = ~plan.composite[passes.pixel]
    pixel, day, values = passes.pixel[single], passes.day[single], image[single]
    rows = ~single
    if rows.any():
        groups, inverse = np.unique(passes.pixel[rows] * 32 + passes.group[rows], return_inverse=True)
        counts = np.bincount(inverse)
        position = np.arange(len(inverse)) - np.repeat(np.cumsum(counts) - counts, counts)
        stack = np.full((len(groups), counts.max(), len(S2_BANDS)), np.inf)
        stack[inverse, position] = image[rows]
        stack.sort(axis=1)
        at = np.arange(len(groups))
        median = 0.5 * (stack[at, (counts - 1) // 2] + stack[at, counts // 2])
        owner = groups // 32
        pixel = np.concatenate([pixel, owner])
        # dated by the first of the month and 15 days
        day = np.concatenate([day, np.floor(plan.start[owner] + (groups % 32) * 365 / 12) + 15])
        values = np.concatenate([values, median])
        order = np.lexsort((day, pixel))
        pixel, day, values = pixel[order], day[order], values[order]
    s2 = np.zeros((n, SLOTS, len(S2_BANDS)), dtype=np.uint16)
    valid, days = np.zeros((n, SLOTS), dtype=bool), np.ones((n, SLOTS), dtype=np.int16)
    place = _place(pixel, n)
    s2[pixel, place] = np.clip(np.rint(values * 10000), 1, 65000).astype(np.uint16)
    valid[pixel, place] = True
    days[pixel, place] = civil_day(day, south[pixel])
    last = np.full(n, np.nan)
    last[pixel] = day
    return s2, valid, days, last


def _place(pixel: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Rank of each row within its pixel, rows sorted by pixel."""
    counts = np.bincount(pixel, minlength=n)
    return np.asarray(np.arange(len(pixel)) - np.repeat(np.cumsum(counts) - counts, counts))


def _radar_table(
    n: int, plan: ObservationPlan, radar: RadarPasses, db: Floats, south: NDArray[np.bool_]
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.bool_]]:
    owner = radar.pixel
    middle = np.floor(plan.start[owner] + radar.group * 365 / 12) + 15
    day = np.where(plan.composite[owner], middle, radar.day)
    order = np.lexsort((day, owner))
    owner, day, db = owner[order], day[order], db[order]
    place = _place(owner, n)
    s1 = np.zeros((n, SLOTS, len(S1_BANDS)), dtype=np.int16)
    s1[owner, place] = np.clip(np.rint((2 * db + 50) * 200), [1, 0], 32767).astype(np.int16)
    days, descending = np.ones((n, SLOTS), dtype=np.int16), np.zeros((n, SLOTS), dtype=bool)
    days[owner, place] = civil_day(day, south[owner])
    descending[owner, place] = radar.descending[order]
    return s1, days, descending


def _scatterers(land: Land, climate: Climate, plants: Plants, radar: RadarPasses) -> Scatterers:
    p, day = radar.pixel, radar.day

    def now(values: Floats) -> Floats:
        return at_days(values, p, day)

    value = land.value
    mass = value["herb_mass"][p]
    cover = value["herb"][p]
    # kg/m2 of water: g/cm2 of dry matter x moisture / 100 x 10, stems hold about as much again as leaves
    water = 20 * now(plants.herb) * mass * now(plants.herb_moisture) / 100 * cover
    free = 1 - value["water"][p]
    return Scatterers(
        herb_water=water,
        herb_dead=now(plants.herb_dead) * cover,
        woody_cover=value["woody"][p],
        woody_leaf=now(plants.woody),
        moisture=now(climate.surface),
        flood=now(plants.flood),
        snow=now(climate.snow),
        wet_snow=now(climate.wet_snow.astype(np.float64)),
        frozen=np.clip(-now(climate.temperature) / 4, 0, 1),
        water=value["water"][p],
        built=free * value["built"][p],
        bare=now(plants.bare),
    )
