"""A raster grid: a CRS, an affine transform and a shape; on the lattice or not."""

from __future__ import annotations

from dataclasses import dataclass

from tessera.base import InputError

Affine6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Grid:
    """Pixels of a raster.

    Attributes
    ----------
    crs : "EPSG:<code>" or WKT. Southern UTM (EPSG:327NN) becomes northern UTM with negative northings
    transform : (a, b, c, d, e, f) with x = a*col + b*row + c and y = d*col + e*row + f, in units of the CRS
    height, width : pixels
    """

    crs: str
    transform: Affine6
    height: int
    width: int

    def __post_init__(self) -> None:
        if len(self.transform) != 6:
            raise InputError(f"transform of {len(self.transform)} numbers; expected six (a, b, c, d, e, f)")
        if self.height < 1 or self.width < 1:
            raise InputError(f"grid of {self.height} x {self.width} pixels; expected at least 1 x 1")
        a, b, c, d, e, f = (float(v) for v in self.transform)
        crs = self.crs
        if crs.upper().startswith("EPSG:327") and crs[8:].isdigit() and 1 <= int(crs[8:]) <= 60:
            crs, f = f"EPSG:326{crs[8:]}", f - 10_000_000.0
        object.__setattr__(self, "crs", crs)
        object.__setattr__(self, "transform", (a, b, c, d, e, f))

    def rows(self, start: int, stop: int) -> Grid:
        """The grid of rows start to stop (exclusive)."""
        return self.crop(start, stop, 0, self.width)

    def crop(self, row0: int, row1: int, col0: int, col1: int) -> Grid:
        """The grid of rows row0 to row1 and columns col0 to col1 (exclusive)."""
        a, b, c, d, e, f = self.transform
        shifted = (a, b, c + a * col0 + b * row0, d, e, f + d * col0 + e * row0)
        return Grid(self.crs, shifted, row1 - row0, col1 - col0)
