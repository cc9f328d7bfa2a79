"""Augmentations, which imitate poorer records of the same year; the published rule has none.

Each is a pure function of observations and keys, so that a view is the same in any batch, process or part.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, mix_in_place
from tessera.cubes import S2_BANDS

from .random import key_of, keys_of, normal, uniform
from .stream import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

YEAR = 366
CLOUD_RUNS = 6
"""Most runs of cloudy days in a view."""
DB = 400.0
"""Units of the cube's int16 in one dB: (2 dB + 50) * 200."""
_WAVELENGTH = {
    "B02": 492.0, "B03": 560.0, "B04": 665.0, "B05": 704.0, "B06": 740.0,
    "B07": 783.0, "B08": 833.0, "B8A": 865.0, "B11": 1614.0, "B12": 2202.0,
}  # fmt: skip
"""Band centres in nm (Sentinel-2 User Handbook)."""
HAZE = np.array([(_WAVELENGTH["B02"] / _WAVELENGTH[band]) ** 2 for band in S2_BANDS], dtype=np.float32)
"""Haze in each band relative to B02: wavelength ** -2, between molecules (-4) and coarse aerosol (-1)."""
_B08, _B8A = S2_BANDS.index("B08"), S2_BANDS.index("B8A")
_STARTS = np.array([1, 32, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335], dtype=np.int16)
_WINDOW, _CLOUDS, _THIN, _LOT, _MISSING, _MONTHLY, _GAIN, _RADAR, _HAZE, _DAY, _BAND = range(1, 12)
_OPTICAL, _MICROWAVE = 100, 200


