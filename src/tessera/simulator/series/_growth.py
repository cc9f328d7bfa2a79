"""Plants through three years: leaf area, colour and water of woody plants, herbs and crops, driven by the weather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._climate import DAYS, PENTADS, Climate
from .kinds import tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._draws import Draws

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Land:
    """What does not change in a pixel-year: `value` holds one number of each range of `Kind`, (n,) each."""

    kind: NDArray[np.int64]
    zone: NDArray[np.int64]
    value: dict[str, Floats]
    crop: NDArray[np.int64]
    irrigated: Bools
    tilled: Bools
    burns: Bools
    stalks: Floats


@dataclass(frozen=True)
class Plants:
    """States (n, 219) over pentads; areas are within the layer's cover, not of the pixel.

    Attributes
    ----------
    woody, herb : green leaf area index; woody_dead, herb_dead : brown leaf and stem area
    woody_colour, herb_colour : chlorophyll as a share of the leaf's greatest
    woody_moisture, herb_moisture : live fuel moisture of green leaves, per cent
    flood : share of the ground under water; flower : share of the canopy in bloom
    bare : 1 where the ground has been tilled, so that litter is gone; char : share of the ground burnt black
    """

    woody: Floats
    herb: Floats
    woody_dead: Floats
    herb_dead: Floats
    woody_colour: Floats
    herb_colour: Floats
    woody_moisture: Floats
    herb_moisture: Floats
    flood: Floats
    flower: Floats
    bare: Floats
    char: Floats


def draw_land(draws: Draws) -> Land:
    """A kind, a zone, and one value of each of the kind's ranges, for every pixel-year."""
    known = tables()
    kind = np.searchsorted(np.cumsum(known.weight), draws.uniform("kind")).clip(0, len(known.weight) - 1)
    pick = (draws.uniform("zone") * known.zone_count[kind]).astype(np.int64)
    value = {name: draws.between(name, pair[kind, 0], pair[kind, 1]) for name, pair in known.bounds.items()}
    return Land(
        kind=kind,
        zone=known.zones[kind, pick],
        value=value,
        crop=known.crop[kind],
        irrigated=draws.chance("irrigated", known.chance["irrigated"][kind]),
        tilled=draws.chance("tilled", known.chance["till"][kind]),
        burns=draws.chance("burns", known.chance["fire"][kind]),
        stalks=known.chance["stalks"][kind],
    )


@dataclass(frozen=True)
class _Crop:
    """Crop curves over pentads: green as a share of the season's greatest, dead, bloom, early flood, growing."""

    green: Floats
    dead: Floats
    flower: Floats
    flood: Floats
    growing: Floats
    young: Floats


def _crop_starts(draws: Draws, land: Land, climate: Climate) -> tuple[Floats, Floats, Floats]:
    """Season day of emergence, of full leaf and of harvest of the first crop of a year, (n,) each."""
    days = land.value["days"]
    cold = climate.temperature[:, :73].min(axis=1) < 9
    spring = np.where(cold & (climate.warmth < 22), climate.onset_warm + draws.between("sow late", 12, 65), 0.0)
    wet = climate.onset_wet + draws.between("after rain", 5, 40)
    anytime = draws.between("any sowing", 1, 365)
    spring = np.where(spring > 0, spring, np.where(land.irrigated & draws.chance("off season", 0.4), anytime, wet))
    harvest = np.clip(258 - 5.6 * climate.warmth + 12 * draws.normal("reaping"), 95, 250)
    winter_start = np.where(climate.warmth > 20, draws.between("sow late autumn", 305, 345), 0.0)
    winter_start = np.where(winter_start > 0, winter_start, draws.between("sow autumn", 262, 330)) - 365
    long_start = draws.between("long start", 1, 365)
    crop = land.crop
    start = np.select([crop == 1, crop == 2], [winter_start, spring], long_start)
    end = np.where(crop == 1, harvest, start + days)
    # winter crops stand low until spring: full leaf lies well before harvest, not after sowing
    full = np.where(
        crop == 1, harvest - 0.62 * np.minimum(days, 115), start + days * draws.between("growing", 0.28, 0.45)
    )
    full = np.maximum(full, start + 25)
    return start, full, np.maximum(end, full + 22)


