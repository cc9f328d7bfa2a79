"""A simulated place for the tasks: its embeddings of two years, and the truth to take labels from.

With data of your own you need none of this: `store = tessera.open_store("store.zarr")`, and labels in a file.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from matplotlib import colormaps
from matplotlib.colors import to_hex

import tessera
from tessera.figures import draw_panels, false_colour
from tessera.scale import embed_cube
from tessera.simulator import LandscapeOptions, read_truth

YEARS = (2022, 2023)
FIRES = (dt.date(2023, 6, 20), dt.date(2023, 7, 5), dt.date(2023, 8, 10))
SEED = 11


@dataclass(frozen=True)
class Place:
    """A square of `side` x `side` pixels of 10 m. `quick` asks for small fits, as in tests."""

    folder: Path
    side: int
    quick: bool

    @classmethod
    def from_arguments(cls, about: str | None, arguments: list[str] | None = None) -> Place:
        """Read the arguments of a task's command line."""
        parser = argparse.ArgumentParser(description=about)
        parser.add_argument("--dir", type=Path, default=Path("tessera-tasks"), help="where to put everything")
        parser.add_argument("--side", type=int, default=256, help="side of the simulated square, pixels of 10 m")
        parser.add_argument("--quick", action="store_true", help="a small square and small fits, for a test")
        given = parser.parse_args(arguments)
        return cls(given.dir, 128 if given.quick else given.side, given.quick)

    @cached_property
    def window(self) -> tessera.Window:
        """The pixels of the place, in Belgium."""
        return tessera.Window(zone=31, west=65_800, north=561_800, width=self.side, height=self.side)

    @cached_property
    def store(self) -> tessera.Store:
        """Embeddings of both years; made when they are first needed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path, encoder = self.folder / "store.zarr", tessera.load_encoder(precision="auto")
        store = tessera.open_store(path) if path.exists() else tessera.create_store(path, model=encoder)
        for year in YEARS:
            if year not in store.years:
                print(f"embedding {self.side} x {self.side} simulated pixels of {year}")
                cube = tessera.build_cube(self.window, year, source=self.scenes(year))
                embed_cube(store, encoder, cube, year, encoder.options())
        return store

    def scenes(self, year: int) -> Path:
        """The folder of a year's scenes, with the truth beside them."""
        path = self.folder / f"scenes-{year}"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            options = LandscapeOptions(roads=True, trees=True, towns=True, burns=FIRES, year_seed=year)
            dates: dict[str, Any] = {"s2_dates": 8, "s1_dates": 4} if self.quick else {"s2_dates": 20, "s1_dates": 10}
            tessera.simulate(path, self.window, year, seed=SEED, options=options, **dates)
        return path

    def truth(self, what: str, year: int = YEARS[-1]) -> Any:
        """(H, W): what the simulator knows, as `tessera.simulator.read_truth` reads it."""
        return read_truth(self.scenes(year), what)

    def points(self, rows: Any, cols: Any, **columns: Any) -> geopandas.GeoDataFrame:
        """Points in the middle of pixels, with columns."""
        x, y = (self.window.west + np.asarray(cols) + 0.5) * 10, (self.window.north - np.asarray(rows) - 0.5) * 10
        return geopandas.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=self.window.grid.crs)

    def squares(self, size: int) -> geopandas.GeoDataFrame:
        """All whole squares of `size` pixels, numbered in the column `square`; `dark` as on a chessboard."""
        steps = range(0, self.side - size + 1, size)
        dark = [(row + col) // size % 2 == 0 for row in steps for col in steps]
        west, north = self.window.west, self.window.north
        boxes = [
            shapely.box((west + col) * 10, (north - row - size) * 10, (west + col + size) * 10, (north - row) * 10)
            for row in steps
            for col in steps
        ]
        return geopandas.GeoDataFrame(
            {"square": range(len(boxes)), "dark": dark}, geometry=boxes, crs=self.window.grid.crs
        )

    def draw(self, name: str, panels: list[tuple[str, Any]], legend: list[tuple[str, str]] | str) -> Path:
        """Draw maps side by side, the embeddings in false colour first. Of numbers the legend is their unit."""
        vectors = self.store.read_region(self.window, YEARS[-1]).values
        shown: list[tuple[str, Any]] = [("embeddings, false colour", false_colour(vectors)), *panels]
        if isinstance(legend, str):
            largest, colours = max(float(np.nanmax(image)) for _, image in panels), colormaps["viridis"]
            shown[1:] = [
                (title, (colours(np.nan_to_num(image) / largest)[..., :3] * 255).astype(np.uint8))
                for title, image in panels
            ]
            legend = [(f"{part * largest:.0f} {legend}", to_hex(colours(part))) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
        return draw_panels(self.folder / f"{name}.png", shown, legend, overwrite=True)


def read_map(path: Path, band: int = 1) -> Any:
    """(H, W) values of a map."""
    with rasterio.open(path) as raster:
        return raster.read(band)
