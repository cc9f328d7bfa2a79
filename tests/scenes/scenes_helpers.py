"""A small static catalogue written by hand, one item at a time."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from tessera.cubes import S2_BANDS, PixelCube
from tessera.geo import Window, to_lonlat

WINDOW = Window(31, 64 * 1024, 548 * 1024, 16, 12)
FINE = ("B04", "B02", "B03", "B08")
EARTH_SEARCH = {
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
"""Band -> what Earth Search calls it, from its documentation; the tests' only table of it."""


def write_tiff(
    path: Path,
    image: NDArray[Any],
    window: Window,
    *,
    side: float = 10.0,
    epsg: int | None = None,
    nodata: float | None = 0,
    driver: str = "GTiff",
    tags: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """A GeoTIFF whose upper left corner is the window's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left, _, _, top = window.bounds
    with rasterio.open(
        path,
        "w",
        driver=driver,
        height=image.shape[0],
        width=image.shape[1],
        count=1,
        dtype=image.dtype,
        crs=f"EPSG:{epsg or 32600 + window.zone}",
        transform=Affine(side, 0.0, left, 0.0, -side, top),
        nodata=nodata,
        **options,
    ) as file:
        file.write(image, 1)
        file.update_tags(**(tags or {}))


def ring(window: Window) -> list[list[float]]:
    """The outline in degrees."""
    left, bottom, right, top = window.bounds
    lon, lat = to_lonlat([left, right, right, left, left], [bottom, bottom, top, top, bottom], window.zone)
    return [[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]


@dataclass
class Catalog:
    """Collects items and writes catalog.json; all of it flat in one folder."""

    root: Path
    items: list[str] = field(default_factory=list)

    def add(self, item: dict[str, Any]) -> None:
        path = self.root / item["id"] / "item.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(item))
        self.items.append(f"./{item['id']}/item.json")
        self.save()

    def save(self, *more: dict[str, Any]) -> None:
        links = [{"rel": "item", "href": href} for href in self.items]
        document = {"type": "Catalog", "stac_version": "1.0.0", "id": "by-hand", "description": "", "links": links}
        document["links"] = [*links, *more]
        (self.root / "catalog.json").write_text(json.dumps(document))

    def shuffle(self, seed: int) -> None:
        random.Random(seed).shuffle(self.items)
        self.save()

    def edit(self, name: str, change: Any) -> None:
        path = self.root / name / "item.json"
        item = json.loads(path.read_text())
        change(item)
        path.write_text(json.dumps(item))

    def s2(
        self,
        name: str,
        moment: str,
        *,
        dn: NDArray[np.uint16] | int = 2500,
        scl: NDArray[np.uint8] | int = 4,
        baseline: str = "05.09",
        cloud_cover: float | None = 10.0,
        window: Window = WINDOW,
        earth_search: bool = False,
    ) -> None:
        """A Sentinel-2 item: `dn` (H, W) in the 10 m bands, its every second pixel in the 20 m bands."""
        height, width = window.shape
        fine = np.broadcast_to(np.asarray(dn, dtype=np.uint16), (height, width))
        classes = np.broadcast_to(np.asarray(scl, dtype=np.uint8), (height // 2, width // 2))
        assets = {}
        for band in (*S2_BANDS, "SCL"):
            image = classes if band == "SCL" else fine if band in FINE else fine[::2, ::2]
            side = 10.0 if band in FINE else 20.0
            write_tiff(self.root / name / f"{band}.tif", np.ascontiguousarray(image), window, side=side)
            key = EARTH_SEARCH[band] if earth_search else band
            assets[key] = {"href": f"./{band}.tif", "type": "image/tiff; application=geotiff"}
        properties: dict[str, Any] = {"datetime": moment, "s2:processing_baseline": baseline}
        if cloud_cover is not None:
            properties["eo:cloud_cover"] = cloud_cover
        self._item(name, "sentinel-2-l2a", properties, assets, window)

    def s1(
        self,
        name: str,
        moment: str,
        *,
        vv: NDArray[np.float32] | float = 0.1,
        vh: NDArray[np.float32] | float = 0.02,
        orbit: str = "ascending",
        window: Window = WINDOW,
    ) -> None:
        """A Sentinel-1 item of linear power."""
        assets = {}
        for key, power in (("vv", vv), ("vh", vh)):
            image = np.broadcast_to(np.asarray(power, dtype=np.float32), window.shape)
            write_tiff(self.root / name / f"{key}.tif", np.ascontiguousarray(image), window)
            assets[key] = {"href": f"./{key}.tif", "type": "image/tiff; application=geotiff"}
        self._item(name, "sentinel-1-rtc", {"datetime": moment, "sat:orbit_state": orbit}, assets, window)

    def _item(
        self, name: str, collection: str, properties: dict[str, Any], assets: dict[str, Any], window: Window
    ) -> None:
        corners = ring(window)
        self.add(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": name,
                "collection": collection,
                "geometry": {"type": "Polygon", "coordinates": [corners]},
                "bbox": [
                    min(x for x, _ in corners),
                    min(y for _, y in corners),
                    max(x for x, _ in corners),
                    max(y for _, y in corners),
                ],
                "properties": properties,
                "links": [],
                "assets": assets,
            }
        )


def digest(folder: Path) -> str:
    """SHA-256 of every file of a folder, with its name."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return total.hexdigest()


def assert_same(one: PixelCube, other: PixelCube) -> None:
    """Every observation, day and the grid are equal."""
    for name in ("s2", "s2_mask", "s2_doy", "s1_asc", "s1_asc_doy", "s1_desc", "s1_desc_doy"):
        a, b = np.asarray(getattr(one, name)[:]), np.asarray(getattr(other, name)[:])
        assert a.shape == b.shape, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert one.grid == other.grid
