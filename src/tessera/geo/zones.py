"""UTM zones by the nominal 6-degree rule, one northern CRS a zone: the southern hemisphere has negative northings.

The Norwegian and Svalbard exceptions do not apply, as in the published stores (their zone groups are named utm01 to
utm60 and have EPSG:326NN in both hemispheres).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from pyproj import Transformer

LAT_MIN = -80.0
LAT_MAX = 84.0
"""The limits of UTM, degrees."""


def parse_zone(zone: object) -> int:
    """Check a UTM zone number, 1 to 60.

    Raises
    ------
    InputError
        It is not a whole number from 1 to 60.
    """
    if isinstance(zone, (int, np.integer)) and not isinstance(zone, bool) and 1 <= int(zone) <= 60:
        return int(zone)
    raise InputError(f"UTM zone {zone!r}; expected a whole number from 1 to 60")


def zone_crs(zone: int) -> str:
    """The CRS of a zone, for both hemispheres: "EPSG:32601" to "EPSG:32660"."""
    return f"EPSG:{32600 + parse_zone(zone)}"


def zones_of(lon: ArrayLike) -> NDArray[np.int64]:
    """The zone of each longitude: floor((lon + 180) / 6) + 1; 180 E belongs to zone 60.

    Parameters
    ----------
    lon : array of any shape, degrees east, -180 to 180

    Returns
    -------
    int64 array of the same shape, 1 to 60
    """
    zones = np.floor((np.asarray(lon, dtype=np.float64) + 180.0) / 6.0).astype(np.int64) + 1
    return np.clip(zones, 1, 60)


@lru_cache(maxsize=128)
def _transformer(zone: int, inverse: bool) -> Transformer:
    from pyproj import Transformer

    crs = zone_crs(zone)
    return Transformer.from_crs(crs if inverse else "EPSG:4326", "EPSG:4326" if inverse else crs, always_xy=True)


def from_lonlat(lon: ArrayLike, lat: ArrayLike, zone: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Project degrees (EPSG:4326) to eastings and northings of `zone`, metres; southern northings are negative."""
    x, y = _transformer(zone, False).transform(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def to_lonlat(x: ArrayLike, y: ArrayLike, zone: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert eastings and northings of `zone`, metres, to longitudes and latitudes (EPSG:4326, degrees)."""
    lon, lat = _transformer(zone, True).transform(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return np.asarray(lon, np.float64), np.asarray(lat, np.float64)
