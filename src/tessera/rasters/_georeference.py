"""Where a GeoTIFF lies: EPSG code and grid, from its own fields (OGC GeoTIFF 1.1, 19-008r4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tessera.net import CorruptError, PermanentError

_MODEL, _RASTER, _GEOGRAPHIC, _PROJECTED = 1024, 1025, 2048, 3072
_POINT = 2
"""Raster type of a file whose tie points name centres of pixels."""
_USER = 32767


@dataclass(frozen=True)
class Georeference:
    """A grid that is north up."""

    epsg: int  # code of the CRS
    left: float  # left, top: of the first pixel's corner
    top: float
    dx: float  # dx, dy: sides of a pixel, both positive
    dy: float

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """As an affine transform has it: (dx, 0, left, 0, -dy, top)."""
        return self.dx, 0.0, self.left, 0.0, -self.dy, self.top

    def moved(self, columns: int, rows: int) -> Georeference:
        """The grid without its first columns and rows."""
        return Georeference(self.epsg, self.left + columns * self.dx, self.top - rows * self.dy, self.dx, self.dy)


def parse_georeference(
    name: str,
    scale: tuple[float, ...],
    tiepoint: tuple[float, ...],
    matrix: tuple[float, ...],
    keys: tuple[int, ...],
) -> Georeference:
    """Read ModelPixelScale, ModelTiepoint, ModelTransformation (empty where absent) and GeoKeyDirectory as GDAL does.

    `PermanentError`: there is no CRS with an EPSG code, or the grid is not north up.
    """
    known = _geo_keys(name, keys)
    epsg = known.get(_PROJECTED, known.get(_GEOGRAPHIC, 0) if known.get(_MODEL) == 2 else 0)
    if not 1024 <= epsg < _USER:
        raise PermanentError(f"{name} has no CRS with an EPSG code; expected a GeoTIFF in one")
    if len(scale) >= 2 and len(tiepoint) >= 6:
        # the sign of the second side says nothing: GDAL takes it as north up
        dx, dy = scale[0], abs(scale[1])
        left, top = tiepoint[3] - tiepoint[0] * dx, tiepoint[4] + tiepoint[1] * dy
    elif len(matrix) == 16:
        if matrix[1] != 0 or matrix[4] != 0:
            raise PermanentError(f"{name} has a rotated grid; expected one that is north up")
        dx, dy, left, top = matrix[0], -matrix[5], matrix[3], matrix[7]
    else:
        raise PermanentError(f"{name} does not say where its grid lies; expected a GeoTIFF that is north up")
    if not all(map(math.isfinite, (dx, dy, left, top))):
        raise CorruptError(f"{name} is damaged: its grid has sides of {dx} x {dy} at {left}, {top}")
    if dx <= 0 or dy <= 0:
        raise PermanentError(f"{name} has pixels of {dx:g} x {dy:g}; expected a grid that is north up")
    if known.get(_RASTER) == _POINT:
        left, top = left - 0.5 * dx, top + 0.5 * dy
    return Georeference(epsg, left, top, dx, dy)


def _geo_keys(name: str, keys: tuple[int, ...]) -> dict[int, int]:
    """Keys whose value stands in the directory itself."""
    if not keys:
        return {}
    if len(keys) < 4 or len(keys) < 4 + 4 * keys[3]:
        raise CorruptError(f"{name} is damaged: its GeoKeyDirectory has {len(keys)} numbers")
    rows = [keys[i : i + 4] for i in range(4, 4 + 4 * keys[3], 4)]
    return {key: value for key, where, _, value in rows if where == 0}
