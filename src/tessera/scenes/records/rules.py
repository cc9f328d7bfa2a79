"""The rules that turn scenes into observations, each a pure function with the source of its constants."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError
from tessera.cubes import SCL_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .scene import Scene

OFFSET = 1000
"""BOA_ADD_OFFSET of Sentinel-2 L2A products, sign turned (ESA, processing baseline 04.00, 25 January 2022)."""
OFFSET_BASELINE = (4, 0)
"""First processing baseline with that offset. The date of acquisition does not decide: reprocessed products of
2015 to 2021 carry baseline 05.xx and the offset too."""
OFFSET_DATE = date(2022, 1, 25)
"""Last day of the published rule without the offset."""
HARMONISED_BUCKET = "sentinel-cogs"
"""Element 84's copies on AWS, from whose digital numbers the offset has been taken off."""
RAW_BUCKET = "sentinel-s2-l2a"
"""ESA's originals on AWS, which are as their baseline says, also where Earth Search lists them beside the copies."""
CLOUD_COVER_UNKNOWN = 100.0
"""Per cent; an item that does not tell its cloud cover comes last within its day."""

_BUCKET = re.compile(r"s3://([a-z0-9.-]+)/|https?://([a-z0-9-]+)\.s3[a-z0-9.-]*\.amazonaws\.com/")
_BUCKET_IN_PATH = re.compile(r"https?://s3[a-z0-9.-]*\.amazonaws\.com/([a-z0-9.-]+)/")
_BASELINE = re.compile(r"(\d{2})\.(\d{2})")
_SEQUENCE = re.compile(r"_(\d+)_L2A$")
_KEPT = np.zeros(256, dtype=np.bool_)
_KEPT[list(SCL_KEPT)] = True


