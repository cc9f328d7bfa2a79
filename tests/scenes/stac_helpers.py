"""Items in the shapes of providers, and a STAC API that answers from a list, without a server."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tessera.net import Answer
from tessera.scenes import Query

PC_BASE = "https://planetarycomputer.microsoft.com/api/stac/v1/collections/sentinel-2-l2a/items/x"
COGS = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs"
ORIGINALS = "s3://sentinel-s2-l2a/tiles"
NAMES = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22", "scl")
BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12", "SCL")
RING = [[5.0, 51.0], [6.5, 51.0], [6.5, 52.0], [5.0, 52.0], [5.0, 51.0]]


def planetary(
    tile: str = "31UFS", start: str = "20210601T105031", satellite: str = "S2A", baseline: str = "03.00"
) -> dict[str, Any]:
    """An acquisition as Planetary Computer tells it."""
    name = f"{satellite}_MSIL2A_{start}_R051_T{tile}_20210602T080201"
    folder = f"https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/U/FS/2021/06/01/{name}.SAFE/GRANULE"
    assets = {band: {"href": f"{folder}/IMG_DATA/T{tile}_{start}_{band}.tif"} for band in BANDS}
    about = {
        "datetime": f"{start[:4]}-{start[4:6]}-{start[6:8]}T{start[9:11]}:{start[11:13]}:{start[13:15]}.024000Z",
        "platform": f"Sentinel-2{satellite[2]}",
        "s2:mgrs_tile": tile,
        "s2:datatake_id": f"G{satellite}_{start}_031012_N{baseline}",
        "s2:product_uri": f"{satellite}_MSIL2A_{start}_N{baseline.replace('.', '')}_R051_T{tile}_20210602T080201.SAFE",
        "s2:processing_baseline": baseline,
        "eo:cloud_cover": 12.5,
        "sat:orbit_state": "descending",
    }
    links = [{"rel": "self", "href": PC_BASE}]
    return feature(name, "sentinel-2-l2a", about, assets, links)


def earth_search(
    tile: str = "31UFS",
    start: str = "20210601T105031",
    satellite: str = "S2A",
    baseline: str = "05.00",
    sequence: int = 1,
    applied: bool | None = True,
) -> dict[str, Any]:
    """The same, as version 1 of Earth Search tells it."""
    zone = int(tile[:-3])
    name = f"{satellite}_{tile}_{start[:8]}_{sequence}_L2A"
    path = f"{zone}/{tile[-3]}/{tile[-2:]}/{start[:4]}/{int(start[4:6])}/{name}"
    bands = dict(zip(NAMES, BANDS, strict=True))
    assets: dict[str, Any] = {key: {"href": f"{COGS}/{path}/{band}.tif"} for key, band in bands.items()}
    assets |= {f"{key}-jp2": {"href": f"{ORIGINALS}/{path}/R10m/{band}.jp2"} for key, band in bands.items()}
    assets["granule_metadata"] = {"href": f"{ORIGINALS}/{path}/metadata.xml"}
    about = {
        "datetime": f"{start[:4]}-{start[4:6]}-{start[6:8]}T11:03:25.405000Z",  # of the tile, not of the pass
        "platform": f"sentinel-2{satellite[2].lower()}",
        "mgrs:utm_zone": zone,
        "mgrs:latitude_band": tile[-3],
        "mgrs:grid_square": tile[-2:],
        "grid:code": f"MGRS-{tile.lstrip('0')}",
        "s2:datatake_id": f"G{satellite}_{start}_031012_N{baseline}",
        "s2:product_uri": f"{satellite}_MSIL2A_{start}_N{baseline.replace('.', '')}_R051_T{tile}_20210602T080201.SAFE",
        "s2:processing_baseline": baseline,
        "s2:sequence": str(sequence),
        "eo:cloud_cover": 12.5,
        "earthsearch:s3_path": f"s3://sentinel-cogs/sentinel-s2-l2a-cogs/{path}",
    }
    if applied is not None:
        about["earthsearch:boa_offset_applied"] = applied
    links = [
        {"rel": "self", "href": f"https://earth-search.aws.element84.com/v1/collections/sentinel-2-l2a/items/{name}"}
    ]
    return feature(name, "sentinel-2-l2a", about, assets, links)


def radar(polarisations: tuple[str, ...] = ("vv", "vh"), orbit: str = "ascending") -> dict[str, Any]:
    """An acquisition of Sentinel-1 as Planetary Computer tells it."""
    name = "S1A_IW_GRDH_1SDV_20210601T172411_20210601T172436_038151_0480A5_rtc"
    assets = {
        key: {"href": f"https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/x/iw-{key}.rtc.tiff"}
        for key in polarisations
    }
    about = {"datetime": "2021-06-01T17:24:24.123Z", "platform": "SENTINEL-1A", "sat:orbit_state": orbit}
    return feature(name, "sentinel-1-rtc", about, assets, [])


def feature(
    name: str, collection: str, about: dict[str, Any], assets: dict[str, Any], links: list[Any]
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [RING]},
        "bbox": [5.0, 51.0, 6.5, 52.0],
        "properties": about,
        "assets": assets,
        "links": links,
    }


API = "https://stac.example/v1"
Reply = Callable[[str, str, Any], Any]


def query(
    first: str = "2021-06-01", last: str = "2021-06-30", box: tuple[float, float, float, float] = (5.0, 51.0, 6.0, 52.0)
) -> Query:
    return Query(box, dt.date.fromisoformat(first), dt.date.fromisoformat(last))


def on(day: str, number: int = 0) -> dict[str, Any]:
    """An item of a day."""
    return earth_search(start=f"{day.replace('-', '')}T105031", sequence=number)


class FakeWeb:
    """Stands in for `Web`: `reply` makes the JSON of every request, or raises."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self._lock = threading.Lock()

    def _answer(self, method: str, url: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        with self._lock:
            self.asked.append((method, url, body))
            self.headers.append(dict(headers or {}))
        told = self.reply(method, url, body)
        return Answer(told if isinstance(told, bytes) else json.dumps(told).encode(), None, {})

    def get(self, url: str, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        assert limit <= 1 << 26
        return self._answer("GET", url, None, headers)

    def post(self, url: str, body: Any, *, limit: int, headers: Mapping[str, str] | None = None) -> Answer:
        assert limit <= 1 << 26
        return self._answer("POST", url, json.loads(json.dumps(body)), headers)


def span_of(body: Any) -> tuple[dt.date, dt.date]:
    """First day, and the day after the last, that a search asks for."""
    first, last = body["datetime"].split("/")
    return dt.date.fromisoformat(first[:10]), dt.date.fromisoformat(last[:10])


def day_of(item: dict[str, Any]) -> dt.date:
    return dt.date.fromisoformat(item["properties"]["datetime"][:10])


def listed(items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": items, **more}
