"""Reflectance of surfaces without plants: soils, litter, water, snow, roofs and roads, salt and char.

Smooth spectra of our own through a few knots, in the range of published spectral libraries, varied at random.
Water follows a two-term bio-optical model: absorption of pure water (Pope and Fry 1997; Kou et al. 1993), chlorophyll,
dissolved matter and sediment against their backscatter, with reflectance 0.33 bb / (a + bb) below the surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._bands import CENTRES, at_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._draws import Draws
    from ._growth import Land

    Floats = NDArray[np.float64]

_STRAW = at_bands(
    {450: 0.10, 492: 0.13, 560: 0.20, 665: 0.28, 704: 0.31, 740: 0.34, 783: 0.37, 865: 0.40, 1614: 0.43, 2202: 0.30}
)
_LITTER = at_bands(
    {450: 0.04, 492: 0.05, 560: 0.08, 665: 0.13, 704: 0.16, 740: 0.20, 783: 0.23, 865: 0.27, 1614: 0.33, 2202: 0.20}
)
_CHAR = at_bands({450: 0.025, 560: 0.03, 665: 0.035, 783: 0.045, 865: 0.05, 1614: 0.10, 2202: 0.105})
_SALT = at_bands({450: 0.42, 560: 0.50, 665: 0.55, 783: 0.57, 865: 0.57, 1614: 0.42, 2202: 0.28})
_ASPHALT = at_bands({450: 0.08, 560: 0.095, 665: 0.105, 865: 0.125, 1614: 0.16, 2202: 0.155})
_CONCRETE = at_bands({450: 0.20, 560: 0.25, 665: 0.28, 865: 0.31, 1614: 0.34, 2202: 0.31})
_TILES = at_bands({450: 0.07, 492: 0.08, 560: 0.12, 665: 0.24, 704: 0.27, 865: 0.32, 1614: 0.42, 2202: 0.38})
_METAL = at_bands({450: 0.42, 560: 0.44, 865: 0.42, 1614: 0.40, 2202: 0.36})
_BUILT = np.stack([_ASPHALT, _CONCRETE, _TILES, 0.8 * _METAL])
_WATER_ABSORPTION = at_bands(
    {492: 0.017, 560: 0.062, 665: 0.43, 704: 0.72, 740: 2.5, 783: 2.3, 833: 3.4, 865: 4.6, 1614: 650.0, 2202: 2000.0}
)
"""Absorption of pure water, 1/m."""
_CHLOROPHYLL = at_bands(
    {450: 0.035, 492: 0.025, 560: 0.007, 640: 0.008, 665: 0.017, 690: 0.007, 704: 0.001, 740: 0.0, 2202: 0.0}
)
"""Specific absorption of algae, m2/mg."""
_SNOW = {
    "fine": at_bands({450: 0.97, 665: 0.96, 783: 0.93, 865: 0.91, 1614: 0.16, 2202: 0.15}),
    "coarse": at_bands({450: 0.93, 665: 0.90, 783: 0.80, 865: 0.74, 1614: 0.02, 2202: 0.02}),
}
_NEAR = np.clip((CENTRES - 650) / 350, -1.0, 1.0)
_FAR = np.where(CENTRES > 1500, 1.0, 0.0)
_CLAY = np.where(CENTRES > 2000, 1.0, 0.0)
_IRON = np.exp(-(((CENTRES - 520) / 70) ** 2)) + 0.5 * np.exp(-(((CENTRES - 880) / 60) ** 2))
"""Shapes along which soils differ: slope, short-wave infrared, clay, iron oxides."""


@dataclass(frozen=True)
class Ground:
    """Reflectance (n, 10) of the surfaces without plants of each pixel-year."""

    dry_soil: Floats
    wet_share: Floats
    straw: Floats
    litter: Floats
    built: Floats
    salt: Floats
    char: Floats
    water: Floats
    shallow_water: Floats
    snow: Floats
    flower: Floats


def make_ground(draws: Draws, land: Land, dry_soil: Floats, wet_soil: Floats) -> Ground:
    """Random surfaces of a block; `dry_soil` and `wet_soil` (10,) are the canopy package's."""

    def varied(name: str, spectrum: Floats, spread: float) -> Floats:
        tilt = spread * 0.5 * draws.normal(f"{name} tilt")[:, None] * _NEAR
        return spectrum * np.exp(
            spread * draws.normal(f"{name} spectrum")[:, None]
            + tilt
            + 0.08 * draws.normal(f"{name} swir")[:, None] * _FAR
        )

    # the package's two soils are ends of one line: a share of the dark one flattens the bright one
    dark = draws.between("dark soil", 0.0, 0.55)[:, None]
    soil = (1 - dark) * dry_soil + dark * wet_soil * (dry_soil.mean() / wet_soil.mean()) * 0.8
    shape = (
        0.16 * draws.normal("soil slope")[:, None] * _NEAR
        + 0.17 * draws.normal("soil swir")[:, None] * _FAR
        + (0.13 * draws.normal("soil clay") - 0.04)[:, None] * _CLAY
        - np.maximum(0.35 * draws.normal("soil iron") + 0.15, 0.0)[:, None] * _IRON
    )
    soil = soil * np.exp(shape) * land.value["bright"][:, None]
    parts = draws.uniform("built parts", 4) ** 2
    parts /= parts.sum(axis=1, keepdims=True)
    built = varied("built", (parts[:, :, None] * _BUILT).sum(axis=1), 0.25)
    grain = draws.uniform("grain")[:, None]
    dirt = np.exp(-draws.between("dirt", 0.0, 0.5)[:, None] * (CENTRES < 1500) * (1000 / CENTRES) ** 0.7 / 1.6)
    flower = np.where(CENTRES < 540, 0.07, np.where(CENTRES < 1000, 0.42, 0.25))
    return Ground(
        dry_soil=np.clip(soil, 0.01, 0.75),
        wet_share=draws.between("wet darkening", 0.3, 0.6)[:, None] * np.where(CENTRES > 1500, 1.25, 1.0),
        straw=varied("straw", _STRAW, 0.16),
        litter=varied("litter", _LITTER, 0.25),
        built=np.clip(built, 0.02, 0.9),
        salt=varied("salt", _SALT, 0.2),
        char=varied("char", _CHAR, 0.25),
        water=_water(draws, "deep water", 0.0),
        shallow_water=_water(draws, "flood water", 0.25),
        snow=np.clip(((1 - grain) * _SNOW["fine"] + grain * _SNOW["coarse"]) * dirt, 0.005, 1.0),
        flower=np.repeat(flower[None], len(draws), axis=0),
    )