def _crops(draws: Draws, land: Land, climate: Climate) -> _Crop:
    """All seasons of four years; each differs a little, and years may have rested."""
    n = len(draws)
    green, dead, flower, flood, growing, young = (np.zeros((n, PENTADS)) for _ in range(6))
    sown = land.crop > 0
    if not sown.any():
        return _Crop(green, dead, flower, flood, growing, young)
    start, full, end = _crop_starts(draws, land, climate)
    count = np.floor(land.value["seasons"]).astype(np.int64)
    count = np.where((count == 1) & climate.bimodal & (land.crop == 2), 1 + draws.chance("second rain", 0.5), count)
    gap = draws.between("gap", 8, 45)
    length = end - start
    second_wet = np.where(climate.bimodal, (climate.onset_second - climate.onset_wet) % 365, 0.0)
    ripening = np.where(length < 80, 10.0, 16.0) * draws.between("ripening", 0.7, 1.5)
    stand = draws.between("standing dead", 0.1, 0.8)
    stubble = draws.between("stubble", 0.0, 1.0) * np.where(draws.chance("no stubble", 0.25), 0.1, 1.0)
    early = np.where(land.crop == 1, draws.between("tillering", 0.06, 0.4), 0.0)
    rotten = draws.between("stubble days", 20, 90)
    flooded = np.where(land.value["flood"] > 0.5, land.value["flood"], 0.0)
    for year in range(-1, 3):
        for season in range(3):
            tag = f"{year} {season}"
            shift = season * np.where(second_wet > 0, np.maximum(second_wet, length + 5), length + gap)
            late = 365.0 * year + shift + 7.0 * draws.normal(f"late {tag}")
            vigour = np.clip(1 + 0.16 * draws.normal(f"vigour {tag}"), 0.35, 1.4)
            # the second crop of a winter cereal is a summer crop of its own length
            stretch = np.where((land.crop == 1) & (season > 0), np.minimum(length, 115.0) / length, 1.0)
            a, b, c = start + late, start + late + (full - start) * stretch, start + late + length * stretch
            if season > 0:
                b = np.where(land.crop == 1, a + 48, b)
            on = sown & (season < count) & (draws.uniform(f"rested {tag}") > 0.06)
            t = DAYS[None, :] - a[:, None]
            after = DAYS[None, :] >= c[:, None]
            rate = 4.4 / np.maximum((b - a) * np.where(land.crop == 1, 0.28, 0.5), 12)
            middle = np.where((land.crop == 1) & (season == 0), 0.72, 0.55)
            rise = _logistic((t - ((b - a) * middle)[:, None]) * rate[:, None])
            tiller = early if season == 0 else np.zeros(n)
            rise = tiller[:, None] * _logistic((t - 25) / 8) + (1 - tiller)[:, None] * rise
            ripe = _logistic((DAYS[None, :] - (c - 1.35 * ripening)[:, None]) / (ripening / 3.2)[:, None])
            here = (on * vigour)[:, None] * ~after
            up = np.where(t > 0, rise, 0.0)
            green += here * up * (1 - ripe)
            dead += here * up * ripe * stand[:, None]
            aged = np.maximum(DAYS[None, :] - c[:, None], 0.0)
            dead += (
                (on * vigour * stubble * (0.05 + land.value["reap"]))[:, None] * after * np.exp(-aged / rotten[:, None])
            )
            growing += on[:, None] * ~after * (t > -8)
            young += on[:, None] * np.exp(-((t / 45) ** 2)) * ~after
            bloom = (b + 0.25 * (c - b))[:, None]
            flower += here * np.exp(-(((DAYS[None, :] - bloom) / 11) ** 2))
            flood += (on * flooded)[:, None] * (t > -22) * (DAYS[None, :] < (c - 22)[:, None])
    return _Crop(green, dead, flower, flood.clip(0, 1), growing.clip(0, 1), young.clip(0, 1))


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))


