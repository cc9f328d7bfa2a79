"""Ids, asset keys, file paths and properties of each provider, from its documentation."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.geo import square_at

if TYPE_CHECKING:
    from pathlib import Path

    from ._items import Held

STYLES = ("stac", "mpc", "earth-search", "opera")
EARTH_SEARCH_KEYS = {
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge1",
    "B06": "rededge2",
    "B07": "rededge3",
    "B08": "nir",
    "B8A": "nir08",
    "B11": "swir16",
    "B12": "swir22",
    "SCL": "scl",
}
"""Band -> asset key of Earth Search, version 1."""
OPERA_CONCEPT = "C2777436413-ASF"
"""CMR's concept id of OPERA_L2_RTC-S1_V1."""
_BANDS = {key: band for band, key in EARTH_SEARCH_KEYS.items()}
_FINE = ("B02", "B03", "B04", "B08")
_MPC_S2 = re.compile(r"S2[A-D]_MSIL2A_\d{8}T\d{6}_R\d{3}_T\d{2}[A-Z]{3}_\d{8}T\d{6}")
_EARTH_SEARCH = re.compile(r"S2[A-D]_\d{1,2}[A-Z]{3}_\d{8}_\d+_L2A")
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True)
class Shown:
    """An item as a provider shows it."""

    item: dict[str, Any]  # with hrefs that are paths from the base of the files, without a leading slash
    files: dict[str, Path]  # those paths -> files
    orbit: str  # "ascending", "descending" or ""


def show(held: list[Held], style: str) -> list[Shown]:
    """All items of a provider that it would hold: Earth Search has no terrain-corrected radar, OPERA nothing else."""
    if style not in STYLES:
        raise InputError(f"style {style!r}; expected {', '.join(STYLES)}")
    shown: list[Shown] = []
    names: set[tuple[str, str]] = set()
    for one in held:
        optical = one.item.get("collection") == "sentinel-2-l2a"
        if style == "stac":
            new = _plain(one)
        elif style == "mpc":
            new = _planetary_s2(one) if optical else _planetary_s1(one)
        elif style == "earth-search" and optical:
            new = _earth_search(one, names)
        elif style == "opera" and not optical:
            new = _opera(one)
        else:
            continue
        name = (str(new.item.get("collection")), new.item["id"])
        if name in names:
            raise InputError(f"two items are {name[1]} at {style}; expected other moments, tiles or s2:generation_time")
        names.add(name)
        shown.append(new)
    return shown


def _plain(one: Held) -> Shown:
    collection, name = one.item.get("collection") or "none", one.item["id"]
    paths = {key: f"files/{collection}/{name}/{file.name}" for key, file in one.files.items()}
    # without a tile, two copies of an acquisition stay two
    optical = collection == "sentinel-2-l2a" and one.item.get("geometry")
    more = {"s2:mgrs_tile": mgrs_tile(one)} if optical else {}
    return _shown(one, name, more, paths, {key: key for key in one.item["assets"]})


def _planetary_s2(one: Held) -> Shown:
    about, moment, tile = one.properties, one.moment, mgrs_tile(one)
    satellite, stamp = platform_letter(one), f"{moment:%Y%m%dT%H%M%S}"
    baseline = str(about.get("s2:processing_baseline", "05.00"))
    made = _made(one)
    orbit = int(about.get("sat:relative_orbit", 51))
    name = one.item["id"]
    if not _MPC_S2.fullmatch(name):
        name = f"S2{satellite}_MSIL2A_{stamp}_R{orbit:03d}_T{tile}_{made}"
    safe = f"S2{satellite}_MSIL2A_{stamp}_N{baseline.replace('.', '')}_R{orbit:03d}_T{tile}_{made}.SAFE"
    folder = (
        f"sentinel2l2a01/sentinel2-l2/{tile[:2]}/{tile[2]}/{tile[3:]}/{moment:%Y/%m/%d}/{safe}"
        f"/GRANULE/L2A_T{tile}_A031012_{stamp}/IMG_DATA"
    )
    keys = {key: _BANDS.get(key, key) for key in one.item["assets"]}
    paths = {}
    for key in one.files:
        side = 10 if keys[key] in _FINE else 20
        paths[key] = f"{folder}/R{side}m/T{tile}_{stamp}_{keys[key]}_{side}m.tif"
    more = {
        "platform": f"Sentinel-2{satellite}",
        "constellation": "Sentinel 2",
        "sat:orbit_state": "descending",
        "sat:relative_orbit": orbit,
        "s2:mgrs_tile": tile,
        "s2:product_uri": safe,
    }
    return _shown(one, name, more, paths, keys)


def _planetary_s1(one: Held) -> Shown:
    moment, name = one.moment, one.item["id"]
    folder = (
        f"sentinel1euwestrtc/sentinel1-grd-rtc/GRD/{moment.year}/{moment.month}/{moment.day}/IW/DV/"
        f"{name.removesuffix('_rtc')}/measurement"
    )
    keys = {key: key.lower() for key in one.item["assets"]}
    paths = {key: f"{folder}/iw-{keys[key]}.rtc.tiff" for key in one.files}
    return _shown(one, name, {}, paths, keys)


