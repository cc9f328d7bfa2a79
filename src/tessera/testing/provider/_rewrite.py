"""Copy a static catalogue and change its items and pixels."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require
from tessera.rasters import RasterProfile, open_raster, write_scene

from ._items import Held, read_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

S2 = "sentinel-2-l2a"
S1 = "sentinel-1-rtc"
REFLECTANCE = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
_OFFSET = 1000
"""BOA_ADD_OFFSET from baseline 04.00 on (ESA, Sentinel-2 Products Specification Document)."""


class Rewrite:
    """A copy of a catalogue under change: `folder`, a static STAC catalogue whose assets are its files, in `out`."""

    def __init__(self, folder: str | Path, out: str | Path) -> None:
        require("rasterio", extra="scenes", purpose="changing scenes")
        read_items(folder)
        self.root = Path(out)
        if self.root.exists():
            raise InputError(f"{out} exists; expected a folder that does not exist yet")
        shutil.copytree(folder, self.root)
        self.held = read_items(self.root)

    def chosen(self, which: str, collection: str) -> Iterator[Held]:
        """Items of a collection whose id matches a regular expression somewhere."""
        found = [
            one for one in self.held if one.item.get("collection") == collection and re.search(which, one.item["id"])
        ]
        if not found:
            raise InputError(f"no item of {collection} has {which!r} in its id")
        yield from found

    def save(self, one: Held) -> None:
        """Write an item's document."""
        one.path.write_text(json.dumps(one.item), encoding="utf-8")

    def twin(self, one: Held, suffix: str) -> Held:
        """Copy an item with its files, and link it last in its parent. Call `save` afterwards."""
        name = f"{one.item['id']}{suffix}"
        folder = one.path.parent.parent / name
        folder.mkdir()
        item = copy.deepcopy(one.item)
        item["id"] = name
        files = {}
        for key, file in one.files.items():
            files[key] = Path(shutil.copy2(file, folder / file.name))
            item["assets"][key]["href"] = f"./{file.name}"
        path = folder / f"{name}.json"
        parent = json.loads(one.parent.read_bytes())
        href = "./" + path.relative_to(one.parent.parent.resolve()).as_posix()
        parent["links"].append({"rel": "item", "href": href, "type": "application/geo+json"})
        one.parent.write_text(json.dumps(parent), encoding="utf-8")
        return Held(item, path, one.parent, files)


def read_pixels(file: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """The pixels (H, W) of a file, and the profile that `write_pixels` needs."""
    with open_raster(file) as source:
        about = {"crs": source.crs, "transform": source.transform, "nodata": source.nodata, "tags": source.tags()}
        height, width = source.block_shapes[0]
        about["block"] = width if height == width and width % 16 == 0 else 256
        return source.read(1), about


def write_pixels(file: Path, image: NDArray[Any], about: dict[str, Any]) -> None:
    """Replace a file by a cloud-optimised GeoTIFF."""
    file.unlink(missing_ok=True)
    tags = {name: value for name, value in about["tags"].items() if name != "AREA_OR_POINT"}
    place = (about["crs"], tuple(about["transform"])[:6])
    profile = RasterProfile(image.shape, image.dtype, *place, nodata=about["nodata"], tags=tags)
    write_scene(file, image, profile, blocksize=about["block"])


def keeps(one: Held) -> bool:
    """Whether an item's digital numbers include the offset."""
    about = one.properties
    return str(about["s2:processing_baseline"]) >= "04.00" and not about.get("earthsearch:boa_offset_applied")


def move_numbers(one: Held, step: int) -> None:
    """Add to all digital numbers of reflectance. Only pixels without data are 0 afterwards."""
    if step == 0:
        return
    for key, file in one.files.items():
        if key in REFLECTANCE:
            image, about = read_pixels(file)
            moved = np.clip(image.astype(np.int32) + step, 1, 65535)
            write_pixels(file, np.where(image == 0, 0, moved).astype(image.dtype), about)


def set_baseline(one: Held, baseline: str, *, applied: bool | None = None) -> None:
    """Change the processing baseline of an item: digital numbers, properties and datatake. It is not saved yet.

    `applied` sets `earthsearch:boa_offset_applied`, by which the offset is gone whatever the baseline; None: stays.
    """
    before = keeps(one)
    about = one.properties
    about["s2:processing_baseline"] = baseline
    if applied is not None:
        about["earthsearch:boa_offset_applied"] = applied
    if "s2:datatake_id" in about:
        about["s2:datatake_id"] = re.sub(r"_N\d\d\.\d\d$", f"_N{baseline}", about["s2:datatake_id"])
    move_numbers(one, _OFFSET * (keeps(one) - before))