def grow(draws: Draws, land: Land, climate: Climate) -> Plants:
    """Every state of the plants, pentad by pentad."""
    n, value = len(draws), land.value
    crop = _crops(draws, land, climate)
    events = _events(draws, land, climate)
    base = np.where(climate.warmth < 14, draws.between("base cold", 1, 5), draws.between("base warm", 4, 9))
    warm = np.clip((climate.temperature - base[:, None]) / draws.between("span", 8, 13)[:, None], 0, 1)
    hot = np.clip((42 - climate.temperature) / 10, 0, 1)
    need = draws.between("herb need", 0.18, 0.5)
    rain = np.clip((climate.shallow - 0.08) / need[:, None], 0, 1)
    herb_goal = warm * hot * rain * (1 - climate.snow) * value["herb_lai"][:, None]
    herb_goal *= np.where(land.crop > 0, draws.between("weeds", 0.0, 0.45), 1.0)[:, None] * (
        1 - 0.8 * crop.growing * (land.crop > 0)[:, None]
    )
    wetland = (value["flood"] > 0.2) & (land.crop == 0)
    damp = np.where(wetland[:, None], np.maximum(climate.deep, 0.7), climate.deep)
    thirst = draws.between("woody need", 0.12, 0.4)
    deep = np.clip((damp - 0.06) / thirst[:, None], 0, 1)
    leafy = _woody_goal(draws, land, climate, deep, warm)
    evergreen = value["evergreen"][:, None]
    flush = np.clip(draws.between("flush", 0.08, 0.45)[:, None] * warm * deep, 0, 1)
    woody_goal = value["woody_lai"][:, None] * (evergreen * (0.5 + flush + 0.3 * deep) + (1 - evergreen) * leafy)
    rates = {name: draws.between(name, *pair) for name, pair in _RATES.items()}
    herb, woody = np.zeros((n, PENTADS)), np.zeros((n, PENTADS))
    herb_dead, woody_colour, herb_colour, char = (np.zeros((n, PENTADS)) for _ in range(4))
    youth, bare = np.zeros((n, PENTADS)), np.zeros((n, PENTADS))
    low, high, dead = herb_goal[:, 0] * 0.5, woody_goal[:, 0], np.zeros(n)
    colour, grass_colour, black, open_soil, new = (
        np.full(n, 0.8),
        np.full(n, 0.8),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n),
    )
    loss = draws.between("crown loss", 0.1, 0.9)
    for step in range(PENTADS):
        goal, top = herb_goal[:, step], woody_goal[:, step]
        grown = np.where(goal > low, rates["herb up"], rates["herb down"]) * (goal - low)
        dead = dead + np.maximum(-grown, 0.0) * rates["kept"]
        low = low + grown
        eaten = value["graze"] * low
        low, dead = low - eaten, dead * (1 - 0.6 * value["graze"])
        cut = events.cut[:, step]
        low, dead = np.where(cut, 0.18 * low, low), np.where(cut, 0.25 * dead + 0.05 * low, dead)
        till, burn = events.till[:, step], events.burn[:, step]
        low, dead = low * (1 - 0.95 * till), dead * (1 - 0.95 * till)
        low, dead = low * (1 - 0.93 * burn), dead * (1 - 0.93 * burn)
        wet = climate.surface[:, step]
        dead = dead * (1 - rates["rot"] * (0.25 + wet) * (0.4 + warm[:, step]))
        move = np.where(top > high, rates["leaf up"], rates["leaf down"]) * (top - high)
        new = 0.86 * new + np.maximum(move, 0.0) / np.maximum(value["woody_lai"], 0.3)
        high = (high + move) * (1 - loss * burn)
        # leaves lose their green before they fall
        aim = np.clip(0.15 + 0.95 * top / np.maximum(high, 0.05), 0.12, 1.0)
        colour = colour + np.where(aim > colour, 0.25, 0.4) * (aim - colour)
        pale = np.clip(0.25 + 0.9 * goal / np.maximum(low, 0.05), 0.2, 1.0)
        grass_colour = grass_colour + 0.3 * (pale - grass_colour)
        black = np.maximum(black * (1 - rates["ash"] * (0.3 + wet)), burn)
        open_soil = np.maximum(open_soil * 0.93, till)
        herb[:, step], woody[:, step], herb_dead[:, step] = low, high, dead
        woody_colour[:, step], herb_colour[:, step], char[:, step] = colour, grass_colour, black
        youth[:, step], bare[:, step] = new, open_soil
    moisture, moisture_level = _woody_moisture(draws, land, damp, youth)
    pale_in_drought = draws.between("pale in drought", 0.05, 0.55)[:, None]
    cropped = (land.crop > 0)[:, None]
    top_lai = value["herb_lai"][:, None] * np.clip(0.45 + climate.shallow.clip(0, 0.55), 0, 1)
    planted = crop.green * np.where(cropped, top_lai, 0.0)
    colour_of_crop = np.clip(0.45 + 0.75 * crop.green, 0, 1)
    share = planted / np.maximum(planted + herb, 1e-6)
    return Plants(
        woody=woody,
        herb=herb + planted,
        woody_dead=_branches(draws, land),
        herb_dead=herb_dead + crop.dead * np.where(cropped, top_lai, 0.0),
        woody_colour=woody_colour * (1 - pale_in_drought + pale_in_drought * moisture_level),
        herb_colour=share * colour_of_crop + (1 - share) * herb_colour,
        woody_moisture=moisture,
        herb_moisture=_herb_moisture(draws, rain, share, crop, herb_colour),
        flood=np.where(cropped, crop.flood, _wetland_flood(land, climate)),
        flower=crop.flower * value["flower"][:, None],
        bare=np.maximum(bare, crop.young * 0.9),
        char=char,
    )


