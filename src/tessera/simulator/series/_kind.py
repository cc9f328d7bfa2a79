"""`Kind`: ranges of cover, structure, leaves and management of one kind of land, from the table `kinds.csv`.

The ranges are ours, wide on purpose, in the order of magnitude of plant trait collections and crop calendars.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from pathlib import Path

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """One kind of land; pairs are the least and greatest value of a uniform draw.

    Attributes
    ----------
    weight : share among pixel-years, before all are scaled to 1
    zones : climates that it occurs in, each as likely
    woody, woody_lai : cover of crowns, leaf area within them
    evergreen, drought : share of leaves kept all year; share of the rest that drought sheds, not cold
    height : m; mass : leaf dry matter of woody leaves, g/cm2
    wet, parched : live fuel moisture at best and worst, per cent
    green : chlorophyll of woody leaves, ug/cm2
    herb, herb_lai : cover between the crowns, leaf area within it
    crop : "" natural herbs, else "winter", "spring" or "long" crops
    seasons : crops a year; days : length of a crop season; reap : share of leaf area that stays as stubble
    herb_mass, herb_green, tilt : of herbs or crops; tilt is the mean leaf inclination, degrees
    flood : flooded share of the ground in the flood season; flower : strength of bloom
    cuts : mowings a year; graze : share eaten a pentad; till : chance that the ground is tilled bare
    irrigated : chance; water, built, salt : cover of each; litter : cover of dead leaves on the ground
    bright : brightness of the soil; fire : chance of a fire in the year
    stalks : 1 where straw dims VV as cereals do
    """

    name: str
    weight: float
    zones: str
    woody: Range = (0.0, 0.0)
    woody_lai: Range = (1.5, 4.0)
    evergreen: Range = (0.0, 0.0)
    drought: Range = (0.0, 0.0)
    height: Range = (2.0, 10.0)
    mass: Range = (0.006, 0.014)
    wet: Range = (130.0, 230.0)
    parched: Range = (70.0, 120.0)
    green: Range = (25.0, 60.0)
    herb: Range = (0.0, 0.3)
    herb_lai: Range = (0.5, 3.0)
    crop: str = ""
    seasons: Range = (1.0, 1.0)
    days: Range = (100.0, 140.0)
    reap: Range = (0.0, 0.25)
    herb_mass: Range = (0.003, 0.007)
    herb_green: Range = (22.0, 68.0)
    tilt: Range = (45.0, 70.0)
    flood: Range = (0.0, 0.0)
    flower: Range = (0.0, 0.0)
    cuts: Range = (0.0, 0.0)
    graze: Range = (0.0, 0.0)
    till: float = 0.0
    irrigated: float = 0.0
    water: Range = (0.0, 0.0)
    built: Range = (0.0, 0.0)
    salt: Range = (0.0, 0.0)
    litter: Range = (0.1, 0.5)
    bright: Range = (0.45, 1.15)
    fire: float = 0.0
    stalks: float = 0.0


def read_kinds() -> tuple[Kind, ...]:
    """The rows of `kinds.csv`, a column an attribute; a range is two numbers, an empty cell the default."""
    texts = {field.name for field in fields(Kind) if field.type == "str"}
    ranges = {field.name for field in fields(Kind) if field.type == "Range"}

    def value(name: str, cell: str) -> object:
        if name in texts:
            return cell
        numbers = tuple(map(float, cell.split()))
        return numbers if name in ranges else numbers[0]

    with Path(__file__).with_name("kinds.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: value(name, cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    return tuple(Kind(**row) for row in rows)  # type: ignore[arg-type]
