"""A published 0.1 degree tile: its raster, its three files, and how they are read when they come from a stranger."""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, read_regular
from tessera.geo import PIXEL_SIZE, Window, from_lonlat, parse_tile, parse_zone, zones_of
from tessera.rasters import RasterProfile, open_raster, raster_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.geo import Tile

EMBEDDINGS = "global_0.1_degree_representation"
LANDMASKS = "global_0.1_degree_tiff_all"
"""Folders of the published layout, whatever the dataset (geotessera 0.11)."""
FALSE_NORTHING = 10_000_000
"""What EPSG:327NN adds to northings, metres."""
MOST_SIDE = 2048
"""Longest side of a tile's raster that is read, pixels; 0.1 degree is at most 1,117."""
MOST_DIMS = 1024
_MARGIN = 64
"""Pixels by which a raster may leave its tile's box: published ones leave it by a few."""
_HEADER_BYTES = 65_536
LANDMASK_BYTES = 32 * 1024**2
_PURPOSE = "tiles, whose place is a GeoTIFF's,"


def centre_of(tile: Tile) -> tuple[float, float]:
    """Longitude and latitude of its centre, degrees, as registries write them."""
    return round(tile.lon10 / 10 + 0.05, 2), round(tile.lat10 / 10 + 0.05, 2)


def zone_of(tile: Tile) -> int:
    """The UTM zone of its centre."""
    return int(zones_of(centre_of(tile)[0]))


def tile_window(tile: Tile) -> Window:
    """The raster of a tile: its box in the zone of its centre, origin snapped down to 10 m, every edge outwards.

    A zone's border is a tile's border and its central meridian too, so the corners of the box are its extremes. The
    north-west corner is where geotessera 0.11 puts that of a published tile: floor of the easting, row by floor.
    """
    lon, lat = centre_of(tile)
    west, east, south, north = lon - 0.05, lon + 0.05, lat - 0.05, lat + 0.05
    zone = zone_of(tile)
    x, y = from_lonlat([west, east, west, east], [north, north, south, south], zone)
    left, right = math.floor(x.min() / PIXEL_SIZE), math.ceil(x.max() / PIXEL_SIZE)
    bottom, top = math.floor(y.min() / PIXEL_SIZE), math.ceil(y.max() / PIXEL_SIZE)
    return Window(zone, left, top, right - left, top - bottom)


@dataclass(frozen=True)
class TileFiles:
    """Where the files of a tile and year lie."""

    folder: Path  # of all tiles
    tile: Tile
    year: int  # of its embeddings

    @property
    def codes(self) -> Path:
        """int8 (H, W, D)."""
        return self.folder / EMBEDDINGS / str(self.year) / self.tile.name / f"{self.tile.name}.npy"

    @property
    def scales(self) -> Path:
        """float32 (H, W)."""
        return self.codes.with_name(f"{self.tile.name}_scales.npy")

    @property
    def landmask(self) -> Path:
        """GeoTIFF, uint8 (H, W), 0 = water; the tile's place."""
        return self.folder / LANDMASKS / f"{self.tile.name}.tiff"


def find_tiles(folder: Path, year: int | None) -> list[TileFiles]:
    """The tiles that lie in a folder, of one year or of all, by year and name.

    Raises
    ------
    InputError
        There is none.
    """
    root = folder / EMBEDDINGS
    if not root.is_dir():
        raise InputError(f"{folder} holds no tiles: it has no folder {EMBEDDINGS}")
    found = []
    for years in root.iterdir():
        if not (years.name.isascii() and years.name.isdigit() and len(years.name) == 4):
            continue
        if year is not None and int(years.name) != year:
            continue
        for path in years.iterdir():
            tile = _named(path.name)
            if tile is not None:
                found.append(TileFiles(folder, tile, int(years.name)))
    if not found:
        raise InputError(f"{folder} holds no tiles{'' if year is None else f' of {year}'}")
    return sorted(found, key=lambda files: (files.year, files.tile.name))


def _named(name: str) -> Tile | None:
    try:
        tile = parse_tile(name)
    except InputError:
        return None
    return tile if tile.name == name else None


def read_within(folder: Path, path: Path, limit: int) -> bytes:
    """The bytes of a file that lies in `folder` and has at most `limit`."""
    try:
        return read_regular(path, what="tile", limit=limit, inside=folder)
    except FileNotFoundError:
        raise InputError(f"{path.name} is missing") from None


def npy_limit(window: Window, pixel_bytes: int) -> int:
    """Most bytes of a .npy file over a window."""
    return _HEADER_BYTES + window.height * window.width * pixel_bytes


