"""STAC items of any provider converted to scenes."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from tessera.base import InputError

from ..records import (
    CORNERS_LIMIT,
    S1_COLLECTIONS,
    S1_KEYS,
    S2_COLLECTIONS,
    S2_KEYS,
    Asset,
    Scene,
    bucket_of,
    check_scene,
    keeps_offset,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ORBITS = ("ascending", "descending")
_NAME = 120
"""Characters of an item's name in messages."""
_HELD = 400
"""Characters of the list of its assets in messages."""
_TILE = re.compile(r"(?:^|_)T?(\d{1,2}[C-X][A-Z]{2})(?:_|$)")
_PRODUCT = re.compile(r"(S2[A-Z])_MSIL2A_(\d{8}T\d{6})_(?:N\d{4}_)?R(\d{3})_")
"""ESA's product names: satellite, start of the datatake, orbit."""


def scene_of(
    document: Mapping[str, Any], source: str, resolve: Callable[[str, object], str], position: int
) -> Scene | None:
    """Convert a STAC item to a scene; None where it is of another collection or has other polarisations.

    Parameters
    ----------
    document : a GeoJSON feature
    source : name of the source
    resolve : (name of an asset in messages, its href) -> its address
    position : index in the catalogue's answer

    Raises
    ------
    InputError
        A required value is missing or invalid; the message names the item.
    """
    scene = _narrowed(document, source, resolve, position)
    if scene is not None:
        check_scene(scene, named(document))
    return scene


def _narrowed(
    document: Mapping[str, Any], source: str, resolve: Callable[[str, object], str], position: int
) -> Scene | None:
    where = named(document)
    collection = document.get("collection")
    if collection not in (*S2_COLLECTIONS, *S1_COLLECTIONS):
        return None
    about, assets = document.get("properties"), document.get("assets")
    identifier = document.get("id")
    if not isinstance(about, dict) or not isinstance(assets, dict) or not isinstance(identifier, str) or not identifier:
        raise InputError(f"{where} is not a STAC item: it lacks an id, properties or assets")
    if not all(isinstance(asset, dict) for asset in assets.values()):
        raise InputError(f"{where} is not a STAC item: an asset is not an object")
    moment = _moment(where, about)
    footprint = _footprint(where, document)
    if collection in S2_COLLECTIONS:
        return _optical(where, document, source, resolve, position, moment, footprint)
    orbit = str(about.get("sat:orbit_state", "")).lower()
    if orbit not in _ORBITS:
        raise InputError(f"{where} has sat:orbit_state {orbit!r}; expected ascending or descending")
    held = {band: key for band, keys in S1_KEYS.items() for key in keys if key in assets}
    if not held:
        return None  # HH and HV, near the poles; cubes have VV and VH only
    return Scene(
        id=identifier,
        collection=str(collection),
        source=source,
        moment=moment,
        footprint=footprint,
        cloud_cover=None,
        baseline="",
        orbit=orbit,
        platform=_text(about, "platform").lower(),
        datatake="",
        tile="",
        assets={band: Asset(_href(where, key, assets[key], resolve)) for band, key in held.items()},
        position=position,
    )


def named(document: Mapping[str, Any]) -> str:
    """Name of an item in messages."""
    return f"item {printable(str(document.get('id', '?'))[:_NAME])}"


