"""The table of scenes: the result of a search with its query, from which a cube can be built again."""

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
"""Degrees of latitude: an edge straight in degrees deviates by less from one straight in UTM (0.07 for a scene of
250 km at 80 N)."""
_TURNS = np.array([[-360.0], [0.0], [360.0]])


@dataclass(frozen=True)
class SceneTable:
    """Scenes with the query that found them.

    Attributes
    ----------
    scenes : sorted by moment, source, collection and id; moments in UTC
    query : "box" (west, south, east, north in degrees; west > east over the date line), "first" and "last" (UTC days,
        both included), "sources" (a list of names, or of objects with "name" that describe the request)
    left_out : reason -> number of items that the sources left out for it

    Raises
    ------
    InputError
        A value is invalid, or a scene occurs twice; the message names the scene and the value.
    """

    scenes: tuple[Scene, ...]
    query: Mapping[str, Any]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.scenes) > SCENES_LIMIT:
            raise InputError(f"{len(self.scenes)} scenes; expected at most {SCENES_LIMIT} in a table")
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
        """Digest of the scenes, without `position` and the query: the order of the answer does not change it."""
        total = hashlib.sha256()
        for scene in self.scenes:
            total.update(json.dumps(_scene_json(scene), sort_keys=True).encode() + b"\n")
        return total.hexdigest()

    def near(self, window: Window) -> tuple[Scene, ...]:
        """The scenes whose outline may intersect a window: their bounding boxes do, with a margin of 0.1 degrees."""
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
        """Write the table as GeoParquet 1.1, atomically; an existing file is replaced.

        The same scenes, query and counts give the same bytes (with one version of pyarrow). A row is a scene. Columns
        have STAC names; `assets` has address and offset of each band, `footprint` the corners as received (WKB
        points), and `geometry` the outline, in two parts where it crosses the date line.

        Raises
        ------
        TesseraError
            The file cannot be written, for example because the disk is full.
        """
        path = Path(path)
        try:
            write_atomic(path, encode(self.scenes, self.query, self.left_out, self.sha256))
        except OSError as error:
            raise TesseraError(f"{path} was not written: {error.strerror or error}") from None
        return path


def read_scenes(path: Path | str) -> SceneTable:
    """Read a table of scenes and check every value in it.

    Raises
    ------
    InputError
        The file is missing, not a table of scenes, of another version or damaged, or a value is invalid.
    """
    scenes, own = decode(Path(path))
    try:
        found = SceneTable(scenes, own.get("query", {}), own.get("left_out", {}))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if found.sha256 != own.get("sha256"):
        raise InputError(f"{path}: its scenes do not match its SHA-256; search again, or use another copy")
    return found


def _in_utc(scene: Scene) -> Scene:
    return scene if scene.moment.tzinfo is dt.UTC else replace(scene, moment=scene.moment.astimezone(dt.UTC))


def _scene_json(scene: Scene) -> list[object]:
    assets = {band: [asset.href, asset.offset] for band, asset in scene.assets.items()}
    corners = [list(map(float, corner)) for corner in scene.footprint]
    about = [scene.baseline, scene.orbit, scene.platform, scene.datatake, scene.tile]
    cloud_cover = None if scene.cloud_cover is None else float(scene.cloud_cover)
    return [*scene.key, scene.moment.isoformat(), corners, cloud_cover, *about, assets]