def is_clear(scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of a scene classification count as clear: a bool array of the same shape."""
    return _KEPT[scl]


def has_offset(baseline: str) -> bool:
    """Whether products of a processing baseline such as "05.09" carry the offset: from 04.00 on.

    Raises
    ------
    InputError
        The baseline is not of the form NN.NN.
    """
    match = _BASELINE.fullmatch(baseline)
    if match is None:
        raise InputError(f"processing baseline {baseline!r}; expected the form 05.09")
    return (int(match[1]), int(match[2])) >= OFFSET_BASELINE


def bucket_of(href: str) -> str:
    """The S3 bucket that an address names, s3:// or https:// of Amazon, or ""."""
    match = _BUCKET.match(href) or _BUCKET_IN_PATH.match(href)
    return "" if match is None else next(name for name in match.groups() if name)


def keeps_offset(
    baseline: str, pixels: Sequence[str] = (), item: Sequence[str] = (), applied: bool | None = None
) -> bool:
    """Whether the digital numbers of an item still carry the offset.

    The first that tells decides. The address that the pixels came from: `sentinel-s2-l2a` follows the baseline,
    `sentinel-cogs` has none. The address of the item: `sentinel-cogs` has none. Earth Search's note that the offset has
    been taken off, which is not always right (nor is the offset in raster:bands, which is not looked at). The baseline.

    Parameters
    ----------
    baseline : of the processing, such as "05.09"
    pixels : addresses that the assets were copied from, as far as recorded
    item : addresses of the item itself: its links, its folder and its other assets
    applied : `earthsearch:boa_offset_applied`; None where absent

    Raises
    ------
    InputError
        The baseline is not of the form NN.NN.
    """
    owed = has_offset(baseline)
    sources = {bucket_of(href) for href in pixels}
    if RAW_BUCKET in sources:
        return owed
    if HARMONISED_BUCKET in sources | {bucket_of(href) for href in item} or applied:
        return False
    return owed


def remove_offset(dn: NDArray[np.uint16], offset: bool, out: NDArray[np.uint16] | None = None) -> NDArray[np.uint16]:
    """Digital numbers as reflectance x 10000 without offset.

    0 stays 0 (no data); with an offset every other number loses 1000 and is at least 1, since a dark pixel is not a
    missing one. This is what Element 84 did to the harmonised copies on AWS.

    Parameters
    ----------
    dn : uint16, any shape
    offset : whether `dn` carries the offset (see `keeps_offset`)
    out : where to put the result; a new array where None, or `dn` itself where there is nothing to take off

    Returns
    -------
    uint16 of the same shape
    """
    if not offset:
        if out is None:
            return dn
        out[...] = dn
        return out
    taken: NDArray[np.uint16] = np.maximum(dn, np.uint16(OFFSET + 1), out=out)
    taken -= np.uint16(OFFSET)
    taken *= dn != 0
    return taken


def remove_offset_by_date(dn: NDArray[np.uint16], moment: datetime) -> NDArray[np.uint16]:
    """Digital numbers without offset by the rule that the published weights saw.

    Of scenes that were acquired after 25 January 2022, numbers of at least 1000 lose 1000; the rest stay as they are,
    and so do all numbers of earlier scenes, whatever their baseline (published preprocessing of 2026).

    Parameters
    ----------
    dn : uint16, any shape
    moment : of acquisition

    Returns
    -------
    uint16 of the same shape
    """
    if _utc(moment).date() <= OFFSET_DATE:
        return dn
    return np.where(dn >= OFFSET, dn - np.uint16(OFFSET), dn)


def scale_s1(power: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Backscatter as the published cubes hold it: clip((20 * log10(v) + 50) * 200, 0, 32767), truncated.

    The formula takes power for amplitude, so a number is (2 * dB + 50) * 200 and -25 dB and below become 0, which is
    no data. The checkpoints were trained on these numbers.

    Parameters
    ----------
    power : gamma0, linear power, any shape; not finite or <= 0 where there are no data

    Returns
    -------
    int16 of the same shape, 0 = no data
    """
    value = np.asarray(power, dtype=np.float64)
    valid = np.isfinite(value) & (value > 0)
    scaled = (20.0 * np.log10(np.where(valid, value, 1.0)) + 50.0) * 200.0
    return np.where(valid, np.clip(scaled, 0.0, 32767.0), 0.0).astype(np.int16)


def solar_date(moment: datetime, longitude: float) -> date:
    """The date by the sun at a longitude in degrees: UTC + longitude / 15 hours. A moment without zone is UTC."""
    return (_utc(moment) + timedelta(hours=longitude / 15.0)).date()


def utc_date(moment: datetime) -> date:
    """The date by UTC, which the published preprocessing goes by. A moment without zone is UTC."""
    return _utc(moment).date()


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def covers_enough(valid: int, pixels: int, least: float) -> bool:
    """Whether so many valid pixels of so many reach a share, in per cent.

    The published threshold is 0.01 per cent of the area as shipped; its code's defaults are 5 (Sentinel-2, a day) and
    10 (Sentinel-1, each polarisation of a scene). Shares above 0 make seams between areas that are processed apart.
    """
    return 100.0 * valid / max(1, pixels) >= least


def copy_rank(scene: Scene) -> tuple[bool, bool, bool, tuple[int, int], bool, bool, str, int, str]:
    """The key by which copies of one acquisition are sorted, the best first.

    All bands there, a datatake and a baseline that can be read, the newer baseline, harmonised already, in a bucket
    that is free to read (in ESA's, whoever reads pays), produced later (OPERA), the earlier of equal copies by sequence
    (Earth Search's _0_ before _1_, whose files are damaged more often), then by name; after the ranking that dClimate's
    ingestion of these collections found by incidents. Its known producer is not in it: no item tells its producer.
    """
    match = _BASELINE.fullmatch(scene.baseline)
    baseline = (int(match[1]), int(match[2])) if match else (0, 0)
    sequence = _SEQUENCE.search(scene.id)
    wanted = 11 if scene.optical else 2
    return (
        len(scene.assets) < wanted,
        not scene.datatake,
        match is None,
        (-baseline[0], -baseline[1]),
        any(asset.offset for asset in scene.assets.values()),
        any(bucket_of(asset.href) == RAW_BUCKET for asset in scene.assets.values()),
        _reversed(scene.produced),
        int(sequence[1]) if sequence else 0,
        scene.id,
    )


def _reversed(text: str) -> str:
    """Text that sorts the other way round, digit by digit; what has none comes last."""
    return "".join(chr(0x7F - ord(letter)) for letter in text if letter.isascii()) or "\x7f"


def item_order(day: date, cloud_cover: float | None, identifier: str) -> tuple[date, float, str]:
    """The key that items are sorted by, so that their order in a catalogue does not matter.

    The clearest item of a solar day comes first and wins; an unknown cloud cover counts as 100 per cent.
    """
    return day, CLOUD_COVER_UNKNOWN if cloud_cover is None else cloud_cover, identifier


def take_first_valid(target: NDArray[Any], filled: NDArray[np.bool_], values: NDArray[Any], valid: Any) -> int:
    """Lay an item under the mosaic of its day: a pixel keeps the first valid value that it is given.

    Parameters
    ----------
    target : (H, W) or (H, W, bands), changed in place
    filled : (H, W) bool, which pixels have a value; changed in place
    values : as `target`
    valid : (H, W) bool, which of `values` count

    Returns
    -------
    How many pixels this item gave.
    """
    new = np.asarray(valid, dtype=np.bool_) & ~filled
    target[new] = values[new]
    filled |= new
    return int(np.count_nonzero(new))