def _earth_search(one: Held, taken: set[tuple[str, str]]) -> Shown:
    """Earth Search keeps items without offset (`earthsearch:boa_offset_applied`) in another bucket, sentinel-cogs."""
    about, moment, tile = one.properties, one.moment, mgrs_tile(one)
    satellite = platform_letter(one)
    name, sequence = one.item["id"], 0
    if not _EARTH_SEARCH.fullmatch(name):
        name = f"S2{satellite}_{tile}_{moment:%Y%m%d}_{sequence}_L2A"
        while ("sentinel-2-l2a", name) in taken:
            sequence += 1
            name = f"S2{satellite}_{tile}_{moment:%Y%m%d}_{sequence}_L2A"
    applied = bool(about.get("earthsearch:boa_offset_applied", False))
    clean = applied or str(about.get("s2:processing_baseline", "05.00")) < "04.00"
    place = f"{int(tile[:2])}/{tile[2]}/{tile[3:]}/{moment.year}/{moment.month}"
    bucket = "sentinel-cogs/sentinel-s2-l2a-cogs" if clean else "sentinel-s2-l2a/tiles"
    folder = f"{bucket}/{place}/{name}"
    keys = {key: EARTH_SEARCH_KEYS.get(key, key) for key in one.item["assets"]}
    paths = {key: f"{folder}/{_BANDS.get(keys[key], key)}.tif" for key in one.files}
    more = {
        "platform": f"sentinel-2{satellite.lower()}",
        "constellation": "sentinel-2",
        "mgrs:utm_zone": int(tile[:2]),
        "mgrs:latitude_band": tile[2],
        "mgrs:grid_square": tile[3:],
        "grid:code": f"MGRS-{tile}",
        "s2:sequence": name.split("_")[3],
        "earthsearch:s3_path": f"s3://{folder}",
        "earthsearch:boa_offset_applied": applied,
    }
    shown = _shown(one, name, more, paths, keys)
    # of the tile's names these are the others'
    shown.item["properties"].pop("s2:mgrs_tile", None)
    shown.item["links"] = [{"rel": "canonical", "href": f"s3://{folder}/{name}.json", "type": "application/json"}]
    return shown


def _opera(one: Held) -> Shown:
    name = one.item["id"]
    if not name.startswith("OPERA_L2_RTC-S1_"):
        burst = str(one.properties.get("opera:burst", "T088-187401-IW2"))
        made = "20240101T000000Z"
        name = f"OPERA_L2_RTC-S1_{burst}_{one.moment:%Y%m%dT%H%M%SZ}_{made}_S1A_30_v1.0"
    keys = {key: key.upper() for key in one.item["assets"]}
    paths = {key: f"OPERA/OPERA_L2_RTC-S1/{name}/{name}_{keys[key]}.tif" for key in one.files}
    return _shown(one, name, {}, paths, keys)


def _shown(one: Held, name: str, more: dict[str, Any], paths: dict[str, str], keys: dict[str, str]) -> Shown:
    item = copy.deepcopy(one.item)
    item |= {"id": name, "links": []}
    # properties of the item win over those made here, except platform and constellation
    kept = {key: value for key, value in item["properties"].items() if key not in ("platform", "constellation")}
    item["properties"] = {**item["properties"], **more, **kept}
    assets = {}
    for key, asset in item["assets"].items():
        if key in paths:
            asset["href"] = paths[key]
            asset.setdefault("type", _COG)
        assets[keys[key]] = asset
    item["assets"] = assets
    files = {paths[key]: file for key, file in one.files.items()}
    return Shown(item, files, str(item["properties"].get("sat:orbit_state", "")))


def platform_letter(one: Held) -> str:
    """A, B, C or D."""
    letter = str(one.properties.get("platform", "A"))[-1:].upper()
    return letter if letter in "ABCD" else "A"


def _made(one: Held) -> str:
    said = one.properties.get("s2:generation_time")
    if said:
        return re.sub(r"[-:]|\..*|Z", "", str(said))
    # an old baseline was processed on the day; a newer one of an old day is a reprocessing
    if str(one.properties.get("s2:processing_baseline", "05.00")) < "04.00":
        return f"{one.moment:%Y%m%d}T235959"
    return "20230201T000000"


def mgrs_tile(one: Held) -> str:
    """The tile of an item, such as 31UFS; by default the 100 km square at the centre of its footprint."""
    about = one.properties
    said = str(about.get("s2:mgrs_tile") or about.get("grid:code") or "").removeprefix("MGRS-")
    if re.fullmatch(r"\d{1,2}[A-Z]{3}", said):
        return said.rjust(5, "0")
    found = re.search(r"_T(\d{2}[A-Z]{3})_", one.item["id"])
    if found:
        return found[1]
    return mgrs_square(one)


def mgrs_square(one: Held) -> str:
    """The 100 km square at the centre of a footprint, in the zone of its pixels."""
    ring = one.item["geometry"]["coordinates"][0]
    while not isinstance(ring[0][0], (int, float)):
        ring = ring[0]
    # over the date line the ring may jump by 360 degrees
    lons = [ring[0][0] + (x - ring[0][0] + 180.0) % 360.0 - 180.0 for x, *_ in ring]
    lats = [y for _, y, *_ in ring]
    lon, lat = (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
    epsg = one.properties.get("proj:epsg")
    return square_at(lon, lat, int(epsg) % 100 if epsg else int((lon + 180.0) // 6.0) % 60 + 1)
