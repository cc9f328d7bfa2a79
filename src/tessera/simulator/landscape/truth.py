"""The truth of simulated scenes: rasters and GeoJSON beside them."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown
from tessera.geo import PIXEL_SIZE, to_lonlat
from tessera.rasters import RasterProfile, open_raster, reading, write_raster

from ._roads import ROAD_SHARE
from .classes import CLASSES, COLOURS
from .quarters import BLOCK, NO_ZONE, ZONES, zones_of_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ._world import World

TRUTHS = {
    "cover": "truth.tif",
    "road": "road.tif",
    "height": "height.tif",
    "biomass": "biomass.tif",
    "burn": "burn.tif",
    "zone": "zone.tif",
}
"""What `read_truth` reads, and its file."""
_CORNERS = BLOCK * np.array([[0, 0], [0, -1], [1, -1], [1, 0], [0, 0]])
_ROADS, _ZONES = "roads.geojson", "zones.geojson"


def write_truth(root: Path, world: World) -> None:
    """Write the land cover, and the truth of each option that the world has."""
    land, options = world.land, world.options
    inside = world.frame.slices(world.window)
    cover = world.truth
    _write(root, world, "cover", cover, names=CLASSES, colours=COLOURS)
    if options is None:
        return
    if land.road is not None:
        _write(root, world, "road", (land.road[inside] >= ROAD_SHARE).astype(np.uint8))
        _write_json(root / _ROADS, _lines(world))
    if land.trees is not None:
        _write(root, world, "height", land.trees.height[inside])
        _write(root, world, "biomass", land.trees.biomass[inside])
    if land.zone is not None:
        blocks = _blocks(world, zones_of_pixels(land.zone, land.cover)[inside])
        _write(root, world, "zone", blocks[0], names=ZONES, nodata=NO_ZONE)
        _write_json(root / _ZONES, blocks[1])
    if options.burns:
        last = dt.date(world.year, 12, 31)
        burnt = [scar.severity[inside] for scar in land.scars if scar.day <= last]
        _write(root, world, "burn", np.maximum.reduce([np.zeros(cover.shape, np.float32), *burnt]))


def read_truth(folder: Path, what: str = "cover") -> NDArray[Any]:
    """Read a truth of simulated scenes.

    Parameters
    ----------
    folder : of the scenes
    what : "cover", indexes into `CLASSES`; or what `LandscapeOptions` added: "road", 1 = road; "height", metres;
        "biomass", t/ha; "burn", severity 0 to 1; "zone", indexes into `ZONES`, 255 = beside whole squares of 100 m

    Returns
    -------
    (H, W) uint8 of cover, road and zone; float32 of the others

    Raises
    ------
    InputError
        There is no such truth, or the scenes were simulated without it.
    """
    if what not in TRUTHS:
        raise InputError(f"truth {shown(what)}; expected one of {', '.join(TRUTHS)}")
    path = folder / TRUTHS[what]
    if what != "cover" and folder.is_dir() and not path.exists():
        raise InputError(f"{folder} has no {TRUTHS[what]}; simulate it with the option of LandscapeOptions for it")
    with reading(path), open_raster(path) as raster:
        truth: NDArray[Any] = raster.read(1)
        return truth


def _write(
    root: Path,
    world: World,
    what: str,
    image: NDArray[Any],
    *,
    names: tuple[str, ...] = (),
    colours: tuple[tuple[int, int, int], ...] = (),
    nodata: float | None = None,
) -> None:
    grid = world.window.grid
    profile = RasterProfile(
        image.shape,
        image.dtype,
        grid.crs,
        grid.transform,
        nodata=nodata,
        colours={code: (*colour, 255) for code, colour in enumerate(colours)},
        band_tags={f"CLASS_{code}": name for code, name in enumerate(names)},
    )
    write_raster(root / TRUTHS[what], np.ascontiguousarray(image), profile)


def _lines(world: World) -> dict[str, Any]:
    """The roads within the window."""
    import shapely

    frame, window = world.frame, world.window
    box = shapely.box(window.west, window.south, window.east, window.north)
    features = []
    for road in world.land.roads:
        lattice = shapely.linestrings(road.points * [1, -1] + [frame.west, frame.north])
        inside = shapely.intersection(lattice, box)
        parts = [part for part in shapely.get_parts(inside) if part.geom_type == "LineString"]
        for part in parts:
            points = _degrees(world, shapely.get_coordinates(part))
            about = {"class": "road", "kind": road.kind, "width": round(road.width * PIXEL_SIZE, 1)}
            features.append(_feature({"type": "LineString", "coordinates": points}, about))
    return {"type": "FeatureCollection", "features": features}


def _blocks(world: World, zone: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The zone that most pixels of each whole square of 100 m have: as (H, W), and as polygons with its share."""
    window = world.window
    west, north = -(-window.west // BLOCK) * BLOCK, window.north // BLOCK * BLOCK
    out = np.full(zone.shape, NO_ZONE, dtype=np.uint8)
    features = []
    for top in range(north, window.south + BLOCK - 1, -BLOCK):
        for left in range(west, window.east - BLOCK + 1, BLOCK):
            rows = slice(window.north - top, window.north - top + BLOCK)
            cols = slice(left - window.west, left - window.west + BLOCK)
            counts = np.bincount(zone[rows, cols].ravel(), minlength=len(ZONES))
            most = int(counts.argmax())
            out[rows, cols] = most
            corners = np.array([left, top]) + _CORNERS
            share = round(float(counts[most]) / BLOCK**2, 2)
            ring = {"type": "Polygon", "coordinates": [_degrees(world, corners)]}
            features.append(_feature(ring, {"zone": ZONES[most], "share": share}))
    return out, {"type": "FeatureCollection", "features": features}


def _degrees(world: World, lattice: NDArray[Any]) -> list[list[float]]:
    metres = np.asarray(lattice, dtype=np.float64) * PIXEL_SIZE
    lon, lat = to_lonlat(metres[:, 0], metres[:, 1], world.window.zone)
    return [[round(float(x), 8), round(float(y), 8)] for x, y in zip(lon, lat, strict=True)]


def _feature(geometry: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": about}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value) + "\n", encoding="utf-8")
