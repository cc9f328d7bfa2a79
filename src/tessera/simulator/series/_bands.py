"""Sentinel-2's bands as smooth-edged boxes at their published centres and widths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.cubes import S2_BANDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS = {
    "B02": (492.4, 66.0),
    "B03": (559.8, 36.0),
    "B04": (664.6, 31.0),
    "B05": (704.1, 15.0),
    "B06": (740.5, 15.0),
    "B07": (782.8, 20.0),
    "B08": (832.8, 106.0),
    "B8A": (864.7, 21.0),
    "B11": (1613.7, 91.0),
    "B12": (2202.4, 175.0),
}
"""Centre and width of Sentinel-2A's bands in nm (ESA, Sentinel-2 MSI technical guide)."""
CENTRES = np.array([BANDS[band][0] for band in S2_BANDS])
"""(10,) nm, in `S2_BANDS` order."""
GRID = np.arange(400, 2501)
"""Wavelengths of the leaf model's spectra, nm."""


def responses() -> NDArray[np.float64]:
    """(10, 2101) weights of each wavelength; each row sums to 1, and edges are a twentieth of the width."""
    rows = []
    for band in S2_BANDS:
        centre, width = BANDS[band]
        edge = width / 20
        left, right = GRID - (centre - width / 2), (centre + width / 2) - GRID
        row = 1 / (1 + np.exp(-np.clip(left / edge, -60, 60))) / (1 + np.exp(-np.clip(right / edge, -60, 60)))
        rows.append(row / row.sum())
    return np.stack(rows)


def at_bands(knots: dict[int, float]) -> NDArray[np.float64]:
    """(10,) values at the bands' centres of a curve through knots {nm: value}."""
    return np.asarray(np.interp(CENTRES, list(knots), list(knots.values())), dtype=np.float64)
