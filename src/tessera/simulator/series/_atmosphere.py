"""From surface to image: air, haze, cirrus, cloud, shadow and noise; or reflectance at the top of the atmosphere.

Rayleigh depths: Frohlich and Shaw 1980; single scattering with a plain correction for what is scattered back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.cubes import S2_BANDS

from ._bands import CENTRES, at_bands
from ._draws import gaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._calendar import ObservationPlan, Passes
    from ._draws import Draws

    Floats = NDArray[np.float64]

_RAYLEIGH = 0.00864 * (CENTRES / 1000) ** -(3.916 + 0.074 * CENTRES / 1000 + 0.05 / (CENTRES / 1000))
"""Optical depth of clear air at sea level (Frohlich and Shaw 1980)."""
_GAS = at_bands(
    {
        492: 0.985,
        560: 0.945,
        665: 0.965,
        704: 0.97,
        740: 0.965,
        783: 0.98,
        833: 0.965,
        865: 0.99,
        1614: 0.975,
        2202: 0.94,
    }
)
"""Two-way transmittance of ozone, water vapour and other gases at a middling path."""
_CLOUD = at_bands({492: 0.62, 560: 0.62, 665: 0.63, 865: 0.67, 1614: 0.45, 2202: 0.34})
_GREEN = at_bands({492: 0.03, 560: 0.06, 665: 0.04, 704: 0.10, 740: 0.24, 783: 0.33, 865: 0.38, 1614: 0.17, 2202: 0.08})
_BARE = at_bands({492: 0.07, 560: 0.10, 665: 0.13, 783: 0.18, 865: 0.20, 1614: 0.27, 2202: 0.22})
"""Spectra of surroundings."""
_TWENTY_METRES = np.array([band not in {"B02", "B03", "B04", "B08"} for band in S2_BANDS])
_TWENTY = np.array([band in {"B05", "B06", "B07", "B11", "B12"} for band in S2_BANDS])
_CIRRUS = at_bands({492: 0.11, 560: 0.10, 665: 0.09, 865: 0.065, 1614: 0.03, 2202: 0.02})


def seen(draws: Draws, plan: ObservationPlan, passes: Passes, surface: Floats, sun: Floats) -> Floats:
    """Reflectance (M, 10) in the image, not rounded, from `surface` (M, 10) and `sun` zenith (degrees)."""
    p, slot = passes.pixel, passes.slot
    uniform = draws.at("sky", p, slot, 8)
    normal = gaussian(draws.at("noise", p, slot, 14))
    out = surface.copy()
    out = _with_neighbours(draws, passes, out)
    # clouds and shadows that the mask missed
    often = draws.between("missed", 0.0, 0.07)[p] * np.where(plan.best[p], 1.6, 1.0)
    bad = uniform[:, 0] < often
    opaque = np.where(bad & (uniform[:, 1] < 0.45), 0.05 + 0.7 * uniform[:, 2] ** 2, 0.0)[:, None]
    shadow = np.where(bad & (uniform[:, 1] > 0.65), 0.15 + 0.5 * uniform[:, 2], 0.0)[:, None]
    out *= 1 - shadow * np.where(CENTRES < 600, 0.85, 1.0)
    out = (1 - opaque) * out + opaque * _CLOUD * (0.8 + 0.4 * uniform[:, [3]])
    veil = np.where(uniform[:, 4] < 0.07, uniform[:, 5] ** 1.5, 0.0)[:, None]
    out += veil * _CIRRUS * 0.5
    spectral = (CENTRES / 560) ** -draws.between("angstrom", 0.7, 1.7)[p][:, None]
    top = plan.top[p]
    if top.any():
        out[top] = _top(draws, p[top], out[top], sun[top], uniform[top, 3], spectral[top])
    # aerosol that the correction left, or removed too much of
    error = (
        0.014 * normal[:, [10]] * draws.between("aerosol error", 0.1, 1.0)[p][:, None]
        + 0.007 * draws.normal("bias")[p][:, None]
    )
    out += np.where(top[:, None], 0.0, error * spectral * (0.35 - out))
    own = 1 + 0.02 * draws.normal("calibration", 10)[p]
    scale = own + 0.012 * normal[:, [11]] + 0.008 * normal[:, :10]
    out = out * scale + 0.0015 * normal[:, [12]]
    # a known fault of composites: 20 m bands resampled with their mark of no data, 6.5535
    faulty = plan.no_b8a[p] & (uniform[:, 6] < 0.012)
    part = np.where(uniform[:, 7] < 0.6, 0.19, np.where(uniform[:, 7] < 0.75, 0.37, 0.75))[:, None]
    out = np.where(faulty[:, None] & _TWENTY, (1 - part) * out + part * 6.5535, out)
    same = plan.no_b8a[p]
    out[same, S2_BANDS.index("B8A")] = out[same, S2_BANDS.index("B08")]
    return np.asarray(np.clip(out, 0.0001, 6.5))


def _with_neighbours(draws: Draws, passes: Passes, surface: Floats) -> Floats:
    """Light from around the pixel: more at 20 m, most at the edge of a field, whose neighbour has its own year."""
    p = passes.pixel
    phase = 2 * np.pi * (passes.day / 365 - draws.uniform("neighbour phase")[p])
    leafy = draws.uniform("leafy around")[p] + draws.between("neighbour swing", 0.0, 0.6)[p] * np.sin(phase)
    leafy = np.clip(leafy, 0, 1)[:, None]
    bright = np.exp(0.25 * draws.normal("neighbour bright"))[p][:, None]
    around = bright * (leafy * _GREEN + (1 - leafy) * _BARE)
    blur = draws.between("adjacency", 0.0, 0.06)
    edge = draws.uniform("edge share") * np.where(draws.chance("edge", 0.35), 0.5, 0.08)
    share = np.where(_TWENTY_METRES, (blur + edge)[p][:, None], blur[p][:, None])
    return (1 - share) * surface + share * around


def _top(
    draws: Draws, pixel: NDArray[np.int64], surface: Floats, sun: Floats, haze: Floats, spectral: Floats
) -> Floats:
    """Reflectance at the top of the atmosphere, where no correction was made."""
    cosine = np.cos(np.deg2rad(sun))[:, None]
    air = 1 / cosine + 1
    depth = np.exp(-draws.between("height of land", 0.0, 0.35))[pixel][:, None] * _RAYLEIGH
    aerosol = (0.03 + draws.between("aerosol", 0.02, 0.22)[pixel] * -np.log(haze + 1e-6) * 0.6).clip(0, 1.2)[
        :, None
    ] * spectral
    # scattering angle between the sun's ray and a view from overhead
    rayleigh_phase = 0.75 * (1 + cosine**2)
    path = (depth * rayleigh_phase + 0.9 * aerosol * 0.28) / (4 * cosine)
    path = path * (1 + 1.2 * depth)  # light that is scattered twice
    through = np.exp(-(0.5 * depth + 0.17 * aerosol) * air)
    back = 0.5 * depth + 0.12 * aerosol
    return np.asarray(_GAS ** (air / 2.5) * (path + through * surface / (1 - np.clip(back, 0, 0.4) * surface)))
