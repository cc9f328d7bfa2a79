"""Real pixels as files and items in the layout of each provider, written from their documentation.

A `Shelf` is a folder: an asset at https://host/path lies in host/path, one at s3://bucket/path in bucket/path. Items
keep the provider's own addresses; `Shelf.served` rewrites them for a server, `Shelf.catalogue` for a static catalogue.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from real_pixels import COARSE, FINE, Ground, Pass
from real_shared import EARTH_SEARCH, ring, write_tiff

from tessera.geo import Window

MPC_S2 = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2"
MPC_S1 = "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc"
HARMONISED = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/sentinel-s2-l2a-cogs"
OPERA = "https://cumulus.asf.earthdatacloud.nasa.gov/OPERA/OPERA_L2_RTC-S1"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
OFFSET = 1000
"""BOA_ADD_OFFSET from processing baseline 04.00 on."""


def write_cog(
    path: Path,
    image: NDArray[Any],
    window: Window,
    side: float,
    *,
    nodata: float | None = 0,
    block: int = 32,
    **tags: str,
) -> None:
    """A cloud-optimised GeoTIFF with its overviews, its upper left corner the window's, in several blocks."""
    write_tiff(
        path,
        image,
        window,
        side=side,
        nodata=nodata,
        driver="COG",
        tags=tags,
        compress="deflate",
        predictor="floating_point" if image.dtype.kind == "f" else "standard",
        blocksize=block,
    )