def parse_npy(data: bytes, name: str, dtype: str, ndim: int) -> NDArray[Any]:
    """The array of a .npy file's bytes in C order, a view on them; nothing is unpickled."""
    shape, fortran, found, start = _header(data, name)
    wanted = np.dtype(dtype)
    if found != wanted:
        raise InputError(f"{name} holds {str(found)[:60]}; expected {wanted.name}")
    if len(shape) != ndim or min(shape) < 1:
        raise InputError(f"{name} has the shape {str(shape)[:60]}; expected {ndim} axes")
    if fortran:
        raise InputError(f"{name} is in Fortran order; expected C order")
    size = math.prod(shape) * wanted.itemsize
    if len(data) - start != size:
        raise InputError(f"{name} has {len(data) - start} bytes of data; its header says {str(size)[:30]}")
    return np.frombuffer(data, wanted, offset=start).reshape(shape)


def _header(data: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    file = io.BytesIO(data[:_HEADER_BYTES])
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise InputError(f"{name} is a .npy file of version {version}; expected 1.0 or 2.0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = readers[version](file)
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError) as error:
        raise InputError(f"{name} is no .npy file: {str(error)[:100]}") from None
    return shape, fortran, dtype, file.tell()


def npy_bytes(array: NDArray[Any]) -> memoryview:
    """A .npy file's bytes."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return file.getbuffer()


def landmask_bytes(tile: Tile, window: Window) -> bytes:
    """A GeoTIFF that says where a tile lies, all of it land; in the south EPSG:327NN with its false northing."""
    south = tile.lat10 < 0
    top = window.north * PIXEL_SIZE + (FALSE_NORTHING if south else 0)
    crs = f"EPSG:{(32700 if south else 32600) + window.zone}"
    place = (PIXEL_SIZE, 0, window.west * PIXEL_SIZE, 0, -PIXEL_SIZE, top)
    profile = RasterProfile(window.shape, "uint8", crs, place)
    return raster_bytes(np.ones((1, *window.shape), dtype=np.uint8), profile, compress="deflate")


def read_landmask(data: bytes, tile: Tile) -> tuple[Window, NDArray[np.bool_]]:
    """Where a tile lies, by FLOOR of its corner's offset as published tiles are laid out, and which pixels are land."""
    name = f"landmask {tile.name}.tiff"
    # bytes in memory, read by one driver: nothing else on this machine or the network is looked at
    with reading(name), open_raster(data) as source:
        window = _place(source, tile, name)
        return window, source.read(1) != 0


def _place(source: Any, tile: Tile, name: str) -> Window:
    height, width = source.shape
    blocks = [side for shape in source.block_shapes for side in shape]
    if max(height, width) > MOST_SIDE or max(blocks) > 2 * MOST_SIDE:
        raise InputError(f"{name} has {height} x {width} pixels; expected at most {MOST_SIDE} x {MOST_SIDE}")
    if source.count != 1 or source.dtypes[0] not in ("uint8", "int8", "uint16", "int16"):
        raise InputError(f"{name} has {source.count} bands of {source.dtypes[0]}; expected one of uint8")
    code = None if source.crs is None else source.crs.to_epsg()
    if code is None or code // 100 not in (326, 327) or not 1 <= code % 100 <= 60:
        raise InputError(f"{name} has the CRS {code or source.crs}; expected EPSG:326NN or EPSG:327NN")
    zone = parse_zone(code % 100)
    if zone != zone_of(tile):
        raise InputError(f"{name} lies in zone {zone}; its tile's centre in zone {zone_of(tile)}")
    a, b, left, d, e, top = tuple(source.transform)[:6]
    if (a, b, d, e) != (PIXEL_SIZE, 0, 0, -PIXEL_SIZE) or not (math.isfinite(left) and math.isfinite(top)):
        raise InputError(f"{name} has the transform {tuple(source.transform)[:6]}; expected north-up pixels of 10 m")
    if code // 100 == 327:
        top -= FALSE_NORTHING
    window = Window(zone, math.floor(left / PIXEL_SIZE), math.ceil(top / PIXEL_SIZE), width, height)
    box = tile_window(tile)
    inside = (
        window.west >= box.west - _MARGIN
        and window.east <= box.east + _MARGIN
        and window.south >= box.south - _MARGIN
        and window.north <= box.north + _MARGIN
    )
    if not inside or window.intersection(box) is None:
        raise InputError(f"{name} covers {window.bounds} m; its tile lies at {box.bounds} m")
    return window
