"""What a preview costs, and a preview of real pixels.

    python benchmarks/preview.py [--cells 16] [--dims 128]
    python benchmarks/preview.py --real SHARED_DATA --picture docs/images/preview.png

The first measures seconds and peak memory a cell of 1024 x 1024 random pixels, and the bytes of what is derived
against those of the store. The second embeds most of one Sentinel-2 scene over the western Sahara (19 February 2020, no
radar) with the bundled weights, 13 GB for a while, and draws its preview. The scene is decimated ten times: each of its
pixels of 100 m (200 m in the 20 m bands) stands for ten times ten of the store's, so the picture shows real pixels at
the size of an overview pixel, and says nothing about detail below it.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tessera
from tessera.cubes import S2_BANDS, PixelCube
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Grid
from tessera.preview import draw_preview, update_preview
from tessera.scenes import is_clear

if TYPE_CHECKING:
    from tessera.store import Store

YEAR = 2020
MB = 1e6
CORNER, SIDE = (20, 263), 10
"""South-west cell of the part that is embedded, and how many cells along a side."""


def fill(path: Path, cells: int, dims: int) -> Store:
    """A store of random codes; 16 cells fill one chunk of the coarse overview."""
    model = ModelIdentity("random", "00" * 32, dims)
    store = tessera.create_store(path, dims, model, zones=(31,))
    rng = np.random.default_rng(0)
    for number in range(cells):
        window = Cell(31, 39 + number % 4, 539 - number // 4).window
        codes = rng.integers(-127, 128, (*window.shape, dims), dtype=np.int8)
        scales = rng.uniform(0.03, 0.14, window.shape).astype(np.float32)
        counts = np.ones((*window.shape, 3), dtype=np.uint16)
        store.write(Embeddings(codes, scales, counts, model, window.grid), YEAR)
    return store


def measure(path: Path, *, full: bool) -> None:
    """Make the preview of a store in this process, and print what it took."""
    store = tessera.open_store(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    report = update_preview(store, full=full)
    took = time.perf_counter() - start
    start = time.perf_counter()
    update_preview(store)
    again = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kilobyte = 1 if sys.platform == "darwin" else 1024
    held = sum(int(cells["bytes"]) for cells in store.info()["cells"].values())
    cells = report.cells_made
    print(f"{'with' if full else 'without'} --full: {cells} cells of 1024 x 1024 x {store.dims}")
    print(f"  {took / cells:.2f} s a cell, {again:.2f} s when nothing changed")
    print(f"  peak memory {peak * kilobyte / MB:,.0f} MB, of which {before * kilobyte / MB:,.0f} MB before")
    for name, size in report.bytes.items():
        print(f"  {name:8} {size / MB:8,.2f} MB, 1/{held / max(size, 1):,.0f} of the store's {held / MB:,.0f} MB")


def read_scene(folder: Path) -> PixelCube:
    """The scene as a cube of one date at 100 m, the 20 m bands repeated."""
    import rasterio

    def read(name: str) -> Any:
        with rasterio.open(folder / f"{name}.tif") as image:
            return image.read(1), image.transform, str(image.crs)

    first, transform, crs = read("B02")
    height, width = first.shape
    grid = Grid(crs, tuple(transform)[:6], height, width)

    def fitted(name: str) -> Any:
        data = read(name)[0]
        times = round(height / data.shape[0])
        return np.repeat(np.repeat(data, times, axis=0), times, axis=1)[:height, :width]

    s2 = np.stack([fitted(name) for name in S2_BANDS], axis=-1)
    clear = is_clear(fitted("SCL")) & (s2 > 0).all(axis=-1)
    day, none = np.array([50], np.int16), np.zeros((0, height, width, 2), np.int16)
    nothing = np.zeros(0, np.int16)
    return PixelCube(
        s2=np.where(clear[..., None], s2, 0).astype(np.uint16)[None],
        s2_mask=clear.astype(np.uint8)[None],
        s2_doy=day,
        s1_asc=none,
        s1_asc_doy=nothing,
        s1_desc=none,
        s1_desc_doy=nothing,
        grid=grid,
        provenance={"year": YEAR, "source": "earth_search_29RKH, decimated ten times"},
    )


def real(data: Path, work: Path, picture: Path) -> None:
    """Embed a part of the scene, each of its pixels for ten times ten of the store's, and draw its preview."""
    cube = read_scene(data / "earth_search_29RKH")
    assert cube.grid is not None
    encoder = tessera.load_encoder()
    store = tessera.create_store(work / "real.zarr", encoder.dims, encoder, zones=(29,))
    side, _, west, _, _, north = cube.grid.transform
    for number in range(SIDE * SIDE):
        window = Cell(29, CORNER[0] + number % SIDE, CORNER[1] + number // SIDE).window
        col = ((np.arange(window.west, window.east) + 0.5) * 10 - west) // side
        row = (north - (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * 10) // side
        rows, cols = row.astype(int).tolist(), col.astype(int).tolist()
        part = encoder.encode(cube.window(rows[0], rows[-1] + 1, cols[0], cols[-1] + 1))
        wide = np.ix_(np.subtract(rows, rows[0]), np.subtract(cols, cols[0]))
        arrays = part.codes[wide], part.scales[wide], part.counts[wide]
        store.write(Embeddings(*arrays, part.model, window.grid, part.provenance), YEAR)
        print(f"cell {number + 1} of {SIDE * SIDE}", end="\r", flush=True)
    report = update_preview(store)
    print(f"{report.cells_made} cells; components explain {report.explained}; {report.troubled or 'no trouble'}")
    print(draw_preview(store, picture, overwrite=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--picture", type=Path, default=Path(__file__).parent / "output" / "preview.png")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.fill is not None:
        fill(given.fill, given.cells, given.dims)
        return
    if given.measure is not None:
        measure(given.measure, full=given.full)
        return
    work = Path(tempfile.mkdtemp())
    try:
        if given.real is not None:
            real(given.real, work, given.picture)
            return
        # processes of their own, so that the peak is the preview's
        size = ["--cells", str(given.cells), "--dims", str(given.dims)]
        subprocess.run([sys.executable, __file__, "--fill", str(work / "store.zarr"), *size], check=True)
        for full in (False, True):
            command = [sys.executable, __file__, "--measure", str(work / "store.zarr"), *(["--full"] if full else [])]
            shutil.rmtree(work / "store.zarr" / "overviews", ignore_errors=True)
            shutil.rmtree(work / "store.zarr" / "global_rgb", ignore_errors=True)
            subprocess.run(command, check=True)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
