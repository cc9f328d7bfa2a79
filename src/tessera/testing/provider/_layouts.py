"""Unusual catalogues: each function copies a static catalogue into the new folder `out` and changes its items.

`which` is a regular expression that selects items by id, all by default. The functions return `out`, and raise
InputError if no item is selected.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

from ._rewrite import S1, S2, Rewrite, move_numbers, read_pixels, set_baseline, write_pixels
from ._styles import mgrs_square, mgrs_tile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ._items import Held

_OPERA_SIDE = 3
"""Side of OPERA's pixels, in pixels of 10 m."""


def duplicates(
    folder: str | Path,
    out: str | Path,
    *,
    which: str = "",
    baseline: str = "05.10",
    seconds: float = 7.0,
    brighter: int = 0,
) -> Path:
    """Add a reprocessed copy of each Sentinel-2 item: the same datatake and tile, id + "_1", another baseline.

    Parameters
    ----------
    baseline : processing baseline of the copies, which sets their offset
    seconds : how much later their `datetime` is
    brighter : added to their digital numbers, to tell them from the first
    """
    change = Rewrite(folder, out)
    for one in change.chosen(which, S2):
        new = change.twin(one, "_1")
        set_baseline(new, baseline)
        move_numbers(new, brighter)
        new.properties["datetime"] = f"{one.moment + dt.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"
        new.properties["s2:generation_time"] = "2024-03-01T00:00:00.000000Z"
        # the tile is recorded: by the centre of its footprint, a copy could belong to another one
        new.properties["s2:mgrs_tile"] = mgrs_tile(one)
        change.save(new)
    return change.root


def mixed_baselines(folder: str | Path, out: str | Path, *, which: str = "", other_tile: bool = True) -> Path:
    """Each Sentinel-2 item twice: of baseline 02.14 without offset and, with id + "_N0500", of 05.00 with offset.

    Parameters
    ----------
    other_tile : give the second another MGRS tile, so that neither duplicates the other
    """
    change = Rewrite(folder, out)
    for one in change.chosen(which, S2):
        new = change.twin(one, "_N0500")
        set_baseline(one, "02.14")
        set_baseline(new, "05.00")
        tile = mgrs_tile(one)
        one.properties["s2:mgrs_tile"] = tile
        new.properties["s2:mgrs_tile"] = _next_tile(tile) if other_tile else tile
        change.save(one)
        change.save(new)
    return change.root


def harmonise(folder: str | Path, out: str | Path, *, which: str = "") -> Path:
    """Remove the offset of Sentinel-2 items, as Earth Search does: `earthsearch:boa_offset_applied` is true."""
    change = Rewrite(folder, out)
    for one in change.chosen(which, S2):
        set_baseline(one, str(one.properties["s2:processing_baseline"]), applied=True)
        change.save(one)
    return change.root


def drop_polarisation(folder: str | Path, out: str | Path, *, which: str = "", key: str = "vh") -> Path:
    """Remove a polarisation from Sentinel-1 items."""
    change = Rewrite(folder, out)
    for one in change.chosen(which, S1):
        if key not in one.item["assets"]:
            raise InputError(f"item {one.item['id']} has no asset {key!r}; it has {', '.join(one.item['assets'])}")
        del one.item["assets"][key]
        one.files.pop(key).unlink()
        one.properties["sar:polarizations"] = [name.upper() for name in one.item["assets"]]
        change.save(one)
    return change.root


def unknown_cloud(folder: str | Path, out: str | Path, *, which: str = "", null: bool = False) -> Path:
    """Remove the cloud cover of Sentinel-2 items, or set it to null."""
    change = Rewrite(folder, out)
    for one in change.chosen(which, S2):
        one.properties.pop("eo:cloud_cover", None)
        if null:
            one.properties["eo:cloud_cover"] = None
        change.save(one)
    return change.root


def wrong_transform(
    folder: str | Path,
    out: str | Path,
    *,
    which: str = "",
    collection: str = S1,
    shift: tuple[float, float] = (1000.0, -1000.0),
) -> Path:
    """Shift the `proj:transform` of items by metres; their files keep the true one."""
    change = Rewrite(folder, out)
    for one in change.chosen(which, collection):
        for key, asset in one.item["assets"].items():
            told = asset.get("proj:transform") or list(read_pixels(one.files[key])[1]["transform"])[:6]
            asset["proj:transform"] = [*told[:2], told[2] + shift[0], *told[3:5], told[5] + shift[1]]
        change.save(one)
    return change.root


