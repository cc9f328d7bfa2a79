"""Checks of degrees for points and polygons: valid values, longitudes to wrap, hints at likely mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TURN = 360.0
_TRIED = 100
"""Points that are tried with exchanged coordinates."""


def wrapped(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) degrees with longitudes of -360 to 360 wrapped to -180 to 180; those within keep their exact values."""
    lon = lonlat[:, 0]
    with np.errstate(invalid="ignore"):
        beyond = (np.abs(lon) > 180.0) & (np.abs(lon) <= TURN)
    if not beyond.any():
        return lonlat
    out = lonlat.copy()
    out[beyond, 0] -= np.copysign(TURN, lon[beyond])
    return out


def box_around(boxes: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """The smallest box that holds boxes (N, 4) of degrees, at least one: west, south, east, north.

    West is greater than east where a box reaches over the date line, in what is given and in what is returned.
    """
    west, south, east, north = boxes.T
    # the box leaves out the widest gap around the globe
    order = np.argsort(west)
    reach = np.maximum.accumulate(west[order] + (east - west)[order] % TURN)
    after = int(np.argmax(np.append(west[order][1:], west[order][0] + TURN) - reach))
    left = west[order][(after + 1) % len(order)]
    return float(left), float(south.min()), float((reach[after] + 180) % TURN - 180), float(north.max())


def check_degrees(lonlat: NDArray[np.float64], what: str) -> None:
    """Raise InputError if coordinates (N, 2) are not finite or cannot be degrees.

    Parameters
    ----------
    what : their owner in the message, such as "plots.geojson, feature 3"
    """
    if not np.isfinite(lonlat).all():
        raise InputError(f"{what} has coordinates that are not finite; expected degrees")
    lon, lat = np.abs(lonlat).max(axis=0, initial=0.0)
    if lon > TURN or lat > TURN:
        raise InputError(
            f"{what} reaches {lonlat[np.abs(lonlat).max(axis=1).argmax()].round(2).tolist()}: not degrees, perhaps "
            "metres; expected longitude and latitude in degrees"
        )
    if lat > 90:
        raise InputError(
            f"{what} has a latitude of {lat:g}; does latitude come first? expected longitude, then latitude, degrees"
        )


def swap_hint(lonlat: NDArray[np.float64], with_data: Callable[[NDArray[np.float64]], int]) -> str:
    """A hint if points without data have data once longitude and latitude are exchanged; else "".

    Parameters
    ----------
    lonlat : (N, 2) degrees, of points without data
    with_data : counts the points (M, 2) with data; an InputError counts as none
    """
    other = lonlat[:: max(1, len(lonlat) // _TRIED), ::-1][:_TRIED]
    other = other[np.isfinite(other).all(axis=1) & (other[:, 1] >= -80) & (other[:, 1] <= 84)]
    if not len(other):
        return ""
    try:
        count = with_data(np.ascontiguousarray(wrapped(other)))
    except InputError:
        return ""
    return (
        f"latitude seems to come first: {count} of {len(other)} places tried with both exchanged have data"
        if count
        else ""
    )