def _water(draws: Draws, name: str, shallow: float) -> Floats:
    """Reflectance of clear to turbid and green water; where `shallow`, some light comes from the bottom."""
    mud = 10 ** draws.between(f"{name} mud", -1.2, 2.1)[:, None]
    algae = 10 ** draws.between(f"{name} algae", -0.8, 1.9)[:, None]
    brown = 10 ** draws.between(f"{name} brown", -1.5, 0.8)[:, None]
    absorbed = (
        _WATER_ABSORPTION
        + algae * _CHLOROPHYLL
        + brown * np.exp(-0.014 * (CENTRES - 440))
        + 0.03 * mud * np.exp(-0.012 * (CENTRES - 440))
    )
    scattered = 0.0015 * (500 / CENTRES) ** 4 + 0.012 * mud * (550 / CENTRES) ** 0.7 + 0.003 * algae
    below = 0.33 * scattered / (absorbed + scattered)
    bottom = (
        shallow
        * draws.uniform(f"{name} bottom")[:, None]
        * 0.2
        * np.exp(-2 * draws.between(f"{name} depth", 0.05, 0.6)[:, None] * (absorbed + scattered))
    )
    glint = 0.025 * draws.uniform(f"{name} glint")[:, None] ** 2
    return np.asarray(0.54 * np.pi * 0.55 * below / (1 - 0.48 * below) + bottom + glint)
