"""The table of scenes: what a search found, with the question, so that a cube can be built again from one answer."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, write_atomic

from ._table_file import decode, encode
from .check import SCENES_LIMIT, check_scene, checked_counts, checked_query
from .footprints import unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tessera.geo import Window

    from .scene import Scene

_MARGIN = 0.1
"""Degrees of latitude: an edge that is straight in degrees leaves one that is straight in UTM by less (0.07 for a scene
of 250 km at 80 N)."""
_TURNS = np.array([[-360.0], [0.0], [360.0]])


@dataclass(frozen=True)
class SceneTable:
    """Scenes with the query that found them.

    Attributes
    ----------
    scenes : in order of moment, source, collection and id, whatever order they are given in; moments in UTC
    query : "box" (west, south, east, north in degrees; west > east over the date line), "first" and "last" (days of
        UTC, both included), "sources" (a name each, or how it was asked: an object with "name")
    left_out : reason -> how many items the sources left out for it

    Raises
    ------
    InputError
        A value cannot be, or a scene is there twice; the line names the scene and the value.
    """

    scenes: tuple[Scene, ...]
    query: Mapping[str, Any]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.scenes) > SCENES_LIMIT:
            raise InputError(f"{len(self.scenes)} scenes; a table holds at most {SCENES_LIMIT}")
        for scene in self.scenes:
            check_scene(scene)
        ordered = sorted((_in_utc(scene) for scene in self.scenes), key=lambda scene: (scene.moment, scene.key))
        known: set[tuple[str, str, str]] = set()
        for scene in ordered:
            if scene.key in known:
                raise InputError(f"scene {scene.id} of {scene.source} is there twice; expected each once")
            known.add(scene.key)
        object.__setattr__(self, "scenes", tuple(ordered))
        object.__setattr__(self, "query", checked_query(self.query))
        object.__setattr__(self, "left_out", checked_counts(self.left_out))

    def __len__(self) -> int:
        return len(self.scenes)

    @cached_property
    def sha256(self) -> str:
        """Digest of the scenes. The order of the answer does not count: neither `position` nor the query are in it."""
        total = hashlib.sha256()
        for scene in self.scenes:
            total.update(json.dumps(_scene_json(scene), sort_keys=True).encode() + b"\n")
        return total.hexdigest()

    def near(self, window: Window) -> tuple[Scene, ...]:
        """The scenes whose outline may meet a window: the boxes around both meet, give or take 0.1 degrees."""
        west, south, east, north = window.lonlat_bounds
        if west > east:
            east += 360.0
        wide = _MARGIN / math.cos(math.radians(min(max(-south, north) + _MARGIN, 89.0)))
        boxes = self._boxes
        beside = (boxes[:, 0] + _TURNS > east + wide) | (boxes[:, 2] + _TURNS < west - wide)
        near = ~beside.all(axis=0) & (boxes[:, 1] <= north + _MARGIN) & (boxes[:, 3] >= south - _MARGIN)
        return tuple(self.scenes[index] for index in np.flatnonzero(near))

    @cached_property
    def _boxes(self) -> NDArray[np.float64]:
        """(N, 4) west, south, east, north; east above 180 over the date line."""
        corners = [unwrapped(scene.footprint) for scene in self.scenes]
        boxes = [(*points.min(axis=0), *points.max(axis=0)) for points in corners]
        return np.array(boxes, dtype=np.float64).reshape(-1, 4)

    def write(self, path: Path | str) -> Path:
        """Write the table as GeoParquet 1.1, whole or not at all; a file that is there is replaced.

        The same scenes, query and counts give the same bytes (with one version of pyarrow). A row is a scene: columns
        as STAC names them, `assets` with address and offset of each band, `footprint` with the corners as told (WKB of
        points) and `geometry` with the outline, in two where it lies over the date line.

        Raises
        ------
        TesseraError
            The disk is full or refuses.
        """
        path = Path(path)
        try:
            write_atomic(path, encode(self.scenes, self.query, self.left_out, self.sha256))
        except OSError as error:
            raise TesseraError(f"{path} was not written: {error.strerror or error}") from None
        return path


def read_scenes(path: Path | str) -> SceneTable:
    """Read a table of scenes; nothing that it says is used unchecked.

    Raises
    ------
    InputError
        There is no such file, it is no table of scenes, of another version, damaged, or a value cannot be.
    """
    scenes, own = decode(Path(path))
    try:
        found = SceneTable(scenes, own.get("query", {}), own.get("left_out", {}))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if found.sha256 != own.get("sha256"):
        raise InputError(f"{path}: its scenes are not those that were written; search again, or take another copy")
    return found


def _in_utc(scene: Scene) -> Scene:
    return scene if scene.moment.tzinfo is dt.UTC else replace(scene, moment=scene.moment.astimezone(dt.UTC))


def _scene_json(scene: Scene) -> list[object]:
    assets = {band: [asset.href, asset.offset] for band, asset in scene.assets.items()}
    corners = [list(map(float, corner)) for corner in scene.footprint]
    about = [scene.baseline, scene.orbit, scene.platform, scene.datatake, scene.tile]
    cloud_cover = None if scene.cloud_cover is None else float(scene.cloud_cover)
    return [*scene.key, scene.moment.isoformat(), corners, cloud_cover, *about, assets]
