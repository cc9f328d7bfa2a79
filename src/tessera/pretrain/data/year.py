"""A pixel's whole year as curves and monthly means: targets to predict from a view of a few observations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.cubes import PixelSeries


ORDERS = 3
"""Waves a year: the third distinguishes a double crop, or a cut, from one season."""
_LEAST = 4
"""Fewest observations for a curve of `ORDERS` waves."""
_STIFF = 0.1 / 6
"""Ridge on wave j is _STIFF * j^2 times the observations, so that curves do not overshoot in a month without any."""
_ROWS = 512
_RED, _NIR, _EDGE, _SWIR16, _SWIR22 = 0, 3, 5, 8, 9
_DAYS = 365.25


def year_curves(series: PixelSeries, orders: int = ORDERS) -> NDArray[np.float32]:
    """Harmonic curves of bands, backscatter and five indices over the year, by ridge least squares.

    Parameters
    ----------
    series : N pixel-years
    orders : waves a year, J

    Returns
    -------
    (N, 17 * (1 + 2 J)) float32: mean, cosines and sines of 10 bands (reflectance), of VV and VH (scaled dB / 10000)
    and of the normalised differences of near infrared with red, swir16 and swir22, of red edge with red, of swir16 with
    swir22. NaN where a pixel has fewer than 4 observations of the sensor.

    Raises
    ------
    InputError
        `orders` is below 1.
    """
    if orders < 1:
        raise InputError(f"{orders} waves a year; expected at least 1")
    parts = [
        _curves(series.take(np.arange(start, min(start + _ROWS, len(series)))), orders)
        for start in range(0, len(series), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 17 * (1 + 2 * orders)), dtype=np.float32)


def month_means(series: PixelSeries) -> NDArray[np.float32]:
    """Mean of each month of bands and backscatter.

    Parameters
    ----------
    series : N pixel-years

    Returns
    -------
    (N, 144) float32: twelve months of each of 10 bands (reflectance), VV and VH (scaled dB / 10000). NaN for a month
    without observations of the sensor. Months are twelfths of 366 days.
    """
    parts = []
    for values, days, counts in (
        (series.s2, series.s2_day, series.s2_count),
        (series.s1, series.s1_day, series.s1_count),
    ):
        cells = 12 * len(series)
        cell = np.repeat(np.arange(len(series)), counts) * 12 + (days.astype(np.int64) - 1) * 12 // 366
        number = np.bincount(cell, minlength=cells)
        for band in values.T:
            total = np.bincount(cell, weights=band.astype(np.float64), minlength=cells)
            mean = np.full(cells, np.nan)
            np.divide(total, 1e4 * number, out=mean, where=number > 0)
            parts.append(mean.reshape(len(series), 12))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _curves(series: PixelSeries, orders: int) -> NDArray[np.float32]:
    bands = series.s2.astype(np.float64)
    pairs = ((_NIR, _RED), (_NIR, _SWIR16), (_NIR, _SWIR22), (_EDGE, _RED), (_SWIR16, _SWIR22))
    # one DN more in each, so that black surfaces cause no division by zero
    indices = [(bands[:, a] - bands[:, b]) / (bands[:, a] + bands[:, b] + 2) for a, b in pairs]
    optical = np.column_stack([bands / 1e4, *indices])
    radar = series.s1.astype(np.float64) / 1e4
    fits = (
        _fit(optical, series.s2_day, series.s2_offsets, orders),
        _fit(radar, series.s1_day, series.s1_offsets, orders),
    )
    return np.concatenate([fit.reshape(len(series), -1) for fit in fits], axis=1).astype(np.float32)


def _fit(
    values: NDArray[np.float64], days: NDArray[np.int16], offsets: NDArray[np.int64], orders: int
) -> NDArray[np.float64]:
    """(M, C) observations of N pixels to (N, 1 + 2 J, C)."""
    counts = np.diff(offsets)
    pixel = np.repeat(np.arange(len(counts)), counts)
    angle = 2 * np.pi * np.outer(days.astype(np.float64) / _DAYS, np.arange(1, orders + 1))
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(values), 2 * orders)
    basis = np.column_stack([np.ones(len(values)), waves])
    size = basis.shape[1]
    gram, wanted = np.zeros((len(counts), size, size)), np.zeros((len(counts), size, values.shape[1]))
    np.add.at(gram, pixel, basis[:, :, None] * basis[:, None, :])
    np.add.at(wanted, pixel, basis[:, :, None] * values[:, None, :])
    stiff = np.concatenate([[1e-4], np.repeat(_STIFF * np.arange(1, orders + 1) ** 2, 2)])
    gram += np.diag(stiff) * np.maximum(counts, 1)[:, None, None]
    fitted = np.asarray(np.linalg.solve(gram, wanted), dtype=np.float64)
    fitted[counts < _LEAST] = np.nan
    return fitted
