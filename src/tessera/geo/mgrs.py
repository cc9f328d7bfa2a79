"""Names of 100 km squares of the Military Grid Reference System."""

from __future__ import annotations

from .zones import from_lonlat


def square_at(lon: float, lat: float, zone: int) -> str:
    """The 100 km square of a point in degrees, in a UTM zone.

    Military Grid Reference System (NGA.STND.0037): column letters repeat every three zones, row letters every two.
    """
    x, y = from_lonlat([lon], [lat], zone)
    easting, northing = float(x[0]), float(y[0]) % 2_000_000.0
    band = "CDEFGHJKLMNPQRSTUVWX"[min(19, max(0, int((lat + 80.0) // 8.0)))]
    column = ("STUVWXYZ", "ABCDEFGH", "JKLMNPQR")[zone % 3][max(0, min(7, int(easting // 100_000.0) - 1))]
    rows = "ABCDEFGHJKLMNPQRSTUV"
    row = rows[(int(northing // 100_000.0) + (5 if zone % 2 == 0 else 0)) % 20]
    return f"{zone:02d}{band}{column}{row}"
