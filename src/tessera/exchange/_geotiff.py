"""Regions as cloud-optimised GeoTIFFs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tessera.base import TesseraError
from tessera.rasters import RasterProfile, every_second, mean_of_valid, write_cog

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ._strips import Strips

_TILE = 256
"""Side of a tile of up to 16 bands, pixels."""
_MANY_TILE = 128
"""Side of a tile of more bands, which lie together in it: 8 MB of 128 float32."""


def overview_bytes(size: int) -> int:
    """Bytes of overviews of a raster of `size` bytes, at most: each has a quarter of the pixels of the one before."""
    return size * 2 // 5


def write_geotiffs(strips: Strips, files: list[Path], target: Path) -> None:
    """Write a file a year, and read it back; with codes, and scales beside them, where the strips are quantised."""
    each = 2 if strips.quantised else 1
    # codes mean nothing without their own scale, so that both take the same pixel
    reduce = every_second if strips.quantised else mean_of_valid
    tile = _TILE if strips.region.query.dims <= 16 else _MANY_TILE
    for number in range(len(strips.region.query.years)):
        for kind, file in enumerate(files[number * each : (number + 1) * each]):
            profile, read = _profile(strips, number, kind), partial(_bands, strips, number, kind)
            write_cog(file, profile, read, reduce, tile=tile, name=target)


def _bands(strips: Strips, year: int, kind: int, rows: range) -> NDArray[Any]:
    """(rows, width, bands) of one of a year's files: the values or codes, or the scales."""
    array = strips.read(year, rows)[kind]
    if array is None:
        raise TesseraError("no scales were read")
    return array[..., None] if array.ndim == 2 else array


def _profile(strips: Strips, year: int, kind: int) -> RasterProfile:
    """What a file holds."""
    query, target = strips.region.query, strips.region.target
    codes = strips.quantised and kind == 0
    model = {"TESSERA_MODEL": query.model.name, "TESSERA_SHA256": query.model.sha256}
    names = ("scale",) if kind == 1 else tuple(f"e{band}" for band in range(query.dims))
    return RasterProfile(
        (target.height, target.width, len(names)),
        "int8" if codes else "float32",
        target.crs,
        target.transform,
        nodata=None if codes else float("nan"),
        tags={"TESSERA_YEAR": str(query.years[year]), **model},
        names=names,
    )
