"""Scenes to read: one tile, many dates, ten bands and classes as cloud-optimised GeoTIFFs, larger than the window.

Pixels come from the simulator (fields, noise, clouds), a piece of 640 x 640 of it mirrored over the scene, so that they
compress as real ones do and no mirrored part lies within deflate's reach. Even dates have blocks of 512, as Planetary
Computer's files have, odd ones of 1024, as Earth Search's. A date beyond the distinct ones is the same files under
other names. Every date has clear pixels in the window, so that nobody can leave out its bands.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import Window, to_lonlat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FINE = ("B02", "B03", "B04", "B08")
COARSE = ("B05", "B06", "B07", "B8A", "B11", "B12")
BANDS = (*FINE, *COARSE)
YEAR = 2023
PIECE = 640
_CORNER = (31, 60_000, 561_200)
"""Zone, and the scenes' upper left corner in pixels of the lattice; it lies on the 20 m grid."""
_CLEAR = (4, 5, 6, 7, 10, 11)


@dataclass(frozen=True)
class Setup:
    """What is read: a window of `side` pixels at `offset` in `dates` scenes of `scene` pixels, `distinct` different."""

    dates: int = 100
    distinct: int = 20
    scene: int = 2560
    side: int = 1024
    offset: tuple[int, int] = (620, 700)

    @property
    def whole(self) -> Window:
        """The scenes' pixels."""
        return Window(*_CORNER, self.scene, self.scene)

    @property
    def window(self) -> Window:
        """The pixels that are wanted."""
        zone, west, north = _CORNER
        return Window(zone, west + self.offset[1], north - self.offset[0], self.side, self.side)

    def moment(self, date: int) -> dt.datetime:
        """When a scene was taken: dates go through the year evenly."""
        first = dt.datetime(YEAR, 1, 1, 10, 50, 31, tzinfo=dt.UTC)
        return first + dt.timedelta(days=date * 364 // max(1, self.dates - 1))


def make(folder: Path, setup: Setup) -> None:
    """Write the scenes, unless they are there."""
    note = folder / "setup.json"
    wanted = json.dumps(asdict(setup))
    if note.is_file() and note.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    items, jobs = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (bands, scl, baseline) in enumerate(_pieces(setup.distinct)):
            images: dict[str, NDArray[Any]] = {**bands, "SCL": scl}
            for band, image in images.items():
                path = folder / f"distinct/{number:03d}/{band}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                jobs.append(pool.submit(_write, path, image, setup, block=(512, 1024)[number % 2]))
            dates = range(number, setup.dates, setup.distinct)
            items += [_item(setup, date, number, baseline) for date in dates]
    for job in jobs:
        job.result()
    items.sort(key=lambda item: str(item["id"]))
    for item in items:
        source = folder / "distinct" / f"{item['properties'].pop('number'):03d}"
        target = folder / "scenes" / item["id"]
        target.mkdir(parents=True)
        for path in sorted(source.iterdir()):
            os.link(path, target / path.name)
        for band, asset in item["assets"].items():
            asset["href"] = f"{{base}}/scenes/{item['id']}/{band}.tif"
    (folder / "items.json").write_text(json.dumps(items))
    note.write_text(wanted)


def _pieces(count: int) -> Iterator[tuple[dict[str, NDArray[np.uint16]], NDArray[np.uint8], str]]:
    """Digital numbers, classes and baseline of simulated dates that are at least a tenth clear."""
    import rasterio

    from tessera.simulator import simulate

    found = 0
    for seed in range(9):
        with tempfile.TemporaryDirectory() as temporary:
            window = Window(_CORNER[0], _CORNER[1], _CORNER[2], PIECE, PIECE)
            made = simulate(Path(temporary) / "stac", window, YEAR, seed=seed, s2_dates=30, s1_dates=0)
            for path in sorted(made.path.rglob("*.json")):
                item = json.loads(path.read_text())
                if item.get("collection") != "sentinel-2-l2a":
                    continue
                images = {}
                for band in (*BANDS, "SCL"):
                    with rasterio.open(path.parent / item["assets"][band]["href"]) as file:
                        side = PIECE if band in FINE else PIECE // 2
                        images[band] = np.asarray(file.read(1))[:side, :side]
                scl = images.pop("SCL")
                if np.isin(scl, _CLEAR).mean() < 0.1:
                    continue
                yield images, scl, item["properties"]["s2:processing_baseline"]
                found += 1
                if found == count:
                    return
    raise SystemExit(f"the simulator gave {found} dates that are clear enough; expected {count}")


def _write(path: Path, image: NDArray[Any], setup: Setup, *, block: int) -> None:
    import rasterio
    from rasterio.transform import Affine

    side = 10 if image.shape[0] == PIECE else 20
    size = setup.scene * 10 // side
    left, _, _, top = setup.whole.bounds
    with rasterio.open(
        path,
        "w",
        driver="COG",
        height=size,
        width=size,
        count=1,
        dtype=image.dtype,
        crs=f"EPSG:{32600 + setup.whole.zone}",
        transform=Affine(side, 0, left, 0, -side, top),
        nodata=0,
        compress="deflate",
        predictor="standard",
        blocksize=block,
    ) as file:
        file.write(np.pad(image, [(0, size - image.shape[0]), (0, size - image.shape[1])], mode="symmetric"), 1)


def _item(setup: Setup, date: int, number: int, baseline: str) -> dict[str, Any]:
    moment, window = setup.moment(date), setup.whole
    left, bottom, right, top = window.bounds
    x, y = [left, right, right, left, left], [bottom, bottom, top, top, bottom]
    lon, lat = (np.asarray(part).tolist() for part in to_lonlat(x, y, window.zone))
    stamp = moment.strftime("%Y%m%dT%H%M%S")
    assets = {}
    for band in (*BANDS, "SCL"):
        side = 10 if band in FINE else 20
        size = setup.scene * 10 // side
        assets[band] = {
            "href": "",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            "proj:shape": [size, size],
            "proj:transform": [side, 0, left, 0, -side, top],
            "raster:bands": [{"nodata": 0, "data_type": "uint8" if band == "SCL" else "uint16"}],
        }
    schemas = "https://stac-extensions.github.io"
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [f"{schemas}/projection/v1.1.0/schema.json", f"{schemas}/raster/v1.1.0/schema.json"],
        "id": f"S2A_MSIL2A_{stamp}_R051_T31UFS_{YEAR + 1}0101T000000",
        "collection": "sentinel-2-l2a",
        "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in zip(lon, lat, strict=True)]]},
        "bbox": [min(lon), min(lat), max(lon), max(lat)],
        "properties": {
            "datetime": moment.strftime("%Y-%m-%dT%H:%M:%S.024000Z"),
            "platform": "Sentinel-2A",
            "eo:cloud_cover": 30.0,
            "proj:epsg": 32600 + window.zone,
            "s2:mgrs_tile": "31UFS",
            "s2:processing_baseline": baseline,
            "s2:datatake_id": f"GS2A_{stamp}_{date:06d}_N{baseline}",
            "number": number,
        },
        "links": [],
        "assets": assets,
    }


def touched(folder: Path, setup: Setup) -> tuple[int, int]:
    """Bytes and number of the blocks of full resolution that the window touches, of every band and date.

    A 20 m band is bilinear, so the next pixel beyond the window counts.
    """
    import rasterio

    total = blocks = 0
    for date in range(setup.dates):
        for band in (*BANDS, "SCL"):
            path = folder / f"distinct/{date % setup.distinct:03d}/{band}.tif"
            step = 1 if band in FINE else 2
            margin = 1 if band in COARSE else 0
            with rasterio.open(path) as file:
                (block, _), size = file.block_shapes[0], file.height
                ranges = []
                for start in setup.offset:
                    first = max(0, start // step - margin)
                    last = min(size - 1, -(-(start + setup.side) // step) - 1 + margin)
                    ranges.append(range(first // block, last // block + 1))
                for row in ranges[0]:
                    for col in ranges[1]:
                        total += int(file.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1) or 0)
                        blocks += 1
    return total, blocks