@dataclass
class Shelf:
    """Files and items of any provider in one folder."""

    root: Path
    written: list[dict[str, Any]] = field(default_factory=list)

    def file_of(self, href: str) -> Path:
        """Where the file of an address lies."""
        parts = urlsplit(href)
        return self.root / parts.netloc / parts.path.lstrip("/")

    def items(self, address: Callable[[str], str] = str) -> list[dict[str, Any]]:
        """Copies of the items with every asset's address rewritten."""
        found = copy.deepcopy(self.written)
        for item in found:
            for asset in item["assets"].values():
                asset["href"] = address(asset["href"])
        return found

    def served(self, base: str) -> list[dict[str, Any]]:
        """Items for a server of the folder at an address."""
        return self.items(lambda href: f"{base}/{self.file_of(href).relative_to(self.root).as_posix()}")

    def catalogue(self, order: list[int] | None = None) -> Path:
        """Write a static catalogue over the files, in the order of writing or another; returns its folder."""
        items = self.items(lambda href: f"../{self.file_of(href).relative_to(self.root).as_posix()}")
        names = []
        for item in items:
            path = self.root / "items" / f"{item['collection']}.{item['id']}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(item))
            names.append(f"./items/{path.name}")
        links = [{"rel": "item", "href": names[place]} for place in order or range(len(names))]
        about = {"type": "Catalog", "stac_version": "1.0.0", "id": "real", "description": "Real pixels", "links": links}
        (self.root / "catalog.json").write_text(json.dumps(about))
        return self.root

    def _bands(
        self,
        ground: Ground,
        date: int,
        href: Callable[[str], str],
        change: Callable[[NDArray[np.uint16]], NDArray[np.uint16]] = lambda image: image,
    ) -> dict[str, dict[str, Any]]:
        """Write a date's ten bands and classes: band -> asset."""
        assets = {}
        for band in (*FINE, *COARSE, "SCL"):
            side = 10 if band in FINE else 20
            image = ground.scl[date] if band == "SCL" else change(ground.bands[band][date])
            write_cog(self.file_of(href(band)), np.ascontiguousarray(image), ground.window, side)
            assets[band] = {
                "href": href(band),
                "type": COG,
                "roles": ["data"],
                "gsd": float(side),
                **_grid(image, ground.window, side),
            }
        return assets

    def planetary_s2(
        self,
        ground: Ground,
        date: int,
        *,
        baseline: str = "05.00",
        cloud_cover: float = 20.0,
        platform: str = "A",
        orbit: int = 51,
        made: str = "20230201T000000",
    ) -> dict[str, Any]:
        """An item of Planetary Computer's sentinel-2-l2a: numbers as ESA made them, with the offset from 04.00 on."""
        moment, tile = ground.moments[date], ground.tile
        stamp = moment.strftime("%Y%m%dT%H%M%S")
        number = baseline.replace(".", "")
        name = f"S2{platform}_MSIL2A_{stamp}_R{orbit:03d}_T{tile}_{made}"
        safe = f"S2{platform}_MSIL2A_{stamp}_N{number}_R{orbit:03d}_T{tile}_{made}.SAFE"
        folder = (
            f"{MPC_S2}/{tile[:2]}/{tile[2]}/{tile[3:]}/{moment:%Y/%m/%d}/{safe}/GRANULE/"
            f"L2A_T{tile}_A031012_{stamp}/IMG_DATA"
        )

        def href(band: str) -> str:
            side = 10 if band in FINE else 20
            return f"{folder}/R{side}m/T{tile}_{stamp}_{band}_{side}m.tif"

        def stored(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
            return with_offset(image) if baseline >= "04.00" else image

        properties = {
            "datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.024000Z"),
            "platform": f"Sentinel-2{platform}",
            "constellation": "Sentinel 2",
            "instruments": ["msi"],
            "eo:cloud_cover": cloud_cover,
            "sat:orbit_state": "descending",
            "sat:relative_orbit": orbit,
            "proj:epsg": 32600 + ground.window.zone,
            "s2:mgrs_tile": tile,
            "s2:product_uri": safe,
            "s2:product_type": "S2MSI2A",
            "s2:processing_baseline": baseline,
            "s2:generation_time": f"{dt.datetime.strptime(made, '%Y%m%dT%H%M%S').isoformat()}.000Z",
            "s2:datatake_id": f"GS2{platform}_{stamp}_031012_N{baseline}",
        }
        return self._put(name, "sentinel-2-l2a", properties, self._bands(ground, date, href, stored), ground.window)

    def planetary_s1(self, ground: Ground, seen: Pass, *, number: int = 0) -> dict[str, Any]:
        """An item of Planetary Computer's sentinel-1-rtc: linear power, -32768 where there is none."""
        start, stop = seen.moment, seen.moment + dt.timedelta(seconds=25)
        name = f"S1A_IW_GRDH_1SDV_{start:%Y%m%dT%H%M%S}_{stop:%Y%m%dT%H%M%S}_{38000 + number:06d}_048{number:03X}_rtc"
        folder = f"{MPC_S1}/GRD/{start.year}/{start.month}/{start.day}/IW/DV/{name[:-4]}_0000/measurement"
        assets = {}
        for key, image in (("vv", seen.vv), ("vh", seen.vh)):
            if image is None:
                continue
            href = f"{folder}/iw-{key}.rtc.tiff"
            write_cog(self.file_of(href), np.where(np.isnan(image), -32768, image), ground.window, 10, nodata=-32768.0)
            assets[key] = {
                "href": href,
                "type": COG,
                "roles": ["data"],
                "title": f"{key.upper()}: terrain-corrected gamma naught values",
                "raster:bands": [{"nodata": -32768, "data_type": "float32", "spatial_resolution": 10.0}],
            }
        properties = {
            "datetime": start.strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
            "start_datetime": start.strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
            "end_datetime": stop.strftime("%Y-%m-%dT%H:%M:%S.123456Z"),
            "platform": "SENTINEL-1A",
            "constellation": "Sentinel-1",
            "sar:instrument_mode": "IW",
            "sar:product_type": "GRD",
            "sar:polarizations": [key.upper() for key in assets],
            "sat:orbit_state": seen.orbit,
            "s1:processing_level": "1",
            "proj:epsg": 32600 + ground.window.zone,
        }
        return self._put(name, "sentinel-1-rtc", properties, assets, ground.window)

    def earth_search(
        self,
        ground: Ground,
        date: int,
        *,
        baseline: str = "05.00",
        cloud_cover: float = 20.0,
        platform: str = "A",
        sequence: int = 0,
        applied: bool | None = None,
    ) -> dict[str, Any]:
        """An item of Earth Search's sentinel-2-l2a: Element 84's copies, whose numbers carry no offset.

        `applied` is its own note that the offset has been taken off; by default it is true from baseline 04.00 on.
        """
        moment, tile = ground.moments[date], ground.tile
        name = f"S2{platform}_{tile}_{moment:%Y%m%d}_{sequence}_L2A"
        folder = f"{HARMONISED}/{int(tile[:2])}/{tile[2]}/{tile[3:]}/{moment.year}/{moment.month}/{name}"
        bands = self._bands(ground, date, lambda band: f"{folder}/{band}.tif")
        scale = {"scale": 0.0001, "offset": -0.1 if baseline >= "04.00" else 0}
        assets = {}
        for band, asset in bands.items():
            about = {
                "nodata": 0,
                "data_type": "uint8" if band == "SCL" else "uint16",
                "spatial_resolution": asset["gsd"],
            }
            assets[EARTH_SEARCH[band]] = asset | {"raster:bands": [about if band == "SCL" else about | scale]}
        stamp = moment.strftime("%Y%m%dT%H%M%S")
        uri = f"S2{platform}_MSIL2A_{stamp}_N{baseline.replace('.', '')}_R051_T{tile}_20230201T000000.SAFE"
        key = folder.removeprefix("https://sentinel-cogs.s3.us-west-2.amazonaws.com/")
        properties = {
            "datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.405000Z"),
            "platform": f"sentinel-2{platform.lower()}",
            "constellation": "sentinel-2",
            "instruments": ["msi"],
            "eo:cloud_cover": cloud_cover,
            "proj:epsg": 32600 + ground.window.zone,
            "mgrs:utm_zone": int(tile[:2]),
            "mgrs:latitude_band": tile[2],
            "mgrs:grid_square": tile[3:],
            "grid:code": f"MGRS-{tile}",
            "s2:processing_baseline": baseline,
            "s2:product_uri": uri,
            "s2:datatake_id": f"GS2{platform}_{stamp}_031012_N{baseline}",
            "s2:sequence": str(sequence),
            "earthsearch:s3_path": f"s3://sentinel-cogs/{key}",
            "earthsearch:payload_id": "roda-sentinel2/workflow-sentinel2-to-stac/0",
            "earthsearch:boa_offset_applied": baseline >= "04.00" if applied is None else applied,
        }
        item = self._put(name, "sentinel-2-l2a", properties, assets, ground.window)
        item["links"] = [{"rel": "canonical", "href": f"s3://sentinel-cogs/{key}/{name}.json"}]
        return item

    def opera(self, ground: Ground, seen: Pass, *, burst: str = "T088-187401-IW2") -> dict[str, Any]:
        """A granule of OPERA RTC-S1 as CMR's granules.json tells it: 30 m, every third pixel of every third row.

        Returns the entry. The shelf's catalogue gets it as an item too, of the collection "opera-rtc-s1".
        """
        moment = seen.moment.strftime("%Y%m%dT%H%M%SZ")
        name = f"OPERA_L2_RTC-S1_{burst}_{moment}_20240101T000000Z_S1A_30_v1.0"
        links = []
        for key, image in (("VV", seen.vv), ("VH", seen.vh)):
            if image is None:
                continue
            href = f"{OPERA}/{name}/{name}_{key}.tif"
            small = np.ascontiguousarray(image[1::3, 1::3])
            write_cog(
                self.file_of(href), small, ground.window, 30, nodata=np.nan, ORBIT_PASS_DIRECTION=seen.orbit.upper()
            )
            data = "http://esipfed.org/ns/fedsearch/1.1/data#"
            links.append({"rel": data, "href": href, "title": f"Download {name}_{key}.tif"})
            links.append(
                {"rel": data.replace("data#", "s3#"), "href": f"s3://asf-cumulus-prod-opera-products/{name}_{key}.tif"}
            )
        corners = ring(ground.window)
        properties = {
            "datetime": seen.moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
            "platform": "sentinel-1a",
            "sat:orbit_state": seen.orbit,
        }
        assets = {
            link["title"][-6:-4]: {"href": link["href"], "type": COG, "roles": ["data"]}
            for link in links
            if "title" in link
        }
        self._put(name, "opera-rtc-s1", properties, assets, ground.window)
        return {
            "id": f"G{zlib.crc32(name.encode())}-ASF",
            "title": name,
            "producer_granule_id": name,
            "collection_concept_id": "C2777436413-ASF",
            "time_start": seen.moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "time_end": (seen.moment + dt.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "polygons": [[" ".join(f"{lat} {lon}" for lon, lat in corners)]],
            "links": links,
        }

    def _put(
        self, name: str, collection: str, properties: dict[str, Any], assets: dict[str, Any], window: Window
    ) -> dict[str, Any]:
        corners = ring(window)
        lons, lats = [x for x, _ in corners], [y for _, y in corners]
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": name,
            "collection": collection,
            "geometry": {"type": "Polygon", "coordinates": [corners]},
            "bbox": [min(lons), min(lats), max(lons), max(lats)],
            "properties": properties,
            "links": [],
            "assets": assets,
        }
        self.written.append(item)
        return item


def with_offset(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Digital numbers of baseline 04.00 and later of a reflectance: 1000 more; 0 is no data."""
    return np.where(image == 0, 0, image + np.uint16(OFFSET)).astype(np.uint16)


def _grid(image: NDArray[Any], window: Window, side: int) -> dict[str, Any]:
    left, _, _, top = window.bounds
    return {"proj:shape": list(image.shape), "proj:transform": [side, 0, left, 0, -side, top]}
