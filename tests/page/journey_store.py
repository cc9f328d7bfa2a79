"""A store to travel through: two zones on both sides of 6 E, two years, three kinds of land that can be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.catalogue import write_manifest
from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import NORTH, WEST, Window, from_lonlat, parse_area, to_lonlat
from tessera.shards import Layout
from tessera.testing import small_store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.store import Store

YEARS = (2022, 2023)
KINDS = ("beech", "maize", "water")
DIMS = 16
MODEL = ModelIdentity("journey", "cd" * 32, DIMS, (4, DIMS))
LAYOUT = Layout(DIMS, (4,), shard=256, chunk=32)
SEAM, NORTH_EDGE = 6.0, 50.02
SIDE = 224
"""Pixels of a zone's window; its outer edge lies this far from the seam."""
# west, south, east, north: inside the data of both zones
AREA = (5.975, 50.004, 6.025, 50.018)
FELLED = (6.005, 50.008, 6.012, 50.013)
"""Where beech became maize in the second year."""


@dataclass(frozen=True)
class Pixels:
    """Pixels of the area in one year, of both zones."""

    zone: NDArray[np.int64]
    row: NDArray[np.int64]  # of the zone's lattice, from the north
    col: NDArray[np.int64]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    codes: NDArray[np.int8]  # (n, DIMS)
    scales: NDArray[np.float32]
    kind: NDArray[np.int64]  # index in KINDS

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which of them have data."""
        return np.isfinite(self.scales)

    def cosines(self, k: int) -> NDArray[np.float64]:
        """Cosine of each pixel to pixel `k`."""
        codes = self.codes.astype(np.float64)
        lengths = np.sqrt((codes**2).sum(1))
        cosines: NDArray[np.float64] = codes @ codes[k] / (lengths * lengths[k] + 1e-300)
        return cosines

    def pick(self, chosen: NDArray[np.bool_]) -> Pixels:
        """Some of them."""
        return joined([self], chosen)


def windows() -> list[Window]:
    """A window on each side of the seam, a few pixels over it."""
    found = []
    for zone, start in ((31, -SIDE + 8), (32, -8)):
        x, y = from_lonlat(SEAM, NORTH_EDGE, zone)
        found.append(Window(zone, int(x // 10) + start, int(y // 10), SIDE, SIDE))
    return found


def kind_at(lon: NDArray[np.float64], lat: NDArray[np.float64], year: int) -> NDArray[np.int64]:
    """The kind of land at places: smooth borders, the same on both sides of the seam."""
    waves = np.sin((lon - 5.97) * 320) + np.cos((lat - 50.0) * 700) + 0.6 * np.sin((lon + lat) * 500)
    kind = np.digitize(waves, (-0.6, 0.7))
    west, south, east, north = FELLED
    felled = (lon > west) & (lon < east) & (lat > south) & (lat < north) & (year == YEARS[1])
    return np.where(felled & (kind == 0), 1, kind)


def make_store(path: Path) -> Store:
    """Write the store."""
    store = small_store(path, zones=(31, 32), model=MODEL, layout=LAYOUT)
    for year in YEARS:
        for window in windows():
            store.write(_embeddings(window, year), year)
    write_manifest(store)
    return store


def pixels_of(store: Store, year: int, area: tuple[float, float, float, float] = AREA) -> Pixels:
    """Pixels whose centre lies in a box, each in the zone of its centre."""
    masks = {part.zone: part for part in parse_area(list(area)).parts()}
    parts = []
    for window in windows():
        held = store.read_window(window, year)
        lon, lat, row, col = _places(window)
        codes = held.codes.reshape(-1, DIMS)
        scales = np.where(held.valid, held.scales, np.float32(np.nan)).reshape(-1)
        zone = np.full(lon.size, window.zone)
        whole = Pixels(zone, row, col, lon, lat, codes, scales, kind_at(lon, lat, year))
        parts.append(whole.pick(masks[window.zone].mask(window).reshape(-1)))
    return joined(parts)


def joined(parts: list[Pixels], chosen: Any = slice(None)) -> Pixels:
    """Pixels of all parts, or those that are chosen."""
    fields: Any = [
        np.concatenate([getattr(part, one.name) for part in parts])[chosen] for one in dataclass_fields(Pixels)
    ]
    return Pixels(*fields)


def _places(window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    down, right = np.divmod(np.arange(window.height * window.width), window.width)
    x = (window.west + right + 0.5) * 10.0
    y = (window.north - down - 0.5) * 10.0
    lon, lat = to_lonlat(x, y, window.zone)
    return lon, lat, NORTH - window.north + down, window.west - WEST + right


def _embeddings(window: Window, year: int) -> Embeddings:
    rng = np.random.default_rng([window.zone, year])
    lon, lat, _, _ = _places(window)
    kind = kind_at(lon, lat, year)
    centres = np.random.default_rng(7).integers(-70, 71, (len(KINDS), DIMS))
    codes = np.clip(centres[kind] + rng.normal(0, 22, (len(kind), DIMS)).round(), -127, 127).astype(np.int8)
    scales = rng.uniform(0.01, 0.02, len(kind)).astype(np.float32)
    # clouds: a round one, and single pixels
    middle = (lon - 5.99) ** 2 + (1.56 * (lat - 50.01)) ** 2 < 0.0012**2
    scales[middle | (rng.random(len(kind)) < 0.01)] = np.nan
    codes[np.isnan(scales)] = 0
    counts = np.full((*window.shape, 3), 40, np.uint16)
    shape = window.shape
    return Embeddings(codes.reshape(*shape, DIMS), scales.reshape(shape), counts, MODEL, window.grid, {})
