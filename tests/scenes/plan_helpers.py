"""Scenes made up for plans and mosaics."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tessera.cubes import S1_BANDS, S2_BANDS
from tessera.geo import Window
from tessera.scenes import Asset, Scene

WINDOW = Window(31, 64 * 1024, 548 * 1024, 6, 4)
FOOTPRINT = ((5.0, 50.0), (6.0, 50.0), (6.0, 51.0), (5.0, 51.0))
"""Around the window."""


def s2(name: str, moment: str = "2021-06-01T10:50:00", **changes: Any) -> Scene:
    """A Sentinel-2 scene whose bands lie at /<name>/<band>."""
    about: dict[str, Any] = {
        "id": name,
        "collection": "sentinel-2-l2a",
        "source": "mpc",
        "moment": dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC),
        "footprint": FOOTPRINT,
        "cloud_cover": 10.0,
        "baseline": "05.00",
        "orbit": "",
        "platform": "sentinel-2a",
        "datatake": "",
        "tile": "31UFS",
        "assets": {band: Asset(f"/{name}/{band}", offset=False) for band in (*S2_BANDS, "SCL")},
    }
    return Scene(**(about | changes))


def s1(name: str, moment: str = "2021-06-01T06:00:00", **changes: Any) -> Scene:
    """A Sentinel-1 scene."""
    about: dict[str, Any] = {
        "collection": "sentinel-1-rtc",
        "cloud_cover": None,
        "baseline": "",
        "orbit": "descending",
        "platform": "sentinel-1a",
        "tile": "",
        "assets": {band: Asset(f"/{name}/{band}") for band in S1_BANDS},
    }
    return s2(name, moment, **(about | changes))
