"""The published preprocessing said again, slowly and plainly: scenes of one window into the seven d-pixel arrays.

Written from the facts that are published about it, not from this project's code: rasterio reads the files, all else
is loops. What its generations do differently is a setting. Two things are left out on purpose: its retries, and the
filling of pixels that no scene gives (published: from a random scene, which nobody can repeat; here 0).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from real_shared import EARTH_SEARCH

AWS = {**EARTH_SEARCH, "vv": "VV", "vh": "VH"}
"""What Earth Search and OPERA call what Planetary Computer calls so."""
CHANNELS = ("B04", "B02", "B03", "B08", "B8A", "B05", "B06", "B07", "B11", "B12")
BAD_CLASSES = {0, 1, 2, 3, 8, 9}
OFFSET_AFTER = "2022-01-25"


@dataclass(frozen=True)
class Settings:
    """What differs between its generations; the default is what is shipped.

    Attributes
    ----------
    bands : resampling of every Sentinel-2 band: "bilinear" (public scripts), "nearest", "cubic"
    radar : "first" valid value of a date and orbit (public scripts), or the "mean" of the valid ones, truncated
    harmonise : take the offset off by date (Planetary Computer); False for Earth Search
    s2_coverage, s1_coverage : per cent; the processors' own defaults are 5 and 10
    """

    bands: str = "bilinear"
    radar: str = "first"
    harmonise: bool = True
    s2_coverage: float = 0.01
    s1_coverage: float = 0.01


@dataclass(frozen=True)
class Roi:
    """The grid: EPSG code, left and top edge, rows and columns of 10 m."""

    epsg: int
    left: float
    top: float
    height: int
    width: int


@dataclass(frozen=True)
class DPixel:
    """The seven arrays."""

    bands: NDArray[np.uint16]
    masks: NDArray[np.uint8]
    doys: NDArray[np.uint16]
    sar_ascending: NDArray[np.int16]
    sar_ascending_doy: NDArray[np.int16]
    sar_descending: NDArray[np.int16]
    sar_descending_doy: NDArray[np.int16]


def stack(
    items: Sequence[dict[str, Any]], open_file: Callable[[str], Path], roi: Roi, settings: Settings | None = None
) -> DPixel:
    """Stack items of sentinel-2-l2a, and of sentinel-1-rtc or opera-rtc-s1, given in the order of their catalogue.

    The pass of an OPERA burst is what its file says.
    """
    settings = settings or Settings()
    optical: dict[str, list[dict[str, Any]]] = {}
    radar: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in items:
        date = item["properties"]["datetime"][:10]
        if item["collection"] == "sentinel-2-l2a":
            optical.setdefault(date, []).append(item)
        else:
            radar.setdefault((date, _orbit(item, open_file)), []).append(item)

    images, masks, doys = [], [], []
    for date in sorted(optical):
        day = _optical_day(date, optical[date], open_file, roi, settings)
        if day is not None:
            images.append(day[0])
            masks.append(day[1])
            doys.append(_day_of_year(date))
    passes: dict[str, tuple[list[Any], list[int]]] = {"ascending": ([], []), "descending": ([], [])}
    for date, orbit in sorted(radar):
        channels = [_radar_mosaic(radar[date, orbit], name, open_file, roi, settings) for name in ("vv", "vh")]
        if all(channel is None for channel in channels):
            continue
        nothing = np.zeros((roi.height, roi.width), dtype=np.int16)
        both = [nothing if channel is None else channel for channel in channels]
        passes[orbit][0].append(np.stack(both, axis=-1))
        passes[orbit][1].append(_day_of_year(date))

    def sar(orbit: str) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        found, days = passes[orbit]
        empty = np.zeros((0, roi.height, roi.width, 2), dtype=np.int16)
        return np.stack(found) if found else empty, np.array(days, dtype=np.int16)

    size = (roi.height, roi.width)
    return DPixel(
        np.stack(images) if images else np.zeros((0, *size, len(CHANNELS)), dtype=np.uint16),
        np.stack(masks) if masks else np.zeros((0, *size), dtype=np.uint8),
        np.array(doys, dtype=np.uint16),
        *sar("ascending"),
        *sar("descending"),
    )


def _orbit(item: dict[str, Any], open_file: Callable[[str], Path]) -> str:
    if item["collection"] == "sentinel-1-rtc":
        return str(item["properties"]["sat:orbit_state"])
    href = next(iter(item["assets"].values()))["href"]
    with rasterio.open(open_file(href)) as file:
        return str(file.tags()["ORBIT_PASS_DIRECTION"]).lower()


def _day_of_year(date: str) -> int:
    return dt.date.fromisoformat(date).timetuple().tm_yday


def _read(path: Path, roi: Roi, how: str) -> NDArray[Any]:
    """A file on the grid, in its own type, its no-data value where there is nothing."""
    with (
        rasterio.open(path) as file,
        WarpedVRT(
            file,
            crs=f"EPSG:{roi.epsg}",
            transform=Affine(10.0, 0.0, roi.left, 0.0, -10.0, roi.top),
            height=roi.height,
            width=roi.width,
            resampling=Resampling[how],
        ) as view,
    ):
        return np.asarray(view.read(1))


def _optical_day(
    date: str, items: list[dict[str, Any]], open_file: Callable[[str], Path], roi: Roi, settings: Settings
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]] | None:
    classes = [_read(open_file(str(_asset(item, "SCL"))), roi, "nearest") for item in items]
    selection = np.full((roi.height, roi.width), -1)
    for row in range(roi.height):
        for col in range(roi.width):
            for number, image in enumerate(classes):
                if int(image[row, col]) not in BAD_CLASSES:
                    selection[row, col] = number
                    break
    if 100.0 * (selection >= 0).sum() / selection.size < settings.s2_coverage:
        return None
    result = np.zeros((roi.height, roi.width, len(CHANNELS)), dtype=np.uint16)
    for channel, name in enumerate(CHANNELS):
        for number, item in enumerate(items):
            chosen = selection == number
            if not chosen.any():
                continue
            image = _read(open_file(str(_asset(item, name))), roi, settings.bands).astype(np.int64)
            if settings.harmonise:
                image = harmonise(image, date)
            result[..., channel][chosen] = image[chosen]
    return result, (selection >= 0).astype(np.uint8)


def _asset(item: dict[str, Any], name: str) -> str | None:
    asset = item["assets"].get(name) or item["assets"].get(AWS[name])
    return None if asset is None else str(asset["href"])


def harmonise(image: NDArray[np.int64], date: str) -> NDArray[np.int64]:
    """The rule by date: after it, 1000 less where there is at least 1000, and the rest as it is."""
    if date <= OFFSET_AFTER:
        return image
    return np.where(image >= 1000, image - 1000, image)


def amplitude(value: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Scaled numbers, and where the image has data."""
    number = value.astype(np.float64)
    there = np.isfinite(number) & (number > 0)
    scaled = np.zeros(number.shape)
    scaled[there] = (20.0 * np.log10(number[there]) + 50.0) * 200.0
    return np.clip(scaled, 0, 32767).astype(np.int16), there


def _radar_mosaic(
    items: list[dict[str, Any]], name: str, open_file: Callable[[str], Path], roi: Roi, settings: Settings
) -> NDArray[np.int16] | None:
    """The mosaic of a polarisation of a date and orbit; None where no item covers enough."""
    images = []
    for item in items:
        href = _asset(item, name)
        if href is None:
            continue
        how = "nearest" if item["collection"] == "sentinel-1-rtc" else "bilinear"
        image, there = amplitude(_read(open_file(href), roi, how))
        if 100.0 * there.sum() / there.size >= settings.s1_coverage:
            images.append(image)
    if not images:
        return None
    return merge(images, settings.radar)


def merge(images: Sequence[NDArray[np.int16]], how: str) -> NDArray[np.int16]:
    """Images of one date and orbit, 0 = no data: the first value that is there, or the mean of all that are."""
    height, width = images[0].shape
    result = np.zeros((height, width), dtype=np.int16)
    for row in range(height):
        for col in range(width):
            values = [int(image[row, col]) for image in images if image[row, col] != 0]
            if values:
                result[row, col] = values[0] if how == "first" else sum(values) // len(values)
    return result
