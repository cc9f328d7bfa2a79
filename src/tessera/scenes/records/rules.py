"""The rules that turn scenes into observations: pure functions, and constants with their sources."""

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
"""BOA_ADD_OFFSET of Sentinel-2 L2A products, sign reversed (ESA, processing baseline 04.00, 25 January 2022)."""
OFFSET_BASELINE = (4, 0)
"""First processing baseline with that offset. The baseline decides, not the acquisition date: reprocessed products of
2015 to 2021 have baseline 05.xx and the offset too."""
OFFSET_DATE = date(2022, 1, 25)
"""Last acquisition day from which the published preprocessing subtracts nothing."""
HARMONISED_BUCKET = "sentinel-cogs"
"""Element 84's copies on AWS: the offset is already subtracted from their digital numbers."""
RAW_BUCKET = "sentinel-s2-l2a"
"""ESA's originals on AWS: their baseline tells the offset, also where Earth Search lists them beside the copies."""
CLOUD_COVER_UNKNOWN = 100.0
"""Per cent; an item without a cloud cover is sorted last within its day."""

_BUCKET = re.compile(r"s3://([a-z0-9.-]+)/|https?://([a-z0-9-]+)\.s3[a-z0-9.-]*\.amazonaws\.com/")
_BUCKET_IN_PATH = re.compile(r"https?://s3[a-z0-9.-]*\.amazonaws\.com/([a-z0-9.-]+)/")
_BASELINE = re.compile(r"(\d{2})\.(\d{2})")
_SEQUENCE = re.compile(r"_(\d+)_L2A$")
_KEPT = np.zeros(256, dtype=np.bool_)
_KEPT[list(SCL_KEPT)] = True


def is_clear(scl: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of a scene classification (SCL) are clear: bool, of the same shape."""
    return _KEPT[scl]


def has_offset(baseline: str) -> bool:
    """Whether products of a processing baseline such as "05.09" have the offset; those from 04.00 on do.

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
    """The S3 bucket in an s3:// or Amazon https:// address, or ""."""
    match = _BUCKET.match(href) or _BUCKET_IN_PATH.match(href)
    return "" if match is None else next(name for name in match.groups() if name)


def keeps_offset(
    baseline: str, pixels: Sequence[str] = (), item: Sequence[str] = (), applied: bool | None = None
) -> bool:
    """Whether the digital numbers of an item still include the offset.

    Four kinds of evidence are tried in this order, and the first one found decides:

    1. the address that the pixels came from: `sentinel-s2-l2a` follows the baseline, `sentinel-cogs` has no offset
    2. the address of the item: `sentinel-cogs` has no offset
    3. Earth Search's flag that the offset was subtracted, which is sometimes wrong (so is the offset in raster:bands,
       which is not used)
    4. the baseline

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
    """Convert digital numbers to reflectance x 10000 without the offset.

    0 stays 0 (nodata). With an offset, 1000 is subtracted from every other number; the result is at least 1, so that a
    dark pixel does not become nodata. Element 84 harmonised its copies on AWS by the same rule.

    Parameters
    ----------
    dn : uint16, any shape
    offset : whether `dn` includes the offset (see `keeps_offset`)
    out : array for the result; if None a new array, or `dn` itself where there is no offset

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
    """Subtract the offset by the rule that the published weights were trained with.

    In scenes acquired after 25 January 2022, 1000 is subtracted from numbers of at least 1000. Smaller numbers, and all
    numbers of earlier scenes whatever their baseline, stay as they are (published preprocessing of 2026).

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
    """Scale backscatter as in the published cubes: clip((20 * log10(v) + 50) * 200, 0, 32767), truncated.

    The formula treats power as amplitude, so a number is (2 * dB + 50) * 200, and -25 dB and below become 0, which is
    nodata. The checkpoints were trained on these numbers.

    Parameters
    ----------
    power : gamma0, linear power, any shape; not finite or <= 0 where nodata

    Returns
    -------
    int16 of the same shape, 0 = nodata
    """
    value = np.asarray(power, dtype=np.float64)
    valid = np.isfinite(value) & (value > 0)
    scaled = (20.0 * np.log10(np.where(valid, value, 1.0)) + 50.0) * 200.0
    return np.where(valid, np.clip(scaled, 0.0, 32767.0), 0.0).astype(np.int16)


def solar_date(moment: datetime, longitude: float) -> date:
    """The solar date at a longitude in degrees: UTC + longitude / 15 hours. A moment without a time zone is UTC."""
    return (_utc(moment) + timedelta(hours=longitude / 15.0)).date()


def utc_date(moment: datetime) -> date:
    """The UTC date, which the published preprocessing uses. A moment without a time zone is UTC."""
    return _utc(moment).date()


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def covers_enough(valid: int, pixels: int, least: float) -> bool:
    """Whether `valid` of `pixels` pixels are at least `least` per cent.

    The published preprocessing ships with a threshold of 0.01 per cent of the area; the defaults of its code are 5
    (Sentinel-2, a day) and 10 (Sentinel-1, each polarisation of a scene). A threshold above 0 causes seams between
    areas that are processed separately.
    """
    return 100.0 * valid / max(1, pixels) >= least


def copy_rank(scene: Scene) -> tuple[bool, bool, bool, tuple[int, int], bool, bool, str, int, str]:
    """Sort key for copies of one acquisition, the best first.

    A copy is better if it has all bands; a datatake; a readable baseline; a newer baseline; pixels that are already
    harmonised; a bucket that is free to read (readers pay for ESA's); a later production time (OPERA); a lower sequence
    number (Earth Search's _1_ files are damaged more often than _0_). The name decides last. The order follows the
    ranking that dClimate derived from incidents, without its rank of producers, which no item names.
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
    """Text that sorts in reverse, character by character; empty text comes last."""
    return "".join(chr(0x7F - ord(letter)) for letter in text if letter.isascii()) or "\x7f"


def item_order(day: date, cloud_cover: float | None, identifier: str) -> tuple[date, float, str]:
    """Sort key that makes items independent of their order in a catalogue.

    The clearest item of a solar day comes first; an unknown cloud cover counts as 100 per cent.
    """
    return day, CLOUD_COVER_UNKNOWN if cloud_cover is None else cloud_cover, identifier


def take_first_valid(target: NDArray[Any], filled: NDArray[np.bool_], values: NDArray[Any], valid: Any) -> int:
    """Fill the empty pixels of a day's mosaic from an item: a pixel keeps its first valid value.

    Parameters
    ----------
    target : (H, W) or (H, W, bands), changed in place
    filled : (H, W) bool, which pixels have a value; changed in place
    values : shape and dtype of `target`
    valid : (H, W) bool, which of `values` are valid

    Returns
    -------
    Number of pixels filled from this item.
    """
    new = np.asarray(valid, dtype=np.bool_) & ~filled
    target[new] = values[new]
    filled |= new
    return int(np.count_nonzero(new))
