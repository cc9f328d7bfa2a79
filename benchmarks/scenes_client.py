"""One reader of scenes in a process of its own, for scenes.py: seconds, peak memory, and one date to compare.

python benchmarks/scenes_client.py KIND URL SETUP DATE FOLDER THREADS

The clock runs from the search to the last pixel; imports are done before. Ours writes its cube to FOLDER, the peers
hold their arrays. THREADS are the peers'. It prints one JSON line, and leaves the pixels of one date in
FOLDER/pixels.npy.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenes_data import BANDS, COARSE, FINE, YEAR, Setup

Read = Callable[[int], NDArray[Any]]


def peak() -> int:
    """The most memory that this process held, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def found_items(url: str, setup: Setup) -> list[Any]:
    """The search as peers do it."""
    from pystac_client import Client

    left, bottom, right, top = setup.window.bounds
    from tessera.geo import to_lonlat

    lon, lat = to_lonlat([left, right], [bottom, top], setup.window.zone)
    box = [float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())]
    search = Client.open(url).search(
        collections=["sentinel-2-l2a"], bbox=box, datetime=f"{YEAR}-01-01/{YEAR}-12-31", limit=200
    )
    return list(search.items())


def ours(url: str, setup: Setup, folder: Path, **options: Any) -> Read:
    """Scenes to a cube on disk."""
    from tessera.scenes import build_cube

    cube = build_cube(setup.window, YEAR, source=f"stac:{url}", out=folder / "cube", **options)
    assert cube.s2.shape == (setup.dates, *setup.window.shape, len(BANDS)), cube.s2.shape
    return lambda date: np.asarray(cube.s2[date])


def odc(url: str, setup: Setup, pool: int | None = None) -> Read:
    """odc-stac, eager, onto the same grid, with nearest for 10 m bands and bilinear for 20 m bands."""
    import odc.stac
    from affine import Affine
    from odc.geo.geobox import GeoBox

    odc.stac.configure_rio(cloud_defaults=True)
    grid = setup.window.grid
    stack = odc.stac.load(
        found_items(url, setup),
        bands=[*BANDS, "SCL"],
        geobox=GeoBox(setup.window.shape, Affine(*grid.transform), grid.crs),
        resampling=dict.fromkeys((*FINE, "SCL"), "nearest") | dict.fromkeys(COARSE, "bilinear"),
        groupby="solar_day",
        pool=pool,
    )
    assert stack["B04"].shape == (setup.dates, *setup.window.shape)
    return lambda date: np.stack([stack[band].values[date] for band in _order()], axis=-1)


def stackstac(url: str, setup: Setup, threads: int) -> Read:
    """stackstac with what makes it fastest and smallest: uint16, no rescaling, one chunk a file, threads."""
    from rasterio.enums import Resampling

    dask: Any = import_module("dask")
    library: Any = import_module("stackstac")
    items = found_items(url, setup)
    left, bottom, right, top = setup.window.bounds
    stacks = [
        library.stack(
            items,
            assets=list(bands),
            epsg=32600 + setup.window.zone,
            resolution=10,
            bounds=(left, bottom, right, top),
            snap_bounds=False,
            resampling=how,
            dtype=np.dtype(kind),
            fill_value=np.dtype(kind).type(0),
            rescale=False,
            chunksize=setup.side,
            xy_coords=False,
            properties=False,
            band_coords=False,
        )
        for bands, how, kind in (
            (FINE, Resampling.nearest, "uint16"),
            (COARSE, Resampling.bilinear, "uint16"),
            (("SCL",), Resampling.nearest, "uint8"),
        )
    ]
    with dask.config.set(scheduler="threads", num_workers=threads):
        fine, coarse, _ = dask.compute(*(stack.data for stack in stacks))
    assert fine.shape == (setup.dates, len(FINE), *setup.window.shape)

    def one(date: int) -> NDArray[Any]:
        bands = dict(zip((*FINE, *COARSE), [*fine[date], *coarse[date]], strict=True))
        return np.stack([bands[band] for band in _order()], axis=-1)

    return one


def _order() -> tuple[str, ...]:
    from tessera.cubes import S2_BANDS

    return S2_BANDS


KINDS: dict[str, Callable[[str, Setup, Path, int], Read]] = {
    "ours": lambda url, setup, folder, _: ours(url, setup, folder),
    "ours, odc reader": lambda url, setup, folder, _: ours(url, setup, folder, reader="odc"),
    "stackstac": lambda url, setup, _, threads: stackstac(url, setup, threads),
    "odc-stac eager": lambda url, setup, *_: odc(url, setup),
    "odc-stac eager, pool": lambda url, setup, _, threads: odc(url, setup, pool=threads),
}


def prepare(kind: str) -> None:
    """Imports, which are not what is measured."""
    modules = ["pystac_client", "rasterio.warp", "tessera.cubes"]
    if kind.startswith("ours"):
        modules.append("tessera.scenes")
    if "odc" in kind:
        modules.append("odc.stac")
    if kind == "stackstac":
        modules += ["dask.array", "stackstac"]
    for module in modules:
        import_module(module)


def main() -> None:
    kind, url, setup_text, date, place, threads = sys.argv[1:]
    about = json.loads(setup_text)
    setup = Setup(**about | {"offset": tuple(about["offset"])})
    prepare(kind)
    before, spent, began = peak(), time.process_time(), time.perf_counter()
    read = KINDS[kind](url, setup, Path(place), int(threads))
    seconds, cpu, most = time.perf_counter() - began, time.process_time() - spent, peak()
    np.save(Path(place) / "pixels.npy", read(int(date)))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": most, "before": before}))


if __name__ == "__main__":
    main()
