"""Area of each class in hectares with its interval, from a map and a probability sample of reference labels.

The pixels of a class on a map are not its area: what the map misses and what it adds seldom balance. The stratified
estimator (Olofsson et al. 2014, doi:10.1016/j.rse.2014.02.015) corrects them by the sample. It is computed in the ratio
form of Stehman 2014 (doi:10.1080/01431161.2014.930207), which also holds where the strata are not the classes of the
map, and is the same where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DESIGNS = ("random", "stratified")
"""Samples from which areas can be estimated: simple random, or random within strata."""
PIXEL_HA = 0.01
_Z = 1.959963984540054
"""Standard errors to each side that hold 95 % of a normal distribution."""
_FEW = 10
_ROUNDING = 1e-6
NOT_A_SAMPLE = (
    "pixel counts, not estimates of area: the labels are no probability sample of the mapped area, so nothing says how "
    "far map errors balance; draw random points (within map classes) and label them for areas with intervals"
)


@dataclass(frozen=True, repr=False)
class AreaEstimate:
    """Areas and accuracies of the K classes of a map.

    Attributes
    ----------
    classes : names
    mapped : (K,) hectares, pixels on the map
    area, area_error : (K,) hectares, estimated area and its standard error; without a probability sample the mapped
        area, and NaN
    users, users_error : (K,) user's accuracy (share of the mapped class that is it) and its standard error; NaN where
        unknown
    producers, producers_error : (K,) producer's accuracy (share of the class that is mapped as it), standard error
    overall, overall_error : share of the area that is mapped right, standard error
    matrix : (K, K) share of the whole area, rows the map, columns the reference
    design : "random", "stratified", or None where the labels are no probability sample
    labels : reference labels
    notes : what to know
    """

    classes: tuple[str, ...]
    mapped: NDArray[np.float64]
    area: NDArray[np.float64]
    area_error: NDArray[np.float64]
    users: NDArray[np.float64]
    users_error: NDArray[np.float64]
    producers: NDArray[np.float64]
    producers_error: NDArray[np.float64]
    overall: float
    overall_error: float
    matrix: NDArray[np.float64]
    design: str | None
    labels: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        how = f"{self.labels} labels, {self.design}" if self.design else "pixel counts"
        return f"AreaEstimate({len(self.classes)} classes, {self.mapped.sum():,.0f} ha, {how})"

    def to_json(self) -> dict[str, Any]:
        """Plain values: each estimate as [value, low, high] at 95 %, hectares or shares.

        Labels of which none is wrong do not tell how an estimate varies: it then has no interval and no standard error.
        """
        whole = float(self.mapped.sum())
        rows = [
            {
                "name": name,
                "mapped": float(self.mapped[index]),
                "area": _cell(self.area[index], self.area_error[index], whole),
                "standard_error": _plain(self.area_error[index])
                if varies(self.area[index], self.area_error[index])
                else None,
                "users": _cell(self.users[index], self.users_error[index], 1.0),
                "producers": _cell(self.producers[index], self.producers_error[index], 1.0),
            }
            for index, name in enumerate(self.classes)
        ]
        overall = _cell(self.overall, self.overall_error, 1.0)
        about = {"design": self.design, "labels": self.labels, "hectares": whole, "overall": overall}
        return {**about, "classes": rows, "notes": list(self.notes)}


def count_areas(pixels: Sequence[int], classes: Sequence[str], *, pixel_ha: float = PIXEL_HA) -> AreaEstimate:
    """The area of each class by its pixels alone, with a warning.

    Parameters
    ----------
    pixels : of each class on the map
    classes : K names
    pixel_ha : hectares of a pixel
    """
    mapped = _pixels(pixels, classes) * pixel_ha
    none = np.full(len(mapped), np.nan)
    matrix = np.full((len(mapped), len(mapped)), np.nan)
    parts = (none, none, none, none, none)
    return AreaEstimate(tuple(classes), mapped, mapped, *parts, math.nan, math.nan, matrix, None, 0, (NOT_A_SAMPLE,))


def estimate_areas(
    mapped: NDArray[np.int64],
    reference: NDArray[np.int64],
    pixels: Sequence[int],
    classes: Sequence[str],
    *,
    design: str = "stratified",
    strata: NDArray[np.int64] | None = None,
    strata_pixels: Sequence[int] | None = None,
    pixel_ha: float = PIXEL_HA,
) -> AreaEstimate:
    """Estimate the area of each class from a map and a probability sample of reference labels.

    A simple random sample is stratified afterwards by what the map shows (Olofsson et al. 2014, section 4.2).

    Parameters
    ----------
    mapped : (n,) int64, class that the map shows at each sampled pixel, 0 to K - 1
    reference : (n,) int64, its true class
    pixels : of each class on the map
    classes : K names
    design : "random", or "stratified": random within strata
    strata : (n,) int64, 0 to H - 1, if the strata of the sample are not the classes of the map
    strata_pixels : pixels of each of the H strata
    pixel_ha : hectares of a pixel

    Raises
    ------
    InputError
        Arrays of different lengths, classes that do not exist, or strata without their pixels.
    """
    if design not in DESIGNS:
        raise InputError(f"design {shown(design)}; expected one of {', '.join(DESIGNS)}")
    if (strata is None) != (strata_pixels is None):
        raise InputError("strata without their pixels, or pixels without strata; expected both or neither")
    count = len(classes)
    sizes = _pixels(pixels, classes)
    stratum, weights = (mapped, sizes) if strata is None else (strata, np.asarray(strata_pixels, dtype=np.float64))
    given = ((mapped, count, "map"), (reference, count, "reference"), (stratum, len(weights), "strata"))
    for values, most, what in given:
        if values.shape != (len(mapped),) or values.dtype.kind not in "iu" or not len(values):
            raise InputError(
                f"{what} {values.dtype} {values.shape}; expected whole numbers ({len(mapped)},), not empty"
            )
        if values.min() < 0 or values.max() >= most:
            raise InputError(f"{what} with values outside 0 to {most - 1}")
    table = np.zeros((len(weights), count, count))
    np.add.at(table, (stratum, mapped, reference), 1)
    return _estimate(table, sizes * pixel_ha, weights * pixel_ha, tuple(classes), design, own=strata is None)


def areas_of_confusion(
    counts: NDArray[np.int64],
    pixels: Sequence[int],
    classes: Sequence[str],
    *,
    design: str = "stratified",
    pixel_ha: float = PIXEL_HA,
) -> AreaEstimate:
    """`estimate_areas` from a confusion matrix of a sample whose strata are the classes of the map.

    Parameters
    ----------
    counts : (K, K), rows the truth and columns the map, as `confusion` returns it
    pixels, classes, design, pixel_ha : as `estimate_areas` takes them
    """
    counts = np.asarray(counts)
    if counts.shape != (len(classes), len(classes)):
        raise InputError(f"confusion of shape {counts.shape}; expected {len(classes)} classes")
    truth, mapped = np.divmod(np.repeat(np.arange(counts.size), counts.reshape(-1)), len(classes))
    return estimate_areas(mapped, truth, pixels, classes, design=design, pixel_ha=pixel_ha)


def _estimate(
    table: NDArray[np.float64],
    mapped: NDArray[np.float64],
    sizes: NDArray[np.float64],
    classes: tuple[str, ...],
    design: str,
    *,
    own: bool,
) -> AreaEstimate:
    """From the labels of each stratum, map class and reference class, (H, K, K), and the area of each stratum."""
    often = table.sum(axis=(1, 2))
    flawless = np.einsum("hkk->h", table) == often
    notes = _notes(often, sizes, classes, flawless & (often > 0), own=own)
    unseen = (often == 0) & (sizes > 0)
    if own:
        # nothing is known of it but what the map says
        table = table.copy()
        for index in np.flatnonzero(unseen):
            table[index, index, index] = 1
    elif unseen.any():
        numbers = ", ".join(map(str, np.flatnonzero(unseen)))
        raise InputError(f"no label in stratum {numbers}; expected at least two of each")
    share = table / np.maximum(table.sum(axis=(1, 2)), 1)[:, None, None]
    total = float(sizes.sum())
    matrix = np.tensordot(sizes, share, axes=1) / total
    right = np.einsum("hkk->hk", share)
    by_map, by_reference = share.sum(axis=2), share.sum(axis=1)
    count = np.where(unseen & own, np.inf, np.maximum(often, 1))

    def variance(y: NDArray[np.float64], x: NDArray[np.float64], both: NDArray[np.float64], ratio: Any) -> Any:
        """Of the sum of y - ratio x over the area, y and x being 0 or 1 with these means, and `both` that of y x."""
        spread = y * (1 - y) + ratio**2 * x * (1 - x) - 2 * ratio * (both - y * x)
        # of one label the spread is not known: the most that it can be
        spread = np.where((often == 1)[:, None] & (x + y > 0), 0.25, spread)
        step = np.where(count > 1, count - 1, 1)[:, None]
        return (sizes[:, None] ** 2 * np.maximum(spread, 0) / step).sum(axis=0)

    none = np.zeros_like(by_map)
    area = sizes @ by_reference
    area_error = np.sqrt(variance(by_reference, none, none, 0.0))
    ratios = []
    for other in (by_map, by_reference):
        whole = sizes @ other
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(whole > 0, (sizes @ right) / whole, np.nan)
            # a label that is right is of the class both on the map and in the reference
            error = np.sqrt(variance(right, other, right, np.nan_to_num(ratio))) / whole
        ratios += [ratio, np.where(whole > 0, error, np.nan)]
    correct = right.sum(axis=1, keepdims=True)
    overall_error = float(np.sqrt(variance(correct, correct * 0, correct * 0, 0.0))[0]) / total
    return AreaEstimate(
        classes,
        mapped,
        area,
        area_error,
        ratios[0],
        ratios[1],
        ratios[2],
        ratios[3],
        float(sizes @ correct[:, 0]) / total,
        overall_error,
        matrix,
        design,
        int(often.sum()),
        notes,
    )


def _notes(
    often: NDArray[np.float64],
    sizes: NDArray[np.float64],
    classes: tuple[str, ...],
    flawless: NDArray[np.bool_],
    *,
    own: bool,
) -> tuple[str, ...]:
    names = classes if own else tuple(f"stratum {index}" for index in range(len(sizes)))

    def listed(which: NDArray[np.bool_]) -> str:
        return ", ".join(names[index] for index in np.flatnonzero(which))

    notes = []
    unseen = (often == 0) & (sizes > 0)
    few = (often > 0) & (often < _FEW) & (sizes > 0)
    if unseen.any():
        notes.append(f"no label where the map shows {listed(unseen)}: the map is taken to be right there")
    if few.any():
        notes.append(f"fewer than {_FEW} labels of {listed(few)}: the intervals are rough")
    for index in np.flatnonzero(flawless & ~few & (sizes > 0)):
        # the rule of three: none of n leaves at most 3 / n at 95 %
        most = 3 / often[index]
        notes.append(
            f"none of {int(often[index])} labels of {names[index]} is wrong: no interval can be estimated from them, "
            f"and up to {most:.0%} of it may be wrong (95 %)"
        )
    return tuple(notes)


def _pixels(pixels: Sequence[int], classes: Sequence[str]) -> NDArray[np.float64]:
    counts = np.asarray(pixels, dtype=np.float64)
    if counts.shape != (len(classes),) or not np.isfinite(counts).all() or (counts < 0).any() or not counts.sum() > 0:
        raise InputError(f"pixels {shown(str(list(pixels)))}; expected {len(classes)} counts, some above 0")
    return counts


def varies(value: Any, error: Any) -> bool:
    """Whether a standard error says how an estimate varies: one of 0, up to rounding, does not."""
    return bool(math.isfinite(error) and error > _ROUNDING * abs(value))


def _cell(value: Any, error: Any, most: float) -> list[float | None]:
    low, high = max(0.0, value - _Z * error), min(most, value + _Z * error)
    return [_plain(value), *((_plain(low), _plain(high)) if varies(value, error) else (None, None))]


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
