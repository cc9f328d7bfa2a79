"""Backscatter of VV and VH at C band: a water-cloud model over moist rough soil, with water, towns and snow.

Water-cloud: Attema and Ulaby 1978 (Radio Science 13). The soil term is linear in dB with moisture (about 0.25 dB a
per cent of volumetric moisture, as many field studies find) and roughness; woods add a volume that saturates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._draws import gaussian, speckle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._calendar import RadarPasses
    from ._draws import Draws
    from ._growth import Land

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scatterers:
    """Scene of the radar in M rows: water in herbs (kg/m2), wood, soil water, and other covers."""

    herb_water: Floats
    herb_dead: Floats
    woody_cover: Floats
    woody_leaf: Floats
    moisture: Floats
    flood: Floats
    snow: Floats
    wet_snow: Floats
    frozen: Floats
    water: Floats
    built: Floats
    bare: Floats


def backscatter(draws: Draws, land: Land, passes: RadarPasses, seen: Scatterers) -> Floats:
    """(M, 2) VV and VH in dB, with speckle, noise floor and the offset between sigma0 and gamma0."""
    p = passes.pixel

    def each(name: str, low: float, high: float) -> Floats:
        return draws.between(name, low, high)[p]

    incidence = np.where(passes.descending, each("incidence d", 30, 45), each("incidence a", 30, 45))
    cosine = np.cos(np.deg2rad(incidence))
    steep = -0.12 * (incidence - 38)
    rough = 1.9 * draws.normal("roughness")[p] + 1.6 * seen.bare
    soil_vv = -15.8 + 8.5 * seen.moisture - 3.5 * seen.frozen + rough + steep
    soil_vh = soil_vv - each("soil ratio", 7.0, 11.5) + 0.5 * rough
    soil = 10 ** (np.stack([soil_vv, soil_vh], axis=1) / 10)
    wind = draws.at("wind", p, passes.slot)[:, 0] * each("windy", 0.3, 1.0)
    calm = each("calm", -27.0, -21.0)
    smooth = 10 ** (np.stack([calm + 13 * wind + steep, calm - 10 + 10 * wind], axis=1) / 10)
    soil = (1 - seen.flood)[:, None] * soil + seen.flood[:, None] * smooth
    # herbs: volume and two-way loss grow with their water; cereal stalks dim VV
    stalks = land.stalks[p]
    dry_matter = seen.herb_water + 0.15 * seen.herb_dead
    loss = (
        np.stack([0.35 + 0.75 * stalks, 0.4 + 0.2 * stalks], axis=1)
        * each("loss", 0.6, 1.5)[:, None]
        * dry_matter[:, None]
    )
    through = np.exp(-2 * loss / cosine[:, None])
    volume_vv = each("herb volume", -11.5, -7.5) - 2.5 * stalks
    volume = 10 ** (np.stack([volume_vv, volume_vv - each("herb ratio", 4.8, 7.5)], axis=1) / 10)
    bounce = (seen.flood * np.clip(dry_matter, 0, 2) * np.exp(-0.6 * dry_matter))[:, None] * np.array([0.14, 0.012])
    herb = volume * cosine[:, None] * (1 - through) + through * soil + bounce
    # woods: branches and trunks saturate; leaves change little
    height = land.value["height"][p]
    wood = 1 - np.exp(-height / each("wood span", 2.0, 7.0) - 0.25 * seen.woody_leaf)
    wood_vv = each("wood volume", -9.8, -6.4) + 0.5 * (seen.moisture - 0.4)
    crowns = 10 ** (np.stack([wood_vv, wood_vv - each("wood ratio", 4.8, 7.0) + 0.6 * wood], axis=1) / 10)
    tree = (
        wood[:, None] * crowns
        + (1 - wood)[:, None] ** 1.5 * herb
        + (seen.flood * wood)[:, None] * np.array([0.10, 0.008])
    )
    land_power = seen.woody_cover[:, None] * tree + (1 - seen.woody_cover)[:, None] * herb
    # dry snow is nearly clear, wet snow is dark
    land_power *= 1 - 0.55 * (seen.snow * seen.wet_snow)[:, None]
    walls = 10 ** ((np.where(passes.descending, each("walls d", -7, 3), each("walls a", -7, 3))) / 10)
    town = np.stack([walls, walls * 10 ** (-each("wall ratio", 5, 9) / 10)], axis=1)
    rest = 1 - seen.water - seen.built
    power = rest[:, None] * land_power + seen.built[:, None] * town + seen.water[:, None] * smooth
    gamma = draws.chance("gamma0", 0.5)[p]
    power = power * np.where(gamma, 1 / cosine**0.6, 1.0)[:, None]
    # slopes facing the two orbits
    tilt = (
        np.where(passes.descending, 1.0, -1.0)
        * 0.9
        * draws.normal("radar slope")[p]
        * (1 + 0.8 * (land.value["height"][p] > 2) * 0.5)
    )
    power *= 10 ** (tilt[:, None] / 10)
    shade = gaussian(draws.at("speckle", p, passes.slot, 2))
    looks = passes.looks[:, None]
    power *= speckle(shade, np.maximum(looks, 2.0))
    # texture that stays, weather between passes, and the noise floor
    power *= 10 ** (0.25 * gaussian(draws.at("pass offset", p, passes.slot))[:, 0] / 10)[:, None]
    # noise is mostly removed, sometimes too much
    floor = 10 ** (np.stack([each("noise vv", -28, -24), each("noise vh", -31, -26)], axis=1) / 10)
    power += floor * (draws.at("noise left", p, passes.slot, 2) * 0.9 - 0.25)
    return np.asarray(10 * np.log10(np.maximum(power, 1e-5)))
