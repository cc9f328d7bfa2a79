"""The table of scenes: what a search found, with the question, so that a cube can be built again from one answer."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, write_atomic
from tessera.cubes import S2_BANDS

from .scene import S1_COLLECTIONS, S2_COLLECTIONS, Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.geo import Window

BANDS = (*sorted(S2_BANDS), "SCL", "VV", "VH")
"""Bands that a scene can have."""
SCENES_LIMIT = 1_000_000
"""Scenes of a table: OPERA has 100,000 a year over a country of 300,000 km2."""
CORNERS_LIMIT = 20_000
"""Corners of an outline: Earth Search has items of 2018 with some thousand."""
_MARGIN = 0.1
"""Degrees of latitude: an edge that is straight in degrees leaves one that is straight in UTM by less (0.07 for a scene
of 250 km at 80 N)."""
_TURNS = np.array([[-360.0], [0.0], [360.0]])
_YEARS = range(2014, 2101)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_REMOTE = re.compile(r"(https?|s3)://[^/]")


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
        object.__setattr__(self, "query", _checked_query(self.query))
        object.__setattr__(self, "left_out", _checked_counts(self.left_out))

    def __len__(self) -> int:
        return len(self.scenes)

    @cached_property
    def sha256(self) -> str:
        """Digest of the scenes. The order of the answer does not count: neither `position` nor the query are in it."""
        total = hashlib.sha256()
        for scene in self.scenes:
            total.update(json.dumps(_told(scene), sort_keys=True).encode() + b"\n")
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
        from ._table_file import encode

        path = Path(path)
        try:
            write_atomic(path, encode(self))
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
    from ._table_file import decode

    return decode(Path(path))


def unwrapped(corners: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """(N, 2) longitudes and latitudes without a jump: longitudes above 180 over the date line."""
    points = np.array(corners, dtype=np.float64).reshape(-1, 2)
    lon = points[:, 0]
    lon = np.where(np.abs(lon) <= 180.0, lon, (lon + 180.0) % 360.0 - 180.0)
    if lon.max() - lon.min() > 180.0:
        lon = np.where(lon < 0.0, lon + 360.0, lon)
    return np.column_stack([lon, points[:, 1]])


def _in_utc(scene: Scene) -> Scene:
    return scene if scene.moment.tzinfo is dt.UTC else replace(scene, moment=scene.moment.astimezone(dt.UTC))


def _told(scene: Scene) -> list[object]:
    assets = {band: [asset.href, asset.offset] for band, asset in scene.assets.items()}
    corners = [list(map(float, corner)) for corner in scene.footprint]
    about = [scene.baseline, scene.orbit, scene.platform, scene.datatake, scene.tile]
    cloud_cover = None if scene.cloud_cover is None else float(scene.cloud_cover)
    return [*scene.key, scene.moment.isoformat(), corners, cloud_cover, *about, assets]


def check_scene(scene: Any, where: str | None = None) -> None:
    """The one rule of what a scene can be: what passes here is taken by a table, written, and read back.

    Parameters
    ----------
    scene : of any values
    where : what its line calls it; by its id where None

    Raises
    ------
    InputError
        A value cannot be.
    """
    _check_text("a scene's id" if where is None else f"{where}: id", scene.id, 300)
    where = where or f"scene {scene.id}"
    _check_text(f"{where}: source", scene.source, 2000)
    if scene.collection not in (*S2_COLLECTIONS, *S1_COLLECTIONS):
        expected = ", ".join((*S2_COLLECTIONS, *S1_COLLECTIONS))
        raise InputError(f"{where}: collection {_shown(scene.collection)}; expected one of {expected}")
    moment = scene.moment
    if not isinstance(moment, dt.datetime) or moment.utcoffset() is None or not _is_in_years(moment):
        raise InputError(
            f"{where}: datetime {_shown(moment)}; expected a moment of {_YEARS[0]} to {_YEARS[-1]} with its time zone"
        )
    if scene.orbit not in ("", "ascending", "descending"):
        raise InputError(f"{where}: orbit {_shown(scene.orbit)}; expected ascending, descending or none")
    for name in ("baseline", "platform", "datatake", "tile"):
        _check_text(f"{where}: {name}", getattr(scene, name), 200, least=0)
    if scene.cloud_cover is not None and not (_is_number(scene.cloud_cover) and 0 <= scene.cloud_cover <= 100):
        raise InputError(f"{where}: cloud cover {_shown(scene.cloud_cover)}; expected per cent, 0 to 100")
    position = scene.position
    if isinstance(position, bool) or not isinstance(position, int) or not 0 <= position < 2**53:
        raise InputError(f"{where}: position {_shown(position)}; expected a whole number from 0")
    _check_corners(where, scene.footprint)
    for band, asset in scene.assets.items():
        if band not in BANDS:
            raise InputError(f"{where}: band {_shown(band)}; expected one of {', '.join(BANDS)}")
        _check_asset(f"{where}: asset {band}", asset)


def _check_corners(where: str, corners: object) -> None:
    if not isinstance(corners, tuple) or not 1 <= len(corners) <= CORNERS_LIMIT:
        raise InputError(f"{where}: footprint {_shown(corners)}; expected 1 to {CORNERS_LIMIT} corners")
    for corner in corners:
        if len(corner) != 2 or not all(map(_is_number, corner)) or abs(corner[0]) > 360 or abs(corner[1]) > 90:
            raise InputError(f"{where}: corner {_shown(corner)}; expected longitude and latitude in degrees")


def _check_asset(where: str, asset: Any) -> None:
    _check_text(where, asset.href, 8192)
    # a path goes to readers that take "/vsi..." and "<VRTDataset>" for commands
    local = Path(asset.href).is_absolute() and not asset.href.startswith("/vsi")
    if not _REMOTE.match(asset.href) and not local:
        raise InputError(f"{where} is {_shown(asset.href)}; expected an http, https or s3 address or an absolute path")
    if not isinstance(asset.offset, bool):
        raise InputError(f"{where} has offset {_shown(asset.offset)}; expected true or false")


def _check_text(what: str, value: object, most: int, *, least: int = 1) -> None:
    if not isinstance(value, str) or not least <= len(value) <= most or _CONTROL.search(value):
        raise InputError(f"{what} is {_shown(value)}; expected {least} to {most} printable characters")


def _is_in_years(moment: dt.datetime) -> bool:
    # the ends of the calendar have no UTC
    return moment.year in _YEARS and moment.astimezone(dt.UTC).year in _YEARS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: object) -> str:
    return ascii(value)[:80]


def _checked_query(query: object) -> dict[str, Any]:
    """The query in plain JSON values."""
    try:
        plain = json.loads(json.dumps(query, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InputError(f"the query {_shown(query)} of the table is not plain JSON") from None
    if not isinstance(plain, dict) or not {"box", "first", "last", "sources"} <= set(plain):
        raise InputError(f"the query of the table is {_shown(plain)}; expected box, first, last and sources")
    box = plain["box"]
    if (
        not isinstance(box, list)
        or len(box) != 4
        or not all(map(_is_number, box))
        or max(abs(box[0]), abs(box[2])) > 180
        or not -90 <= box[1] <= box[3] <= 90
    ):
        raise InputError(f"the query's box is {_shown(box)}; expected west, south, east, north in degrees")
    plain["box"] = [float(value) for value in box]
    first, last = _day(plain["first"]), _day(plain["last"])
    if last < first:
        raise InputError(f"the query's days go from {first} to {last}; expected the last not before the first")
    sources = plain["sources"]
    if not isinstance(sources, list) or not 1 <= len(sources) <= 100:
        raise InputError(f"the query's sources are {_shown(sources)}; expected a list of names")
    for source in sources:
        _check_text("a source's name", source.get("name") if isinstance(source, dict) else source, 2000)
    return plain


def _day(value: object) -> dt.date:
    try:
        if isinstance(value, str) and len(value) == 10:
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise InputError(f"the query has day {_shown(value)}; expected one such as 2021-04-01")


def _checked_counts(counts: object) -> dict[str, int]:
    given = dict(counts) if isinstance(counts, Mapping) else {}
    if not isinstance(counts, Mapping) or len(given) > 100:
        raise InputError(f"what was left out is {_shown(counts)}; expected reasons with counts")
    for reason, count in given.items():
        _check_text("a reason to leave out", reason, 200)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**53:
            raise InputError(f"{count!r} items left out for {reason!r}; expected a whole number from 0")
    return dict(sorted(given.items()))
