"""Checks of the scenes, query and counts of a table, when it is written and when it is read."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tessera.base import InputError
from tessera.cubes import S2_BANDS

from .scene import S1_COLLECTIONS, S2_COLLECTIONS

BANDS = (*sorted(S2_BANDS), "SCL", "VV", "VH")
"""Bands that a scene can have."""
SCENES_LIMIT = 1_000_000
"""Scenes in a table: OPERA has 100,000 a year over a country of 300,000 km2."""
CORNERS_LIMIT = 20_000
"""Corners of an outline: Earth Search has items of 2018 with some thousand."""
_YEARS = range(2014, 2101)
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_REMOTE = re.compile(r"(https?|s3)://[^/]")


def check_scene(scene: Any, where: str | None = None) -> None:
    """Check every value of a scene; a table accepts, writes and reads back all scenes that pass.

    Parameters
    ----------
    scene : with any values
    where : name of the scene in messages; its id if None

    Raises
    ------
    InputError
        A value is invalid.
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
    # readers of local paths would interpret "/vsi..." and "<VRTDataset>" as instructions
    local = Path(asset.href).is_absolute() and not asset.href.startswith("/vsi")
    if not _REMOTE.match(asset.href) and not local:
        raise InputError(f"{where} is {_shown(asset.href)}; expected an http, https or s3 address or an absolute path")
    if not isinstance(asset.offset, bool):
        raise InputError(f"{where} has offset {_shown(asset.offset)}; expected true or false")


def _check_text(what: str, value: object, most: int, *, least: int = 1) -> None:
    if not isinstance(value, str) or not least <= len(value) <= most or _CONTROL.search(value):
        raise InputError(f"{what} is {_shown(value)}; expected {least} to {most} printable characters")


def _is_in_years(moment: dt.datetime) -> bool:
    # the first and last day of the calendar cannot be converted to UTC
    return moment.year in _YEARS and moment.astimezone(dt.UTC).year in _YEARS


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: object) -> str:
    return ascii(value)[:80]


def checked_query(query: object) -> dict[str, Any]:
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


def checked_counts(counts: object) -> dict[str, int]:
    given = dict(counts) if isinstance(counts, Mapping) else {}
    if not isinstance(counts, Mapping) or len(given) > 100:
        raise InputError(f"the counts of items left out are {_shown(counts)}; expected reasons with counts")
    for reason, count in given.items():
        _check_text("a reason to leave out", reason, 200)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**53:
            raise InputError(f"{count!r} items left out for {reason!r}; expected a whole number from 0")
    return dict(sorted(given.items()))