_RATES = {
    "herb up": (0.12, 0.35),
    "herb down": (0.07, 0.25),
    "kept": (0.25, 0.95),
    "rot": (0.03, 0.16),
    "leaf up": (0.14, 0.42),
    "leaf down": (0.1, 0.3),
    "ash": (0.08, 0.3),
}
"""Shares a pentad."""


@dataclass(frozen=True)
class _Events:
    cut: Bools
    till: Bools
    burn: Floats


def _events(draws: Draws, land: Land, climate: Climate) -> _Events:
    """Mowings spread over the warm or wet months, tillage, fires in the dry season, as (n, 219)."""
    n = len(draws)
    cuts = np.floor(land.value["cuts"])
    cold = climate.onset_warm > 76
    begin = np.where(cold, climate.onset_warm + 35, 60.0) + draws.between("first cut", 0, 30)
    span = np.where(cold, 290 - begin, 260.0).clip(60)
    cut = np.zeros((n, PENTADS), dtype=bool)
    for number in range(7):
        for turn in range(3):
            day = begin + span * (number + 0.5) / np.maximum(cuts, 1) + 10 * draws.normal(f"cut {number} {turn}")
            step = np.clip(day // 5, 0, 72).astype(np.int64) + 73 * turn
            cut[np.arange(n), step] |= (number < cuts) & (land.crop != 1)
    till = np.zeros((n, PENTADS), dtype=bool)
    for turn in range(3):
        for number in range(2):
            step = (draws.uniform(f"till {turn} {number}") * 73).astype(np.int64) + 73 * turn
            till[np.arange(n), step] |= land.tilled & (land.crop == 0)
    dry = climate.shallow[:, :73] + 0.5 * draws.uniform("fire day", 73) + (climate.temperature[:, :73] < 8)
    burn = np.zeros((n, PENTADS))
    step = dry.argmin(axis=1) + 73 * (1 + draws.chance("fire late", 0.4))
    burn[np.arange(n), step] = land.burns * draws.between("severity", 0.5, 1.0)
    return _Events(cut, till, burn)


def _woody_goal(draws: Draws, land: Land, climate: Climate, deep: Floats, warm: Floats) -> Floats:
    """Leaf area of deciduous crowns as a share of the greatest: cold and short days, or drought, shed them."""
    phase = 2 * np.pi * (DAYS[None, :] - 172) / 365
    daylight = np.cos(phase) * np.clip(np.abs(climate.latitude)[:, None] / 45, 0, 1.2)
    budburst = _logistic((climate.temperature - draws.between("bud", 8, 13)[:, None]) / 1.6)
    autumn = _logistic((daylight + draws.between("autumn", 0.15, 0.75)[:, None]) * 9)
    by_cold = np.minimum(budburst, autumn) * (0.45 + 0.55 * deep)
    by_drought = deep**1.4 * (0.3 + 0.7 * warm)
    share = land.value["drought"][:, None]
    # where winters are cold, frost sheds what drought spared
    frost = np.where((climate.warmth < 18)[:, None], by_cold, 1.0)
    return np.asarray(np.minimum((1 - share) * by_cold + share * by_drought, frost))


def _branches(draws: Draws, land: Land) -> Floats:
    """(n, 219) stem and branch area, brown all year, more in tall and shrubby plants."""
    area = draws.between("branches", 0.08, 0.3) * land.value["woody_lai"] * (0.6 + 0.4 * (land.value["height"] < 4))
    return np.repeat(area[:, None], PENTADS, axis=1)


def _woody_moisture(draws: Draws, land: Land, deep: Floats, youth: Floats) -> tuple[Floats, Floats]:
    """Live fuel moisture, and its level from 0 to 1 between the species' bounds: deep water, new leaves."""
    slow = deep.copy()
    for step in range(1, PENTADS):
        slow[:, step] += 0.6 * (slow[:, step - 1] - slow[:, step])
    driven = np.clip((slow - 0.05) / draws.between("moisture need", 0.3, 0.75)[:, None], 0, 1)
    # plants fit their place: part of what they feel is the season's water against its own least and most
    least, most = slow[:, 36:].min(axis=1, keepdims=True), slow[:, 36:].max(axis=1, keepdims=True)
    fitted = draws.between("fitted", 0.2, 1.0)[:, None]
    driven = (1 - fitted) * driven + fitted * np.clip((slow - least) / np.maximum(most - least, 0.25), 0, 1)
    weight = draws.between("youth weight", 0.1, 0.6)[:, None]
    fresh = np.clip(1.6 * youth, 0, 1)
    level = np.clip((1 - weight) * driven + weight * np.maximum(fresh, 0.35 * driven), 0, 1)
    low, high = land.value["parched"][:, None], land.value["wet"][:, None]
    high = high * np.where(draws.chance("succulent spring", 0.15), 1.25, 1.0)[:, None]
    return low + (high - low) * level, level


def _herb_moisture(draws: Draws, rain: Floats, share: Floats, crop: _Crop, colour: Floats) -> Floats:
    """Green herbs hold 80 to 400 per cent; crops dry as they ripen."""
    low, high = draws.between("herb dry", 60, 130)[:, None], draws.between("herb wet", 220, 420)[:, None]
    wild = low + (high - low) * np.clip(0.25 * rain + 0.75 * rain * colour, 0, 1)
    return np.asarray(share * (low + (high - low) * np.clip(0.3 + 0.7 * crop.green, 0, 1)) + (1 - share) * wild)


def _wetland_flood(land: Land, climate: Climate) -> Floats:
    """Flooded share of natural wetland: with the deep water of the season."""
    return land.value["flood"][:, None] * np.clip((climate.deep - 0.35) / 0.4, 0, 1)
