"""When a pixel-year is observed, by which pass, and through how much cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._climate import Climate
    from ._draws import Draws

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

SLOTS = 64
"""Most observations of a modality that a pixel-year keeps."""
_PASSES = 160
_MONTH = 365 / 12


@dataclass(frozen=True)
class ObservationPlan:
    """Rules of observation of each pixel-year, (n,) each.

    Attributes
    ----------
    start : season day on which its window begins
    months : length of the window
    composite : monthly composites instead of single dates
    best : a composite takes its clearest date instead of the median
    top : reflectance at the top of the atmosphere
    no_b8a : composites in which B08 stands in for B8A
    """

    start: Floats
    months: Ints
    composite: Bools
    best: Bools
    top: Bools
    no_b8a: Bools


@dataclass(frozen=True)
class Passes:
    """Rows of observations, sorted by pixel and day.

    Attributes
    ----------
    pixel, slot : (M,) pixel of the block, number of the pass
    day : (M,) season day
    group : (M,) month of the window for composites, else the rank of the date
    """

    pixel: Ints
    slot: Ints
    day: Floats
    group: Ints


def plan_observations(draws: Draws, south: Bools) -> ObservationPlan:
    """A calendar year, any other twelve months, or composites of 1 to 24 months."""
    composite = draws.chance("composite", 0.5)
    length = draws.uniform("months")
    some = draws.uniform("some months")
    composite_months = np.select(
        [length < 0.42, length < 0.64, length < 0.84],
        [np.full(len(draws), 12.0), 1 + 4 * some, 4 + 8 * some],
        13 + 12 * some,
    ).astype(np.int64)
    composite_months = np.where((length >= 0.42) & (length < 0.56), 3, composite_months)
    single = np.where(
        length < 0.86, 12, np.where(length < 0.93, 1 + (4 * some).astype(np.int64), 4 + (8 * some).astype(np.int64))
    )
    months = np.where(composite, composite_months.clip(1, 24), single)
    turned = np.where(south, 182.0, 0.0)
    calendar = draws.chance("calendar year", 0.6)
    month = np.floor(draws.uniform("first month") * 12)
    first = np.where(
        calendar & (months == 12), 0.0, np.where(composite, month * _MONTH, draws.uniform("first day") * 365)
    )
    # a day of the civil year lies `turned` days on in season days; the window must fit into three years
    start = 366 + (first + turned) % 365
    start = np.where(start + months * _MONTH > 1090, start - 365, start)
    best = composite & draws.chance("best pixel", np.where(months < 5, 0.65, 0.42))
    top = np.where(composite, draws.chance("top composite", 0.6) & best, draws.chance("top single", 0.05))
    return ObservationPlan(start, months, composite, best, top, composite & ~top & draws.chance("no B8A", 0.5))


def civil_day(season_day: Floats, south: Bools) -> NDArray[np.int16]:
    """Day of the civil year, 1 to 365."""
    turned = np.where(south, 182, 0)
    return np.asarray((np.floor(season_day).astype(np.int64) - turned - 1) % 365 + 1, dtype=np.int16)


def optical_passes(draws: Draws, plan: ObservationPlan, climate: Climate) -> Passes:
    """Dates that a mask calls clear, thinned to the number that a pixel-year keeps."""
    n = len(draws)
    lone = draws.chance("one satellite", 0.12)
    overlap = draws.chance("overlap", np.where(np.abs(climate.latitude) > 50, 0.55, 0.3)) & (plan.months <= 12)
    slot = np.arange(_PASSES)
    span = plan.months * _MONTH
    every = np.where(lone, 10.0, 5.0)[:, None]
    other = np.where(draws.chance("side", 0.5), 2.0, 3.0)[:, None]
    in_pairs = (slot // 2) * every + (slot % 2) * other
    offset = np.where(overlap[:, None], in_pairs, slot * every) + (draws.uniform("phase")[:, None] * every).astype(
        np.int64
    )
    inside = offset < span[:, None]
    inside &= draws.uniform("lost pass", _PASSES) > 0.03
    day = plan.start[:, None] + np.floor(offset)
    cloud = _at(climate.cloud, day)
    hidden = np.zeros((n, _PASSES), dtype=bool)
    chance, before = draws.uniform("cloud", _PASSES), np.zeros(n, dtype=bool)
    stay = draws.between("cloud memory", 0.05, 0.4)
    for step in range(_PASSES):
        probability = cloud[:, step] + stay * (before - cloud[:, step])
        before = chance[:, step] < probability
        hidden[:, step] = before
    # a composite without a clear date may show a cloudy one
    clear = inside & (
        ~hidden
        | (
            (plan.best & draws.chance("cloudy composite", 0.4))[:, None]
            & (draws.uniform("cloudy date", _PASSES) < 0.08)
        )
    )
    thin = draws.chance("thin", 0.1)
    clear &= ~(thin[:, None] & (draws.uniform("thinned", _PASSES) > draws.between("thin share", 0.15, 0.6)[:, None]))
    month = (offset / _MONTH).astype(np.int64).clip(0, 23)
    missing = draws.uniform("missing month", 24) < np.where(draws.chance("has gaps", 0.25), 0.2, 0.01)[:, None]
    clear &= ~(plan.composite[:, None] & np.take_along_axis(missing, month, axis=1))
    group = np.where(plan.composite[:, None], month, 0)
    most = np.where(plan.composite, np.where(plan.best, 1, np.minimum(SLOTS // plan.months, 6)), SLOTS)
    return _keep(draws.uniform("keep", _PASSES), clear, day, group, most)


def _keep(order: Floats, clear: Bools, day: Floats, group: Ints, most: Ints) -> Passes:
    """At most `most` (n,) random clear passes of each group, as rows in order of time."""
    n, width = clear.shape
    rows = np.arange(n)[:, None]
    by = np.argsort(np.where(clear, group + order, 1000.0), axis=1, kind="stable")
    sorted_group = np.where(clear, group, 1000)[rows, by]
    position = np.arange(width)
    fresh = np.concatenate([np.ones((n, 1), dtype=bool), sorted_group[:, 1:] != sorted_group[:, :-1]], axis=1)
    first = np.maximum.accumulate(np.where(fresh, position, 0), axis=1)
    kept = np.zeros((n, width), dtype=bool)
    kept[rows, by] = (position - first < most[:, None]) & (sorted_group < 1000)
    pixel, slot = np.nonzero(kept)
    return Passes(pixel, slot, day[pixel, slot], group[pixel, slot])


def _at(values: Floats, day: Floats) -> Floats:
    step = np.clip(day / 5, 0, values.shape[1] - 1).astype(np.int64)
    return np.take_along_axis(values, step, axis=1)


@dataclass(frozen=True)
class RadarPasses(Passes):
    """`Passes` of the radar, with the orbit and the number of looks in each."""

    descending: Bools
    looks: Floats


def radar_passes(draws: Draws, plan: ObservationPlan) -> RadarPasses:
    """Passes of one orbit or both; some pixel-years have none. The passes of a month make one composite."""
    n = len(draws)
    case = draws.uniform("orbits")
    without = case < 0.12
    both = (case > 0.55) & ~plan.composite
    first_descends = draws.chance("descending", 0.5)
    every = np.where(draws.chance("both satellites", 0.55) & (plan.months <= 12), 6.0, 12.0)
    slot = np.arange(128)
    second = slot % 2 == 1
    offset = (slot // 2) * every[:, None] + np.floor(draws.uniform("radar phase", 2) * every[:, None])[:, slot % 2]
    clear = (offset < (plan.months * _MONTH)[:, None]) & ~without[:, None] & (~second[None] | both[:, None])
    clear &= draws.uniform("lost radar", 128) > np.where(draws.chance("thin radar", 0.12), 0.6, 0.03)[:, None]
    month = (offset / _MONTH).astype(np.int64).clip(0, 23)
    group = np.where(plan.composite[:, None], month, 0)
    day = plan.start[:, None] + offset
    most = np.where(plan.composite, 1, SLOTS)
    kept = _keep(draws.uniform("keep radar", 128), clear, day, group, most)
    number = np.zeros((n, 24))
    for m in range(24):
        number[:, m] = (clear & (month == m)).sum(axis=1)
    single = draws.chance("one pass a month", 0.35)
    many = np.where(single[kept.pixel], 1.0, number[kept.pixel, kept.group].clip(1))
    looks = draws.between("looks", 3.6, 5.2)[kept.pixel] * np.where(plan.composite[kept.pixel], many, 1.0)
    descending = first_descends[kept.pixel] ^ second[kept.slot]
    return RadarPasses(kept.pixel, kept.slot, kept.day, kept.group, descending, looks)
