"""The one place where tests on real pixels call the library."""

from __future__ import annotations

import dataclasses
from typing import Any

from real_layouts import Shelf

from tessera.cubes import PixelCube
from tessera.geo import Window
from tessera.scenes import Recipe, build_cube
from tessera.scenes.sources.stac_api import StacApi
from tessera.testing import serve_scenes

COLLECTIONS = ("sentinel-2-l2a", "sentinel-1-rtc", "opera-rtc-s1")


def build(shelf: Shelf, window: Window, year: int, order: list[int] | None = None, **settings: Any) -> PixelCube:
    """A cube of what stands on a shelf, searched and read over HTTP, its items in an order or as written."""
    with serve_scenes(shelf.catalogue(order), style="stac") as provider:
        source = StacApi(provider.url, "shelf", collections=COLLECTIONS)
        return build_cube(window, year, source=source, **settings)


def published_recipe(**settings: Any) -> Recipe:
    """The library's settings of the published preprocessing, some of them changed."""
    return dataclasses.replace(Recipe.published(), **settings)
