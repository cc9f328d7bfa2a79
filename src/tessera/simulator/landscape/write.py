"""Write simulated scenes as a static STAC catalogue with cloud-optimised GeoTIFFs."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import checked, new_folder, require, silent
from tessera.cubes import S2_BANDS
from tessera.geo import PIXEL_SIZE, square_at, to_lonlat
from tessera.rasters import RasterProfile, write_scene

from ._world import COARSE, FINE, World
from .classes import CLASSES, COLOURS
from .truth import write_truth

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.geo import Window

    from ._world import OpticalScene, RadarScene, S1Dates, S2Dates
    from .options import LandscapeOptions

_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json" for name in ("eo/v1.0.0", "projection/v1.0.0", "sat/v1.0.0")
]
_S2_LOCAL_TIME, _DESCENDING_TIME, _ASCENDING_TIME = 10.5, 6.0, 18.0
"""Local solar hours at which the satellites cross the equator (ESA mission guides)."""
_FALSE_NORTHING = 10_000_000.0


@dataclass(frozen=True)
class Simulation:
    """Simulated scenes on disk.

    Attributes
    ----------
    path : folder of the static STAC catalogue; pass it to `build_cube` as `source`
    window, year, seed : arguments of `simulate`
    truth : (H, W) uint8 on the window, index into `classes`; also in `path` / truth.tif
    classes : class names
    colours : red, green and blue of each class, 0 to 255
    s2_dates, s1_asc_dates, s1_desc_dates : dates of acquisition
    """

    path: Path
    window: Window
    year: int
    seed: int
    truth: NDArray[np.uint8]
    classes: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    s2_dates: tuple[dt.date, ...]
    s1_asc_dates: tuple[dt.date, ...]
    s1_desc_dates: tuple[dt.date, ...]


@checked
def simulate(
    path: str | Path,
    window: Window,
    year: int,
    *,
    seed: int = 0,
    progress: Progress = silent,
    s2_dates: S2Dates = 30,
    s1_dates: S1Dates = 25,
    options: LandscapeOptions | None = None,
) -> Simulation:
    """Simulate a place and a year, and write its scenes as a static STAC catalogue.

    The folder appears whole or not at all. The catalogue has the collections sentinel-2-l2a (ten bands at 10 and 20 m
    and SCL, uint16, with the offset of its processing baseline) and sentinel-1-rtc (VV and VH, float32 gamma0 in linear
    power, at 10 m). Assets have the names of Planetary Computer. truth.tif holds the true land cover. South of the
    equator items are in EPSG:327NN. It needs the extra `scenes`.

    Parameters
    ----------
    path : a new folder
    window : pixels of the lattice; scenes extend a few pixels beyond
    year : calendar year. Before 2022, baselines 02.14 (no offset) and 05.00 (offset) lie side by side
    seed : seed of landscape, weather and noise
    progress : called as `progress(done, total)` after each acquisition
    s2_dates : number of Sentinel-2 acquisitions, or their dates
    s1_dates : number of Sentinel-1 passes of each orbit, or (ascending dates, descending dates)
    options : a `tessera.simulator.LandscapeOptions`: roads, tree heights, towns, fires, another year of the same place,
        each with its truth beside the scenes

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        The path exists, the extra `scenes` is not installed, a date is given twice or outside the year, or there are
        more dates than Sentinel's revisit allows.

    Examples
    --------
    >>> import tessera
    >>> window = tessera.Window(zone=31, west=65855, north=561833, width=40, height=30)
    >>> scenes = tessera.simulate("simulated", window, 2023, seed=1, s2_dates=6, s1_dates=3)
    >>> tessera.build_cube(window, 2023, source="simulated").shape
    (30, 40)
    """
    require("rasterio", extra="scenes", purpose="writing simulated scenes")
    target = Path(path)
    with new_folder(target, "the scenes") as part:
        world = World(window, year, seed, s2_dates, s1_dates, options)
        with ThreadPoolExecutor(2) as pool:
            _Writer(part, world, pool).write(progress)
    return Simulation(
        path=target,
        window=window,
        year=year,
        seed=seed,
        truth=world.truth,
        classes=CLASSES,
        colours=COLOURS,
        s2_dates=world.s2_dates,
        s1_asc_dates=world.s1_asc_dates,
        s1_desc_dates=world.s1_desc_dates,
    )


class _Writer:
    def __init__(self, root: Path, world: World, pool: ThreadPoolExecutor) -> None:
        self.root, self.world, self.pool = root, world, pool
        frame = world.frame
        zone = world.window.zone
        self.south = frame.north <= 0
        self.epsg = (32700 if self.south else 32600) + zone
        self.left = float(frame.west * PIXEL_SIZE)
        self.top = float(frame.north * PIXEL_SIZE) + (_FALSE_NORTHING if self.south else 0.0)
        west, east = frame.west * PIXEL_SIZE, (frame.west + frame.width) * PIXEL_SIZE
        north, south = frame.north * PIXEL_SIZE, (frame.north - frame.height) * PIXEL_SIZE
        lon, lat = to_lonlat([west, east, east, west, west], [south, south, north, north, south], zone)
        self.ring = [[round(float(x), 8), round(float(y), 8)] for x, y in zip(lon, lat, strict=True)]
        lon, lat = to_lonlat((west + east) / 2, (north + south) / 2, zone)
        self.tile = square_at(float(lon), float(lat), zone)
        self.box = [
            min(x for x, _ in self.ring),
            min(y for _, y in self.ring),
            max(x for x, _ in self.ring),
            max(y for _, y in self.ring),
        ]

    def write(self, progress: Progress) -> None:
        world = self.world
        total = len(world.s2_dates) + len(world.s1_asc_dates) + len(world.s1_desc_dates)
        done = 0
        optical, radar = [], []
        for index in range(len(world.s2_dates)):
            optical.append(self._optical(world.optical(index)))
            done += 1
            progress(done, total)
        for ascending, days in ((True, world.s1_asc_dates), (False, world.s1_desc_dates)):
            for index in range(len(days)):
                radar.append(self._radar(world.radar(index, ascending)))
                done += 1
                progress(done, total)
        self._collection("sentinel-2-l2a", "Simulated Sentinel-2 Level-2A", optical)
        self._collection("sentinel-1-rtc", "Simulated Sentinel-1 radiometrically terrain corrected", radar)
        write_truth(self.root, world)
        window = world.window
        _write_json(
            self.root / "catalog.json",
            {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": f"simulated-utm{window.zone:02d}-{window.west}-{window.north}-{world.year}-seed{world.seed}",
                "description": "Simulated Sentinel-1 and Sentinel-2 scenes. Not an observation of the Earth.",
                "links": [
                    {"rel": "root", "href": "./catalog.json", "type": "application/json"},
                    *(
                        {"rel": "child", "href": f"./{name}/collection.json", "type": "application/json"}
                        for name in ("sentinel-2-l2a", "sentinel-1-rtc")
                    ),
                ],
            },
        )

    def _optical(self, scene: OpticalScene) -> str:
        moment = self._moment(scene.day, _S2_LOCAL_TIME)
        name = f"S2A_MSIL2A_{moment:%Y%m%dT%H%M%S}_N{scene.baseline.replace('.', '')}_SIM"
        bands: dict[str, tuple[NDArray[Any], int]] = {}
        bands |= {S2_BANDS[band]: (scene.fine[..., place], 1) for place, band in enumerate(FINE)}
        bands |= {S2_BANDS[band]: (scene.coarse[..., place], 2) for place, band in enumerate(COARSE)}
        bands["SCL"] = (scene.scl, 2)
        properties = {
            "platform": "Sentinel-2A",
            "constellation": "Sentinel 2",
            "instruments": ["msi"],
            "gsd": 10.0,
            "eo:cloud_cover": scene.cloud_cover,
            "s2:processing_baseline": scene.baseline,
            "s2:product_type": "S2MSI2A",
            "s2:mgrs_tile": self.tile,
            "s2:datatake_id": f"GS2A_{moment:%Y%m%dT%H%M%S}_000000_N{scene.baseline}",
        }
        return self._item("sentinel-2-l2a", name, moment, properties, bands, nodata=0)

    def _radar(self, scene: RadarScene) -> str:
        moment = self._moment(scene.day, _ASCENDING_TIME if scene.ascending else _DESCENDING_TIME)
        orbit = "ascending" if scene.ascending else "descending"
        name = f"S1A_IW_GRDH_1SDV_{moment:%Y%m%dT%H%M%S}_{orbit[0].upper()}_SIM_rtc"
        properties = {
            "platform": "SENTINEL-1A",
            "constellation": "Sentinel-1",
            "sar:instrument_mode": "IW",
            "sar:polarizations": ["VV", "VH"],
            "sat:orbit_state": orbit,
        }
        bands = {"vv": (scene.power[..., 0], 1), "vh": (scene.power[..., 1], 1)}
        return self._item("sentinel-1-rtc", name, moment, properties, bands, nodata=0)

    def _moment(self, day: dt.date, solar_hour: float) -> dt.datetime:
        midnight = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
        moment = midnight + dt.timedelta(hours=solar_hour - self.world.longitude / 15.0)
        return moment.replace(microsecond=0)

    def _item(
        self,
        collection: str,
        name: str,
        moment: dt.datetime,
        properties: dict[str, Any],
        bands: dict[str, tuple[NDArray[Any], int]],
        nodata: float,
    ) -> str:
        folder = self.root / collection / name
        folder.mkdir(parents=True)
        jobs = [
            self.pool.submit(self._cog, folder / f"{key}.tif", image, step, nodata)
            for key, (image, step) in bands.items()
        ]
        assets = {}
        for key, (image, step) in bands.items():
            side = float(PIXEL_SIZE * step)
            assets[key] = {
                "href": f"./{key}.tif",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
                "gsd": side,
                "proj:shape": list(image.shape),
                "proj:transform": [side, 0.0, self.left, 0.0, -side, self.top],
            }
        _write_json(
            folder / f"{name}.json",
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "stac_extensions": _EXTENSIONS,
                "id": name,
                "collection": collection,
                "bbox": self.box,
                "geometry": {"type": "Polygon", "coordinates": [self.ring]},
                "properties": {"datetime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "proj:epsg": self.epsg, **properties},
                "links": [
                    {"rel": "root", "href": "../../catalog.json", "type": "application/json"},
                    {"rel": "parent", "href": "../collection.json", "type": "application/json"},
                    {"rel": "collection", "href": "../collection.json", "type": "application/json"},
                ],
                "assets": assets,
            },
        )
        for job in jobs:
            job.result()
        return name

    def _cog(self, path: Path, image: NDArray[Any], step: int, nodata: float) -> None:
        side = float(PIXEL_SIZE * step)
        place = (side, 0.0, self.left, 0.0, -side, self.top)
        profile = RasterProfile(image.shape, image.dtype, f"EPSG:{self.epsg}", place, nodata=nodata)
        write_scene(path, image, profile, blocksize=256, level=1)

    def _collection(self, name: str, description: str, items: list[str]) -> None:
        days = [dt.date(self.world.year, 1, 1).isoformat(), dt.date(self.world.year, 12, 31).isoformat()]
        interval = [f"{days[0]}T00:00:00Z", f"{days[1]}T23:59:59Z"]
        _write_json(
            self.root / name / "collection.json",
            {
                "type": "Collection",
                "stac_version": "1.0.0",
                "id": name,
                "description": description,
                "license": "MIT",
                "extent": {"spatial": {"bbox": [self.box]}, "temporal": {"interval": [interval]}},
                "links": [
                    {"rel": "root", "href": "../catalog.json", "type": "application/json"},
                    {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
                    *(
                        {"rel": "item", "href": f"./{item}/{item}.json", "type": "application/geo+json"}
                        for item in items
                    ),
                ],
            },
        )


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
