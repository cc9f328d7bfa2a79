"""One rule of degrees for points and polygons: what is taken, what is wrapped, what was meant instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TURN = 360.0
_TRIED = 100
"""Points that are tried the other way round."""


def wrapped(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) degrees with longitudes of -360 to 360 brought into -180 to 180; those within are kept bit for bit."""
    lon = lonlat[:, 0]
    with np.errstate(invalid="ignore"):
        beyond = (np.abs(lon) > 180.0) & (np.abs(lon) <= TURN)
    if not beyond.any():
        return lonlat
    out = lonlat.copy()
    out[beyond, 0] -= np.copysign(TURN, lon[beyond])
    return out


def check_degrees(lonlat: NDArray[np.float64], what: str) -> None:
    """Raise InputError where coordinates (N, 2) are not finite or no degrees.

    Parameters
    ----------
    what : what has them, for the message: "plots.geojson, feature 3"
    """
    if not np.isfinite(lonlat).all():
        raise InputError(f"{what} has coordinates that are not finite; expected degrees")
    lon, lat = np.abs(lonlat).max(axis=0, initial=0.0)
    if lon > TURN or lat > TURN:
        raise InputError(
            f"{what} reaches {lonlat[np.abs(lonlat).max(axis=1).argmax()].round(2).tolist()}: no degrees, metres "
            "perhaps; expected longitude and latitude in degrees"
        )
    if lat > 90:
        raise InputError(
            f"{what} has a latitude of {lat:g}; does latitude come first? expected longitude, then latitude, degrees"
        )


def swap_hint(lonlat: NDArray[np.float64], with_data: Callable[[NDArray[np.float64]], int]) -> str:
    """What to say of places without data of which some have data when their coordinates change places; else "".

    Parameters
    ----------
    lonlat : (N, 2) degrees
    with_data : how many of some places (M, 2) have data; an InputError stands for none
    """
    other = lonlat[:: max(1, len(lonlat) // _TRIED), ::-1][:_TRIED]
    other = other[np.isfinite(other).all(axis=1) & (other[:, 1] >= -80) & (other[:, 1] <= 84)]
    if not len(other):
        return ""
    try:
        count = with_data(np.ascontiguousarray(wrapped(other)))
    except InputError:
        return ""
    return f"latitude seems to come first: exchanged, {count} of {len(other)} have data" if count else ""