def huge_footprints(
    folder: str | Path, out: str | Path, *, which: str = "", collection: str = S2, corners: int = 2500
) -> Path:
    """Give the outlines of items so many corners (2,500 make about 100 kB of JSON)."""
    change = Rewrite(folder, out)
    for one in change.chosen(which, collection):
        ring = one.item["geometry"]["coordinates"][0]
        each = -(-(corners - 1) // (len(ring) - 1))
        dense = [
            [a + (b - a) * step / each for a, b in zip(start, stop, strict=True)]
            for start, stop in itertools.pairwise(ring)
            for step in range(each)
        ]
        one.item["geometry"] = {"type": "Polygon", "coordinates": [[*dense, ring[0]]]}
        change.save(one)
    return change.root


def second_zone(
    folder: str | Path, out: str | Path, *, which: str = "", collection: str = S2, keep: bool = True, step: int = 1
) -> Path:
    """Copy items into the next UTM zone, id + "_Z" and its number; pixels are resampled by nearest neighbour.

    Parameters
    ----------
    keep : keep the first items too
    step : 1 for the zone in the east, -1 in the west
    """
    change = Rewrite(folder, out)
    for one in change.chosen(which, collection):
        epsg = _epsg(one)
        zone = (epsg % 100 - 1 + step) % 60 + 1
        other = epsg - epsg % 100 + zone
        new = change.twin(one, f"_Z{zone:02d}")
        new.properties["proj:epsg"] = other
        new.properties.pop("grid:code", None)
        if collection == S2:
            new.properties["s2:mgrs_tile"] = mgrs_square(new)
        for key, file in new.files.items():
            image, about = _warped(file, other)
            write_pixels(file, image, about)
            new.item["assets"][key] |= {
                "proj:shape": list(image.shape),
                "proj:transform": list(about["transform"])[:6],
            }
        change.save(new)
    if not keep:
        # no parent links to the first items any more; their files stay
        _unlink(change.chosen(which, collection))
    return change.root


def date_line(folder: str | Path, out: str | Path, *, how: str) -> Path:
    """Write the outline of items that cross 180 degrees in another way.

    Parameters
    ----------
    how : "multipolygon" (cut at the line, bbox with west > east: RFC 7946, 3.1.9 and 5.2), "beyond" (one polygon with
        longitudes above 180) or "naive" (one polygon that jumps from 180 to -180; it and its bbox span the Earth)
    """
    if how not in ("multipolygon", "beyond", "naive"):
        raise InputError(f"how {how!r}; expected multipolygon, beyond or naive")
    change = Rewrite(folder, out)
    crossing = 0
    for one in change.held:
        ring = [(lon % 360.0, lat) for lon, lat, *_ in one.item["geometry"]["coordinates"][0]]
        lons, lats = [lon for lon, _ in ring], [lat for _, lat in ring]
        if not min(lons) < 180.0 < max(lons) or max(lons) - min(lons) > 180.0:
            continue
        crossing += 1
        if how == "beyond":
            one.item["geometry"] = {"type": "Polygon", "coordinates": [[[lon, lat] for lon, lat in ring]]}
            one.item["bbox"] = [min(lons), min(lats), max(lons), max(lats)]
        elif how == "naive":
            jumps = [[_wrapped(lon), lat] for lon, lat in ring]
            one.item["geometry"] = {"type": "Polygon", "coordinates": [jumps]}
            one.item["bbox"] = [min(lon for lon, _ in jumps), min(lats), max(lon for lon, _ in jumps), max(lats)]
        else:
            one.item["geometry"] = _cut(ring)
            one.item["bbox"] = [min(lons), min(lats), _wrapped(max(lons)), max(lats)]
        change.save(one)
    if not crossing:
        raise InputError("no item crosses 180 degrees; expected scenes over the date line")
    return change.root


def opera_granules(folder: str | Path, out: str | Path, *, which: str = "", bursts: Iterable[str] = ()) -> Path:
    """Make Sentinel-1 items like OPERA's: 30 m (the centre of 3 x 3 pixels), NaN for no data, the orbit as a tag.

    Parameters
    ----------
    bursts : names such as "T088-187401-IW2", given to items in turn; by default one for each orbit
    """
    from rasterio.transform import Affine

    change = Rewrite(folder, out)
    names = list(bursts)
    for place, one in enumerate(change.chosen(which, S1)):
        orbit = str(one.properties["sat:orbit_state"])
        burst = names[place % len(names)] if names else f"T0{88 if orbit == 'ascending' else 37}-187401-IW2"
        one.properties["opera:burst"] = burst
        for key, file in one.files.items():
            image, about = read_pixels(file)
            height, width = (side // _OPERA_SIDE * _OPERA_SIDE for side in image.shape)
            small = image[1:height:_OPERA_SIDE, 1:width:_OPERA_SIDE].astype(np.float32)
            told = about["transform"]
            about["transform"] = Affine(told.a * _OPERA_SIDE, 0.0, told.c, 0.0, told.e * _OPERA_SIDE, told.f)
            about["nodata"] = np.nan
            about["tags"] |= {"ORBIT_PASS_DIRECTION": orbit.upper(), "PRODUCT_TYPE": "RTC-S1"}
            write_pixels(file, np.where(small > 0, small, np.float32(np.nan)), about)
            one.item["assets"][key] |= {
                "gsd": 30.0,
                "proj:shape": list(small.shape),
                "proj:transform": list(about["transform"])[:6],
            }
        change.save(one)
    return change.root


def shuffled(folder: str | Path, out: str | Path, *, seed: int) -> Path:
    """Link to the same items in another order."""
    change = Rewrite(folder, out)
    for document in sorted({one.parent for one in change.held}):
        content = json.loads(document.read_bytes())
        random.Random(f"{seed} {document.name}").shuffle(content["links"])  # noqa: S311 - an order, no secret
        document.write_text(json.dumps(content), encoding="utf-8")
    return change.root


def _next_tile(tile: str) -> str:
    """The next tile in the east, or in the west after the last letter."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    place = letters.index(tile[3])
    return f"{tile[:3]}{letters[place + 1 if place + 1 < len(letters) else place - 1]}{tile[4]}"


def _epsg(one: Held) -> int:
    told = one.properties.get("proj:epsg")
    return int(told) if told else int(read_pixels(next(iter(one.files.values())))[1]["crs"].to_epsg())


def _warped(file: Path, epsg: int) -> tuple[Any, dict[str, Any]]:
    """Resample a file into another zone, aligned to multiples of its pixel side."""
    import math

    from rasterio.crs import CRS
    from rasterio.transform import Affine, array_bounds
    from rasterio.warp import Resampling, reproject, transform_bounds

    image, about = read_pixels(file)
    side = float(about["transform"].a)
    crs = CRS.from_epsg(epsg)
    bounds = transform_bounds(about["crs"], crs, *array_bounds(*image.shape, about["transform"]), densify_pts=21)
    # 10 m and 20 m bands begin at a multiple of 20 m, so that the bands of an item share a corner
    left, top = math.floor(bounds[0] / 20.0) * 20.0, math.ceil(bounds[3] / 20.0) * 20.0
    width = 2 * math.ceil((bounds[2] - left) / 20.0) * 10 / side
    height = 2 * math.ceil((top - bounds[1]) / 20.0) * 10 / side
    target = np.zeros((int(height), int(width)), dtype=image.dtype)
    transform = Affine(side, 0.0, left, 0.0, -side, top)
    nodata = about["nodata"]
    reproject(
        image,
        target,
        src_transform=about["transform"],
        src_crs=about["crs"],
        src_nodata=nodata,
        dst_transform=transform,
        dst_crs=crs,
        dst_nodata=nodata,
        resampling=Resampling.nearest,
    )
    return target, about | {"crs": crs, "transform": transform}


def _unlink(gone: Iterable[Held]) -> None:
    for one in gone:
        content = json.loads(one.parent.read_bytes())
        content["links"] = [
            link
            for link in content["links"]
            if link["rel"] != "item" or (one.parent.parent / link["href"]).resolve() != one.path
        ]
        one.parent.write_text(json.dumps(content), encoding="utf-8")


def _wrapped(lon: float) -> float:
    return (lon + 180.0) % 360.0 - 180.0


def _cut(ring: list[tuple[float, float]]) -> dict[str, Any]:
    """Cut a ring with longitudes from 0 to 360 into two polygons at 180 degrees."""
    from shapely.affinity import translate
    from shapely.geometry import Polygon, box, mapping

    whole = Polygon(ring)
    west, east = whole.intersection(box(0, -90, 180, 90)), whole.intersection(box(180, -90, 360, 90))
    parts = [mapping(west), mapping(translate(east, -360.0))]
    return {"type": "MultiPolygon", "coordinates": [[[list(p) for p in part["coordinates"][0]]] for part in parts]}
