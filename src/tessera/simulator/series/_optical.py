"""Surface reflectance of pixels on given days: canopies over ground, with water, roofs and snow, lit by the sun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._bands import CENTRES
from ._draws import gaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._calendar import Passes
    from ._climate import Climate
    from ._draws import Draws
    from ._growth import Land, Plants
    from ._surfaces import Ground

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Leaves:
    """Traits of one layer's leaves, (n,) each; shares change with the season."""

    structure: Floats
    green: Floats
    carotenoids: Floats
    red: Floats
    brown: Floats
    mass: Floats
    hot: Floats
    tilt: Floats
    dead_brown: Floats
    dead_mass: Floats
    dead_structure: Floats


@dataclass(frozen=True)
class Traits:
    """What the optics of a block needs beyond its states."""

    woody: Leaves
    herb: Leaves
    crown_shade: Floats
    slope: Floats
    aspect: Floats


def make_traits(draws: Draws, land: Land) -> Traits:
    """Leaf traits and terrain of every pixel-year."""
    value = land.value
    woody = _leaves(draws, "woody", value["green"], value["mass"], draws.between("woody tilt", 35, 70), (1.4, 2.7))
    herb = _leaves(draws, "herb", value["herb_green"], value["herb_mass"], value["tilt"], (1.1, 2.0))
    needles = (value["mass"] > 0.0155) & (value["height"] > 3)
    shade = np.where(needles, draws.between("needle shade", 0.2, 0.55), draws.between("leaf shade", 0.0, 0.3))
    wild = (land.crop == 0) & (value["cuts"] < 1)
    slope = np.where(
        wild & draws.chance("hills", 0.6), draws.between("slope", 0, 28), draws.between("field slope", 0, 4)
    )
    return Traits(woody, herb, shade, np.deg2rad(slope), 2 * np.pi * draws.uniform("aspect"))


def _leaves(
    draws: Draws, name: str, green: Floats, mass: Floats, tilt: Floats, structure: tuple[float, float]
) -> Leaves:
    return Leaves(
        structure=draws.between(f"{name} structure", *structure),
        green=green,
        carotenoids=draws.between(f"{name} carotenoids", 0.14, 0.28),
        red=draws.between(f"{name} red", 0.0, 9.0) * draws.chance(f"{name} reddens", 0.4),
        brown=draws.between(f"{name} brown", 0.0, 0.12),
        mass=mass,
        hot=draws.between(f"{name} hot spot", 0.03, 0.4),
        tilt=tilt,
        dead_brown=draws.between(f"{name} dead brown", 0.15, 1.4),
        dead_mass=mass * draws.between(f"{name} dead mass", 0.6, 1.1),
        dead_structure=draws.between(f"{name} dead structure", 1.7, 3.0),
    )


def at_days(values: NDArray[Any], pixel: NDArray[np.int64], day: Floats) -> Floats:
    """(M,) values of (n, 219) pentads at season days, between pentads by a straight line."""
    place = np.clip((day - 2.5) / 5, 0, values.shape[1] - 1.001)
    step = place.astype(np.int64)
    part = place - step
    return np.asarray((1 - part) * values[pixel, step] + part * values[pixel, step + 1])


def sun_zenith(latitude: Floats, season_day: Floats) -> Floats:
    """Degrees at the hour of the overpass, half past ten; summer is in the middle of season days in both halves."""
    phi = np.deg2rad(np.abs(latitude))
    tilt = 0.409 * np.sin(2 * np.pi * season_day / 365 - 1.39)
    cosine = np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(np.deg2rad(22.5))
    return np.asarray(np.rad2deg(np.arccos(np.clip(cosine, 0.15, 1.0))))