@dataclass(frozen=True)
class Augment:
    """How often and how views are made poorer. The published rule is all zeros.

    Augmentations other than a missing modality keep at least `least` observations if there were that many.

    Attributes
    ----------
    window : share of views that see only one contiguous part of the year (circular), the same for both modalities
    window_days : shortest and longest such part, days
    clouds : share of views that lose runs of Sentinel-2 dates, up to six runs of 5 to `cloud_days` days
    cloud_days : longest run, days
    thin : share of views that keep k of n observations of each modality, k log-uniform from `least` to n
    least : fewest observations of a modality that are kept
    no_radar, no_optical : share of views without that modality at all; never both, and never the only one
    monthly : share of views of monthly composites, half means and half medians, dated mid month; radar of both orbits
        together, under the statistics of one of them at random
    gain : standard deviation of a factor on each optical band of a view, such as 0.02
    radar_db : standard deviation of an offset of each polarisation of a view, dB
    haze : mean of the exponentially distributed haze in B02 of an observation, reflectance x 10000; less at longer
        wavelengths
    day_jitter : largest error of a date, days
    b08_as_b8a : share of views in which B08 replaces B8A, as in data without it
    distinct : repeat no observation before all were drawn, as at inference; the published rule draws with replacement
    """

    window: float = 0.0
    window_days: tuple[int, int] = (60, 240)
    clouds: float = 0.0
    cloud_days: int = 45
    thin: float = 0.0
    least: int = 3
    no_radar: float = 0.0
    no_optical: float = 0.0
    monthly: float = 0.0
    gain: float = 0.0
    radar_db: float = 0.0
    haze: float = 0.0
    day_jitter: int = 0
    b08_as_b8a: float = 0.0
    distinct: bool = False

    def __post_init__(self) -> None:
        for name in ("window", "clouds", "thin", "no_radar", "no_optical", "monthly", "b08_as_b8a"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation {name} {getattr(self, name)}; expected a share from 0 to 1")
        for name, most in (("gain", 1.0), ("radar_db", 20.0), ("haze", 10_000.0), ("day_jitter", 60)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"augmentation {name} {getattr(self, name)}; expected 0 to {most:g}")
        if self.no_radar + self.no_optical > 1:
            raise InputError(f"shares without radar {self.no_radar} and without optical {self.no_optical}; sum above 1")
        if not 1 <= self.window_days[0] <= self.window_days[1] <= YEAR:
            raise InputError(f"window_days {self.window_days}; expected two numbers of days, ascending, 1 to {YEAR}")
        if not 5 <= self.cloud_days <= YEAR or self.least < 1:
            raise InputError(
                f"cloud_days {self.cloud_days}, least {self.least}; expected 5 to {YEAR} days, and at least 1"
            )

    @property
    def active(self) -> bool:
        """Whether any augmentation is on, apart from `distinct`."""
        quiet = {"window_days", "cloud_days", "least", "distinct"}
        return any(getattr(self, field.name) > 0 for field in fields(self) if field.name not in quiet)

    def apply(self, s2: Stream, s1: Stream, keys: NDArray[np.uint64]) -> tuple[Stream, Stream]:
        """Augment both modalities of a view.

        Parameters
        ----------
        s2, s1 : observations of B pixels
        keys : (B,) uint64, a key of this view of each pixel
        """
        s2, s1 = self._thin_out(s2, s1, keys)
        if self.b08_as_b8a:
            s2 = replace_b8a(s2, keys, self)
        if self.gain:
            s2 = gained(s2, keys, self)
        if self.haze:
            s2 = hazed(s2, keys, self)
        if self.radar_db:
            s1 = shifted(s1, keys, self)
        if self.day_jitter:
            s2, s1 = (redated(part, keys, self, word) for part, word in ((s2, _OPTICAL), (s1, _MICROWAVE)))
        if self.monthly:
            s2, s1 = monthly(s2, keys, self), monthly(s1, keys, self)
        return s2, s1

    def _thin_out(self, s2: Stream, s1: Stream, keys: NDArray[np.uint64]) -> tuple[Stream, Stream]:
        """Remove observations from a view."""
        out = []
        lost = without(s2, s1, keys, self)
        for stream, word, gone in zip((s2, s1), (_OPTICAL, _MICROWAVE), lost, strict=True):
            kept = np.ones(len(stream.day), dtype=np.bool_)
            if self.window:
                kept = _spare(stream, kept, in_window(stream, keys, self), self.least)
            if self.clouds and word == _OPTICAL:
                kept = _spare(stream, kept, clear(stream, keys, self), self.least)
            if self.thin:
                kept = thinned(stream, kept, keys, self, word)
            out.append(stream.keep(kept & ~gone[stream.pixel] if gone.any() else kept))
        return out[0], out[1]


def _spare(stream: Stream, kept: NDArray[np.bool_], fewer: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """`kept` and `fewer`, except that pixels which would keep too few observations stay as in `kept`."""
    fewer = kept & fewer
    before, after = (
        np.add.reduceat(np.append(part, False), stream.offsets[:-1], dtype=np.int64) for part in (kept, fewer)
    )
    short = (after < np.minimum(least, before)) & (stream.count > 0)
    return fewer | (kept & short[stream.pixel]) if short.any() else fewer


def _chosen(keys: NDArray[np.uint64], share: float, purpose: int) -> NDArray[np.bool_]:
    chosen: NDArray[np.bool_] = uniform(keys, 1, purpose)[:, 0] < share
    return chosen


def in_window(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> NDArray[np.bool_]:
    """(M,) mask of observations inside their view's part of the year; all True in views without one."""
    drawn = uniform(keys, 3, _WINDOW)
    low, high = augment.window_days
    start = np.floor(drawn[:, 1] * YEAR).astype(np.int16)
    length = (low + np.floor(drawn[:, 2] * (high - low + 1))).astype(np.int16)
    kept = np.ones(len(stream.day), dtype=np.bool_)
    rows, pixel = _rows(stream, drawn[:, 0] < augment.window)
    kept[rows] = _since(stream.day[rows], start[pixel]) < length[pixel]
    return kept


def clear(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> NDArray[np.bool_]:
    """(M,) mask of observations outside the cloudy runs of their view."""
    drawn = uniform(keys, 2 + 2 * CLOUD_RUNS, _CLOUDS)
    runs = 1 + np.floor(drawn[:, 1] * CLOUD_RUNS)
    start = np.floor(drawn[:, 2 : 2 + CLOUD_RUNS] * YEAR).astype(np.int16)
    length = (5 + np.floor(drawn[:, 2 + CLOUD_RUNS :] * (augment.cloud_days - 4))).astype(np.int16)
    length[np.arange(CLOUD_RUNS) >= runs[:, None]] = 0
    kept = np.ones(len(stream.day), dtype=np.bool_)
    rows, pixel = _rows(stream, drawn[:, 0] < augment.clouds)
    since = _since(stream.day[rows][:, None], start.take(pixel, axis=0))
    kept[rows] = (since >= length.take(pixel, axis=0)).all(axis=1)
    return kept


def _rows(stream: Stream, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Rows of the chosen pixels, and the pixel of each row."""
    rows = np.flatnonzero(chosen[stream.pixel])
    return rows, stream.pixel[rows]


def _since(day: NDArray[np.int16], start: NDArray[np.int16]) -> NDArray[np.int16]:
    """Days since the 0-based day `start`, circular."""
    days = day - np.int16(1) - start
    days[days < 0] += YEAR
    return days


def thinned(
    stream: Stream, kept: NDArray[np.bool_], keys: NDArray[np.uint64], augment: Augment, word: int
) -> NDArray[np.bool_]:
    """(M,) mask of k of the n kept observations of each chosen pixel, uniformly random; `word` separates modalities."""
    drawn = uniform(keys, 2, _THIN + word)
    rows, pixel = _rows(stream, drawn[:, 0] < augment.thin)
    rows, pixel = rows[kept[rows]], pixel[kept[rows]]
    count = np.bincount(pixel, minlength=len(keys))
    low = np.minimum(augment.least, count)
    # log-uniform over integers from low to n: the top of the interval is n + 1, exclusive
    size = np.floor(low * ((count + 1) / np.maximum(low, 1)) ** drawn[:, 1]).astype(np.int64)
    lots = observation_keys(stream, keys, _LOT + word)[rows]
    out = kept.copy()
    out[rows] = lowest(lots, np.concatenate([[0], np.cumsum(count)]), np.clip(size, low, count))
    return out


def lowest(lots: NDArray[np.uint64], offsets: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(M,) mask of the `size` lowest lots of each run of rows, by first 44 bits, then by row; below 2**20 runs."""
    pixel = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.argsort((lots >> np.uint64(20)) | (pixel.astype(np.uint64) << np.uint64(44)), kind="stable")
    kept = np.empty(len(lots), dtype=np.bool_)
    kept[order] = np.arange(len(lots)) - offsets[pixel] < size[pixel]
    return kept


def observation_keys(stream: Stream, keys: NDArray[np.uint64], purpose: int) -> NDArray[np.uint64]:
    """(M,) a key for each observation, from its pixel's key and its index in the pixel."""
    place = np.arange(len(stream.day)) - stream.offsets[stream.pixel]
    return mix_in_place(keys_of(key_of(purpose), np.arange(place.max(initial=0) + 1))[place] ^ keys[stream.pixel])


def without(s2: Stream, s1: Stream, keys: NDArray[np.uint64], augment: Augment) -> tuple[NDArray[np.bool_], ...]:
    """(B,) masks of pixels that lose Sentinel-2 and that lose Sentinel-1; only pixels with the other modality."""
    drawn = uniform(keys, 1, _MISSING)[:, 0]
    return (drawn >= 1 - augment.no_optical) & (s1.count > 0), (drawn < augment.no_radar) & (s2.count > 0)


def replace_b8a(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> Stream:
    """Replace B8A by B08."""
    rows = _chosen(keys, augment.b08_as_b8a, _BAND)[stream.pixel]
    values = stream.values.copy()
    values[rows, _B8A] = values[rows, _B08]
    return replace(stream, values=values)


def gained(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> Stream:
    """Multiply each band of a view by a factor."""
    factor = 1 + augment.gain * normal(keys, stream.values.shape[1], _GAIN).astype(np.float32)
    return replace(stream, values=_within(stream.values * factor.take(stream.pixel, axis=0), 65535))


def hazed(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> Stream:
    """Add path radiance to each observation, most in the blue."""
    drawn = uniform(observation_keys(stream, keys, _HAZE), 1)
    amount = (-augment.haze * np.log1p(-drawn)).astype(np.float32)
    return replace(stream, values=_within(stream.values + amount * HAZE, 65535))


def _within(values: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Clip to 0 and the largest integer of this modality, in place."""
    return np.clip(values, np.float32(0), np.float32(most), out=values)


def shifted(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> Stream:
    """Add an offset to each polarisation of a view."""
    offset = (augment.radar_db * DB * normal(keys, stream.values.shape[1], _RADAR)).astype(np.float32)
    return replace(stream, values=_within(stream.values + offset.take(stream.pixel, axis=0), 32767))


def redated(stream: Stream, keys: NDArray[np.uint64], augment: Augment, word: int) -> Stream:
    """Shift dates by up to `day_jitter` days, within the year."""
    drawn = uniform(observation_keys(stream, keys, _DAY + word), 1)[:, 0]
    error = np.floor(drawn * (2 * augment.day_jitter + 1)).astype(np.int64) - augment.day_jitter
    return replace(stream, day=np.clip(stream.day + error, 1, YEAR).astype(np.int16))


def monthly(stream: Stream, keys: NDArray[np.uint64], augment: Augment) -> Stream:
    """Replace the observations of the chosen pixels by composites of the months with observations."""
    drawn = uniform(keys, 3, _MONTHLY)
    chosen = drawn[:, 0] < augment.monthly
    rows = np.flatnonzero(chosen[stream.pixel])
    if not rows.size:
        return stream
    pixel, day = stream.pixel[rows], stream.day[rows]
    month = np.searchsorted(_STARTS, day, side="right") - 1
    order = np.argsort(pixel * 12 + month, kind="stable")
    cells, first, number = np.unique((pixel * 12 + month)[order], return_index=True, return_counts=True)
    values = stream.values.take(rows[order], axis=0).astype(np.float32)
    made = np.add.reduceat(values, first, axis=0) / number[:, None].astype(np.float32)
    owner = cells // 12
    middle = drawn[owner, 1] < 0.5
    made[middle] = _medians(values, first[middle], number[middle])
    rest = np.flatnonzero(~chosen[stream.pixel])
    place = np.concatenate([stream.pixel[rest], owner])
    sorting = np.argsort(place, kind="stable")
    table = stream.table
    if table is not None:
        orbit = (drawn[owner, 2] < 0.5).astype(np.intp)
        table = np.concatenate([table[rest], orbit])[sorting]
    return Stream(
        np.concatenate([stream.values.take(rest, axis=0).astype(np.float32), made]).take(sorting, axis=0),
        np.concatenate([stream.day[rest], _STARTS[cells % 12] + np.int16(15)])[sorting],
        table,
        np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(keys)))]).astype(np.int64),
    )


def _medians(values: NDArray[np.float32], first: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.float32]:
    """(cells, C) medians of runs of rows."""
    if not number.size:
        return np.empty((0, values.shape[1]), dtype=np.float32)
    slots = np.arange(number.max())
    there = slots < number[:, None]
    padded = values.take(np.where(there, first[:, None] + slots, 0), axis=0)
    padded[~there] = np.inf
    padded.sort(axis=1)
    cell = np.arange(len(number))
    out: NDArray[np.float32] = (padded[cell, (number - 1) // 2] + padded[cell, number // 2]) * np.float32(0.5)
    return out
