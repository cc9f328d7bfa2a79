"""The kinds of land that are simulated: the table `kinds.csv`, as arrays that a block looks up at once.

A row is a kind; two numbers are the least and the greatest value of a uniform draw. The ranges are ours, wide on
purpose, in the order of magnitude of plant trait collections and crop calendars. The columns:

    weight              share among pixel-years, before all are scaled to 1
    zones               climates that it occurs in, each as likely
    woody, woody_lai    cover of crowns, leaf area within them
    evergreen, drought  share of leaves kept all year; share of the rest that drought sheds, not cold
    height, mass        m; leaf dry matter of woody leaves, g/cm2
    wet, parched        live fuel moisture at best and worst, per cent
    green               chlorophyll of woody leaves, ug/cm2
    herb, herb_lai      cover between the crowns, leaf area within it
    crop                empty for natural herbs, else winter, spring or long crops
    seasons, days       crops a year; length of a crop season
    reap                share of leaf area that stays as stubble
    herb_mass, herb_green, tilt   of herbs or crops; tilt is the mean leaf inclination, degrees
    flood, flower       flooded share of the ground in the flood season; strength of bloom
    cuts, graze         mowings a year; share eaten a pentad
    till, irrigated     chance that the ground is tilled bare; chance
    water, built, salt  cover of each
    litter              cover of dead leaves on the ground
    bright              brightness of the soil
    fire                chance of a fire in the year
    stalks              1 where straw dims VV as cereals do
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._climate import CODES

if TYPE_CHECKING:
    from numpy.typing import NDArray

with Path(__file__).with_name("kinds.csv").open(encoding="utf-8", newline="") as _file:
    _ROWS = list(csv.DictReader(_file))
KIND_NAMES = tuple(row["name"] for row in _ROWS)
"""Names of the codes in `SimulatedSeries.kind`."""
GLACIER = KIND_NAMES.index("glacier and snow field")
_CHANCES = ("till", "irrigated", "fire", "stalks")
CROPS = ("", "winter", "spring", "long")


@dataclass(frozen=True)
class Tables:
    """Bounds name -> (kinds, 2), chances name -> (kinds,), and the zones of each kind."""

    weight: NDArray[np.float64]
    bounds: dict[str, NDArray[np.float64]]
    chance: dict[str, NDArray[np.float64]]
    crop: NDArray[np.int64]
    zone_count: NDArray[np.int64]
    zones: NDArray[np.int64]


@cache
def tables() -> Tables:
    """The kinds as arrays that a block looks up at once."""
    weight = np.array([float(row["weight"]) for row in _ROWS])
    codes = [[CODES[name] for name in dict.fromkeys(row["zones"].split())] for row in _ROWS]
    longest = max(len(row) for row in codes)
    ranges = [name for name in _ROWS[0] if name not in ("name", "weight", "zones", "crop", *_CHANCES)]
    return Tables(
        weight=weight / weight.sum(),
        bounds={name: np.array([row[name].split() for row in _ROWS], dtype=np.float64) for name in ranges},
        chance={name: np.array([row[name] for row in _ROWS], dtype=np.float64) for name in _CHANCES},
        crop=np.array([CROPS.index(row["crop"]) for row in _ROWS]),
        zone_count=np.array([len(row) for row in codes]),
        zones=np.array([row + row[:1] * (longest - len(row)) for row in codes]),
    )
