"""Bands of scenes through odc-stac and GDAL, which also reads what is no TIFF."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import raise_if_machine, require
from tessera.geo import to_lonlat, zone_crs
from tessera.net import CorruptError, PermanentError
from tessera.rasters import open_raster

from ._bands import dtype_of, href_of, resampling_of
from ._files import open_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tessera.geo import Window

    from .recipe import Recipe
    from .records import Scene
    from .sources import Source

_DRIVERS = {b"II*\0": "GTiff", b"MM\0*": "GTiff", b"II+\0": "GTiff", b"MM\0+": "GTiff", b"\0\0\0\x0c": "JP2OpenJPEG"}
"""First bytes -> driver: other formats that GDAL opens may refer to further files or to the network."""
_FALSE_NORTHING = 10_000_000.0
"""Metres that southern UTM (EPSG:327NN) adds to northings."""
_TRIES = 2
_GDAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_HTTP_TIMEOUT": "60", "GDAL_HTTP_CONNECTTIMEOUT": "20"}


class OdcReader:
    """Reads scenes onto one window; see `_bands.Reader`."""

    def __init__(self, window: Window, sources: Mapping[str, Source], recipe: Recipe) -> None:
        require("rasterio", extra="scenes", purpose="reading scenes")
        require("odc.stac", extra="scenes", purpose="reading scenes")
        from affine import Affine
        from odc.geo.geobox import GeoBox

        self._sources, self._recipe = sources, recipe
        self._zone = window.zone
        corner = Affine(*window.grid.transform)
        self._north = GeoBox(window.shape, corner, zone_crs(window.zone))
        # The same pixels as providers count them south of the equator; GDAL's way between the two is inexact.
        southern = Affine(corner.a, corner.b, corner.c, corner.d, corner.e, corner.f + _FALSE_NORTHING)
        self._south = GeoBox(window.shape, southern, f"EPSG:{32700 + window.zone}")
        left, bottom, right, top = window.bounds
        lon, lat = to_lonlat([left, right, right, left, left], [bottom, bottom, top, top, bottom], window.zone)
        self._ring = [[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]

    def read(self, scene: Scene, band: str) -> NDArray[Any]:
        """See `_bands.Reader`."""
        import rasterio
        from rasterio.errors import RasterioError

        source = self._sources[scene.source]
        href = href_of(scene, band)
        file = open_file(source, href)
        driver = _DRIVERS.get(file.read(0, 4))
        if driver is None:
            raise PermanentError(f"{file.name} is not a TIFF file; expected a GeoTIFF")
        said = ""
        for _ in range(_TRIES):
            address = source.address(href)
            if address.headers:
                raise PermanentError(
                    f"{file.name} needs credentials in headers; the reader ranges can send them, odc cannot"
                )
            try:
                with rasterio.Env(**_GDAL):
                    code = _crs_of(address.url, driver, file.name)
                    geobox = self._south if code == 32700 + self._zone else self._north
                    return self._load(scene, band, address.url, geobox)
            except (RasterioError, OSError) as error:
                raise_if_machine(error, file.name)
                # GDAL names the whole address, with its signature
                said = re.sub(r"\?\S+", "", str(error))
            # GDAL does not tell a corrupt file from a server that throttles, or a signature that is over: ask, which
            # raises what is true or has the address signed anew
            file.read(0, 4)
        raise CorruptError(f"{file.name} cannot be read: {said}")

    def _load(self, scene: Scene, band: str, url: str, geobox: Any) -> NDArray[Any]:
        import odc.stac

        stack = odc.stac.load(
            [self._item(scene, band, url)],
            bands=[band],
            geobox=geobox,
            resampling={band: resampling_of(scene, band, self._recipe)},
            groupby=None,
            fail_on_error=True,
        )
        return np.asarray(stack[band].values[0])

    def _item(self, scene: Scene, band: str, url: str) -> Any:
        """An item of what is read, under the names used here.

        Its geometry is the window and it tells no grid, so that every file is opened and says itself where it lies:
        providers' proj:transform is not always right.
        """
        import pystac

        item = pystac.Item(
            id=scene.id,
            geometry={"type": "Polygon", "coordinates": [self._ring]},
            bbox=None,
            datetime=scene.moment,
            properties={},
            collection=scene.collection,
            stac_extensions=["https://stac-extensions.github.io/raster/v1.1.0/schema.json"],
        )
        about: dict[str, Any] = {"data_type": dtype_of(band)}
        if scene.optical:
            about["nodata"] = 0
        asset = pystac.Asset(
            href=url,
            media_type="image/tiff; application=geotiff",
            roles=["data"],
            extra_fields={"raster:bands": [about]},
        )
        item.add_asset(band, asset)
        return item


def _crs_of(url: str, driver: str, name: str) -> int | None:
    """The EPSG code of a file's CRS, None where it has no code."""
    with open_raster(url, driver=driver) as image:
        crs = image.crs
    if crs is None:
        raise PermanentError(f"{name} has no CRS; expected a GeoTIFF")
    code = crs.to_epsg()
    return None if code is None else int(code)


logging.getLogger("odc.loader").addHandler(logging.NullHandler())