def reflectance(
    draws: Draws,
    land: Land,
    climate: Climate,
    plants: Plants,
    ground: Ground,
    traits: Traits,
    passes: Passes,
) -> tuple[Floats, Floats]:
    """Reflectance (M, 10) of the surface and the sun's zenith (M,) of each row."""
    from ._optics import Geometry, canopy  # needs the extra

    p, day = passes.pixel, passes.day

    def now(values: NDArray[Any]) -> Floats:
        return at_days(values, p, day)

    sun = sun_zenith(climate.latitude[p], day)
    side = passes.slot % 2
    view = draws.uniform("view", 2)[p, side] * 10.5
    azimuth = draws.uniform("azimuth", 2)[p, side] * 180
    geometry = Geometry.of(sun, view, azimuth)
    snow, flood = now(climate.snow), now(plants.flood)
    below = _ground(land, climate, plants, ground, passes, snow, flood)
    herb_cover = land.value["herb"][p]
    buried = 1 - 0.85 * snow
    herb_green, herb_dead = now(plants.herb) * buried, now(plants.herb_dead) * buried
    rho, tau = _layer(traits.herb, p, herb_green, herb_dead, now(plants.herb_colour), now(plants.herb_moisture))
    low = canopy(rho, tau, herb_green + herb_dead, traits.herb.hot[p], traits.herb.tilt[p], geometry, below)
    bloom = now(plants.flower)[:, None] * np.clip(herb_green, 0, 1)[:, None]
    low = (1 - bloom) * low + bloom * ground.flower[p]
    field = herb_cover[:, None] * low + (1 - herb_cover)[:, None] * below
    woody_cover = land.value["woody"][p]
    crowned = np.flatnonzero(woody_cover > 0.004)
    if len(crowned):
        rows = p[crowned]
        green, dead = now(plants.woody)[crowned], now(plants.woody_dead)[crowned]
        rho, tau = _layer(
            traits.woody, rows, green, dead, now(plants.woody_colour)[crowned], now(plants.woody_moisture)[crowned]
        )
        part = Geometry(sun[crowned], view[crowned], azimuth[crowned], geometry.table[crowned])
        top = canopy(rho, tau, green + dead, traits.woody.hot[rows], traits.woody.tilt[rows], part, field[crowned])
        top *= (1 - traits.crown_shade[rows] * np.clip(0.4 + 0.2 * np.tan(np.deg2rad(sun[crowned])), 0, 1))[:, None]
        # snow lies on crowns for a while
        laden = (0.25 * snow[crowned] * draws.uniform("laden")[rows])[:, None]
        top = (1 - laden) * top + laden * ground.snow[rows]
        cover = woody_cover[crowned][:, None]
        tall = np.clip(land.value["height"][rows] / 6, 0.15, 1)
        cast = np.clip(0.7 * tall * np.tan(np.deg2rad(sun[crowned])) * woody_cover[crowned], 0, 0.85)[:, None]
        lit = 1 - cast * np.where(CENTRES < 600, 0.68, 0.8)
        field[crowned] = cover * top + (1 - cover) * field[crowned] * lit
    facing = _facing(traits, p, sun)
    out = field * facing[:, None]
    value = land.value
    ice = now(climate.snow) * (now(climate.temperature) < -1)
    lake = (1 - ice)[:, None] * ground.water[p] + ice[:, None] * ground.snow[p]
    ripple = np.exp(0.18 * _noise(draws, "water state", p, passes.slot, 1))
    lake = lake * ripple
    town = (1 - 0.6 * snow)[:, None] * ground.built[p] + (0.6 * snow)[:, None] * ground.snow[p]
    town = town * (1 - 0.25 * np.clip(np.tan(np.deg2rad(sun)) / 3, 0, 1))[:, None]
    water, built = value["water"][p], (1 - value["water"][p]) * value["built"][p]
    rest = 1 - water - built
    out = rest[:, None] * out + water[:, None] * lake + built[:, None] * town
    return np.clip(out, 0.0005, 1.3), sun


def _noise(draws: Draws, name: str, pixel: NDArray[np.int64], slot: NDArray[np.int64], size: int) -> Floats:
    return gaussian(draws.at(name, pixel, slot, size))


def _ground(
    land: Land, climate: Climate, plants: Plants, ground: Ground, passes: Passes, snow: Floats, flood: Floats
) -> Floats:
    """Soil at its moisture, litter, char, flood water and snow, (M, 10)."""
    p, day = passes.pixel, passes.day
    wet = at_days(climate.surface, p, day)[:, None]
    soil = ground.dry_soil[p] * (1 - np.clip(ground.wet_share[p] * wet**0.8, 0, 0.85))
    salt = land.value["salt"][p][:, None] * (1 - 0.5 * wet)
    soil = (1 - salt) * soil + salt * ground.salt[p]
    bare = at_days(plants.bare, p, day)
    litter = (land.value["litter"][p] * (1 - 0.9 * bare))[:, None]
    straw = np.clip(land.value["tilt"][p] / 60 - 0.4, 0, 1)[:, None]
    dead = straw * ground.straw[p] + (1 - straw) * ground.litter[p]
    out = (1 - litter) * soil + litter * dead * (1 - 0.25 * wet)
    char = at_days(plants.char, p, day)[:, None]
    out = (1 - char) * out + char * ground.char[p]
    out = (1 - flood)[:, None] * out + flood[:, None] * ground.shallow_water[p]
    return np.asarray((1 - snow)[:, None] * out + snow[:, None] * ground.snow[p])


def _layer(
    leaves: Leaves, pixel: NDArray[np.int64], green: Floats, dead: Floats, colour: Floats, moisture: Floats
) -> tuple[Floats, Floats]:
    """Reflectance and transmittance (M, 15) of a layer's leaves, green and dead by their areas."""
    from ._optics import leaf

    mass = leaves.mass[pixel]
    chlorophyll = leaves.green[pixel] * colour
    fading = np.clip(1 - colour, 0, 1)
    contents = np.stack(
        [
            chlorophyll,
            leaves.carotenoids[pixel] * leaves.green[pixel] * (0.35 + 0.65 * colour) + 1.0,
            leaves.red[pixel] * fading + 0.6,
            leaves.brown[pixel] + 0.35 * fading**2,
            mass * moisture / 100,
            mass,
        ],
        axis=1,
    )
    rho, tau = leaf(leaves.structure[pixel], contents)
    n = len(leaves.mass)
    fixed = np.stack(
        [np.full(n, 1.5), np.full(n, 3.0), np.zeros(n), leaves.dead_brown, 0.1 * leaves.dead_mass, leaves.dead_mass],
        axis=1,
    )
    dead_rho, dead_tau = leaf(leaves.dead_structure, fixed)
    share = (dead / np.maximum(green + dead, 1e-6))[:, None]
    return (1 - share) * rho + share * dead_rho[pixel], (1 - share) * tau + share * dead_tau[pixel]


def _facing(traits: Traits, pixel: NDArray[np.int64], sun: Floats) -> Floats:
    """(M,) how much more or less light a slope gets than level ground, as uncorrected images show it."""
    zenith = np.deg2rad(sun)
    # the sun stands in the south east in the morning, mirrored in the south
    between = traits.aspect[pixel] - np.deg2rad(145)
    slope = traits.slope[pixel]
    cosine = np.cos(zenith) * np.cos(slope) + np.sin(zenith) * np.sin(slope) * np.cos(between)
    return np.asarray(0.25 + 0.75 * np.clip(cosine / np.cos(zenith), 0.1, 2.2))