def printable(text: str) -> str:
    """Untrusted text without characters that could disturb a terminal or a table."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _optical(
    where: str,
    document: Mapping[str, Any],
    source: str,
    resolve: Callable[[str, object], str],
    position: int,
    moment: dt.datetime,
    footprint: tuple[tuple[float, float], ...],
) -> Scene:
    about, assets = document["properties"], document["assets"]
    baseline = str(about.get("s2:processing_baseline", ""))
    applied = about.get("earthsearch:boa_offset_applied")
    if not isinstance(applied, bool | None):
        raise InputError(f"{where} has earthsearch:boa_offset_applied {applied!r}; expected true or false")
    places = list(_places(document))
    # the recorded origin of some assets also applies to those without one
    hrefs = [place for asset in assets.values() for place in _copied_from(asset)]
    made: dict[str, Asset] = {}
    for band, keys in S2_KEYS.items():
        key = next((key for key in keys if key in assets), None)
        if key is None:
            held = printable(", ".join(sorted(assets))[:_HELD]) or "none"
            raise InputError(f"{where} lacks asset {' or '.join(keys)}; it has {held}")
        href = _href(where, key, assets[key], resolve)
        try:
            own = [href, *_copied_from(assets[key])]
            offset = keeps_offset(baseline, own if any(map(bucket_of, own)) else hrefs, places, applied)
        except InputError as error:
            raise InputError(f"{where} has s2:{error}") from None
        made[band] = Asset(href, offset and band != "SCL")
    return Scene(
        id=document["id"],
        collection=str(document["collection"]),
        source=source,
        moment=moment,
        footprint=footprint,
        cloud_cover=_cloud_cover(where, about.get("eo:cloud_cover")),
        baseline=baseline,
        orbit="",
        platform=_text(about, "platform").lower(),
        datatake=_datatake(document, baseline),
        tile=_tile(document),
        assets=made,
        position=position,
    )


def _text(about: Mapping[str, Any], key: str) -> str:
    value = about.get(key)
    return value if isinstance(value, str) and len(value) < 200 else ""


def _datatake(document: Mapping[str, Any], baseline: str) -> str:
    """The item's datatake, else an equal one made of satellite and start of the datatake in ESA's product name."""
    about = document["properties"]
    said = _text(about, "s2:datatake_id")
    if said:
        return said
    match = _PRODUCT.match(_text(about, "s2:product_uri")) or _PRODUCT.match(document["id"])
    return f"G{match[1]}_{match[2]}_000000_N{baseline}" if match else ""


def _tile(document: Mapping[str, Any]) -> str:
    about = document["properties"]
    said = _text(about, "s2:mgrs_tile") or _text(about, "grid:code").removeprefix("MGRS-")
    if not said:
        parts = [about.get(f"mgrs:{name}") for name in ("utm_zone", "latitude_band", "grid_square")]
        said = "".join(map(str, parts)) if all(part is not None for part in parts) else ""
    if not said:
        match = _TILE.search(document["id"])
        said = match[1] if match else ""
    match = _TILE.fullmatch(said)
    return match[1].zfill(5) if match else ""


def _href(where: str, key: str, asset: Mapping[str, Any], resolve: Callable[[str, object], str]) -> str:
    return resolve(f"{where}, asset {key},", asset.get("href"))


def _copied_from(asset: Mapping[str, Any]) -> Iterator[str]:
    """Addresses that the pixels of an asset were copied from, by STAC's alternate assets."""
    others = asset.get("alternate")
    for other in others.values() if isinstance(others, dict) else ():
        if isinstance(other, dict) and isinstance(other.get("href"), str):
            yield other["href"]


def _places(document: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of the item itself and of all its assets."""
    links = document.get("links")
    hrefs = [document["properties"].get("earthsearch:s3_path")]
    hrefs += [asset.get("href") for asset in document["assets"].values()]
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") in ("self", "canonical", "via"):
            hrefs.append(link.get("href"))
    yield from (href for href in hrefs if isinstance(href, str))


def _moment(where: str, about: Mapping[str, Any]) -> dt.datetime:
    said = about.get("datetime") or about.get("start_datetime")
    if said is None:
        raise InputError(f"{where} has no datetime; expected the time of acquisition")
    try:
        moment = dt.datetime.fromisoformat(str(said))
        moment = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise InputError(f"{where} is not a STAC item: datetime {str(said)[:40]!r}") from None
    return moment


def _cloud_cover(where: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
        raise InputError(f"{where} has eo:cloud_cover {value!r}; expected per cent, 0 to 100")
    return float(value)


def _footprint(where: str, document: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Every corner of the geometry, or of the bounding box where there is none."""
    points: list[tuple[float, float]] = []

    def collect(value: Any, depth: int) -> None:
        if depth > 8 or len(points) > CORNERS_LIMIT:
            raise ValueError
        if len(value) >= 2 and all(_is_number(number) for number in value[:2]):
            points.append((float(value[0]), float(value[1])))
        else:
            for part in value:
                collect(part, depth + 1)

    geometry, box = document.get("geometry"), document.get("bbox")
    try:
        if geometry is not None:
            collect(geometry["coordinates"], 0)
        elif box is not None:
            west, south, east, north = box if len(box) != 6 else (*box[:2], *box[3:5])
            points += [(float(west), float(south)), (float(east), float(north))]
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        points = []
    # NaN fails the comparison; some outlines continue beyond 180 at the date line
    if not points or not all(abs(lon) <= 360.0 and abs(lat) <= 90.0 for lon, lat in points):
        raise InputError(f"{where} has no readable geometry or bbox")
    return tuple(dict.fromkeys(points))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
