"""Pixels of one scene on a window of the lattice, through odc-stac."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require
from tessera.geo import to_lonlat, zone_crs

from ._assets import RESAMPLING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.geo import Window

    from ._catalogue import Scene

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF and BigTIFF."""
_FALSE_NORTHING = 10_000_000.0
"""Metres that southern UTM (EPSG:327NN) adds to northings."""
_TYPES = {"SCL": "uint8", "VV": "float32", "VH": "float32"}


class Reader:
    """Reads scenes onto one window."""

    def __init__(self, window: Window) -> None:
        require("rasterio", extra="scenes", purpose="reading scenes")
        require("odc.stac", extra="scenes", purpose="reading scenes")
        from affine import Affine
        from odc.geo.geobox import GeoBox

        self.zone = window.zone
        corner = Affine(*window.grid.transform)
        self.north = GeoBox(window.shape, corner, zone_crs(window.zone))
        # The same pixels as providers count them south of the equator; GDAL's way between the two is inexact.
        southern = Affine(corner.a, corner.b, corner.c, corner.d, corner.e, corner.f + _FALSE_NORTHING)
        self.south = GeoBox(window.shape, southern, f"EPSG:{32700 + window.zone}")
        left, bottom, right, top = window.bounds
        lon, lat = to_lonlat([left, right, right, left, left], [bottom, bottom, top, top, bottom], window.zone)
        self.ring = [[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]

    def read(self, scene: Scene, bands: Sequence[str]) -> NDArray[Any]:
        """Bands of a scene: (H, W, len(bands)), of one dtype; 0 (Sentinel-1: also NaN) where it has no data.

        Digital numbers are as stored: the offset comes off after resampling. Both orders agree unless a number below
        1001 takes part, since the weights add up to 1 and missing neighbours have none.

        Raises
        ------
        InputError
            An asset is missing, is not a GeoTIFF with a CRS, or cannot be read to its end.
        """
        from rasterio.errors import RasterioError

        codes = [_crs_of(scene, band, scene.files[band]) for band in bands]
        geobox = self.south if set(codes) == {32700 + self.zone} else self.north
        try:
            return self._load(scene, bands, geobox)
        except (RasterioError, OSError) as error:
            # One band at a time tells which file it was.
            for band in bands:
                try:
                    self._load(scene, [band], geobox)
                except (RasterioError, OSError) as reason:
                    raise InputError(
                        f"item {scene.id}, {band}: {scene.files[band].name} cannot be read: {reason}"
                    ) from None
            raise InputError(f"item {scene.id} cannot be read: {error}") from None

    def _load(self, scene: Scene, bands: Sequence[str], geobox: Any) -> NDArray[Any]:
        import odc.stac

        stack = odc.stac.load(
            [self._item(scene, bands)],
            bands=list(bands),
            geobox=geobox,
            resampling={band: RESAMPLING[band] for band in bands},
            groupby=None,
            fail_on_error=True,
        )
        return np.stack([np.asarray(stack[band].values[0]) for band in bands], axis=-1)

    def _item(self, scene: Scene, bands: Sequence[str]) -> Any:
        """An item of what is read, under the names used here.

        Its geometry is the window and it tells no grid, so that every file is opened and says itself where it lies:
        providers' proj:transform is not always right.
        """
        import pystac

        item = pystac.Item(
            id=scene.id,
            geometry={"type": "Polygon", "coordinates": [self.ring]},
            bbox=None,
            datetime=scene.moment,
            properties={},
            collection=scene.collection,
            stac_extensions=["https://stac-extensions.github.io/raster/v1.1.0/schema.json"],
        )
        for band in bands:
            about: dict[str, Any] = {"data_type": _TYPES.get(band, "uint16")}
            if band not in ("VV", "VH"):
                about["nodata"] = 0
            asset = pystac.Asset(
                href=str(scene.files[band]),
                media_type="image/tiff; application=geotiff",
                roles=["data"],
                extra_fields={"raster:bands": [about]},
            )
            item.add_asset(band, asset)
        return item


def _crs_of(scene: Scene, band: str, path: Path) -> int | None:
    """The EPSG code of a file's CRS, None where it has no code.

    Only TIFF is let through: other formats that GDAL opens may refer to further files or to the network.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    if path.exists() and not path.is_file():
        raise InputError(f"item {scene.id}, {band}: {path.name} is not a file; expected a GeoTIFF")
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be opened: {error.strerror}"
        raise InputError(f"item {scene.id}, {band}: {path.name} {reason}") from None
    if start not in _TIFF:
        raise InputError(f"item {scene.id}, {band}: {path.name} is not a TIFF file; expected a GeoTIFF")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path, driver="GTiff") as image:
                crs = image.crs
    except RasterioError as error:
        raise InputError(f"item {scene.id}, {band}: {path.name} cannot be read: {error}") from None
    if crs is None:
        raise InputError(f"item {scene.id}, {band}: {path.name} has no CRS; expected a GeoTIFF")
    code = crs.to_epsg()
    return None if code is None else int(code)


logging.getLogger("odc.loader").addHandler(logging.NullHandler())
