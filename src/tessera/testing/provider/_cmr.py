"""CMR's search of granules over OPERA's RTC-S1: granules.json, paging by CMR-Search-After (CMR Search API docs)."""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from ._http import Answer
from ._items import parse_moment
from ._styles import OPERA_CONCEPT

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from ._http import Asked
    from ._styles import Shown
    from .faults import Switches

_MOST = 2000
"""Most granules of a page."""
_DEFAULT = 10
_SHORT_NAME = "OPERA_L2_RTC-S1_V1"
_TITLE = "OPERA Radiometric Terrain Corrected SAR Backscatter from Sentinel-1 validated product (Version 1)"
_DATA = "http://esipfed.org/ns/fedsearch/1.1/data#"
_NAMES = ("producer_granule_id", "granule_ur", "readable_granule_name")
_KNOWN = {
    "collection_concept_id",
    "concept_id",
    "echo_collection_id",
    "short_name",
    "provider",
    "bounding_box",
    "polygon",
    "point",
    "temporal",
    "attribute",
    "page_size",
    "page_num",
    "sort_key",
    "producer_granule_id",
    "granule_ur",
    "readable_granule_name",
    "options",
    "token",
}


class _RefusedError(ValueError):
    """A query that CMR refuses with 400."""


class Cmr:
    """Answers queries below /search.

    Parameters
    ----------
    shown : granules, with absolute hrefs
    page : most granules of a page, whatever the query says
    """

    def __init__(self, shown: Sequence[Shown], switches: Switches, page: int | None) -> None:
        from shapely.geometry import shape

        self._switches, self._page = switches, page
        self._granules = [
            (_entry(one.item), one.orbit, parse_moment(one.item["properties"]["datetime"]), shape(one.item["geometry"]))
            for one in shown
        ]
        self._granules.sort(key=lambda granule: (granule[2], granule[0]["title"]))
        if switches.faults.shuffle is not None:
            import random

            random.Random(switches.faults.shuffle).shuffle(self._granules)  # noqa: S311 - an order, no secret

    def answer(self, asked: Asked) -> Answer:
        """A search, by GET or by POST of a form."""
        if asked.path != "/search/granules.json":
            return _errors(404, f"The resource at {asked.path} does not exist")
        text = asked.body.decode("utf-8", "replace") if asked.method == "POST" else asked.query
        try:
            return self._search(asked, parse_qsl(text, keep_blank_values=True))
        except _RefusedError as error:
            return _errors(400, str(error))

    def _search(self, asked: Asked, said: list[tuple[str, str]]) -> Answer:
        wanted: dict[str, list[str]] = {}
        for name, value in said:
            wanted.setdefault(re.sub(r"\[.*", "", name), []).append(value)
        unknown = sorted(set(wanted) - _KNOWN)
        if unknown:
            raise _RefusedError(f"Parameter [{unknown[0]}] was not recognized.")
        size = _count(wanted.get("page_size", [str(_DEFAULT)])[0], "page_size", 0, _MOST)
        found = [granule[0] for granule in self._granules if _matches(wanted, *granule)]
        limit = min(size, self._page or size)
        after = asked.headers.get("cmr-search-after")
        if after is not None and "page_num" in wanted:
            raise _RefusedError("page_num is not allowed with search-after")
        start = limit * (_count(wanted.get("page_num", ["1"])[0], "page_num", 1, 1_000_000) - 1)
        if after is not None:
            start = _place(after, found)
        fault = ""
        page = found[start : start + limit]
        headers = {"Content-Type": "application/json;charset=utf-8", "CMR-Hits": str(len(found)), "CMR-Took": "7"}
        # the page after the last is empty and names no place: a client then knows the end
        if page:
            last = page[-1]
            if self._switches.fires("loop", asked):
                last, fault = found[max(0, start - 1)], "loop"
            if start + limit < len(found) and self._switches.fires("no_next", asked):
                fault = "no_next"
            else:
                headers["CMR-Search-After"] = json.dumps(["asf", last["time_start"], last["id"]])
        feed = {
            "feed": {
                "updated": "2026-01-01T00:00:00.000Z",
                "id": asked.base + asked.target,
                "title": "ECHO granule metadata",
                "entry": page,
            }
        }
        answer = Answer(200, headers, json.dumps(feed).encode(), fault=fault)
        faults = self._switches.faults
        if (faults.most_bytes is not None and answer.length > faults.most_bytes) or (
            faults.most_items is not None and len(page) > faults.most_items
        ):
            return Answer(502, {"Content-Type": "text/html"}, b"<html>502 Bad Gateway</html>", fault="too large")
        if self._switches.fires("bad_json", asked):
            answer.body, answer.fault = answer.data()[: answer.length // 2], "bad_json"
        return answer


def _entry(item: dict[str, Any]) -> dict[str, Any]:
    name, moment = item["id"], parse_moment(item["properties"]["datetime"])
    stop = parse_moment(item["properties"].get("end_datetime", item["properties"]["datetime"]))
    links = []
    for key, asset in item["assets"].items():
        title = f"{name}_{key}.tif"
        links.append({"rel": _DATA, "title": f"Download {title}", "hreflang": "en-US", "href": asset["href"]})
        bucket = "s3://asf-cumulus-prod-opera-products/OPERA_L2_RTC-S1"
        links.append(
            {
                "rel": _DATA.replace("data#", "s3#"),
                "title": "This link provides direct download access via S3 to the granule",
                "hreflang": "en-US",
                "href": f"{bucket}/{name}/{title}",
            }
        )
    folder = next(iter(item["assets"].values()))["href"].rpartition("/")[0]
    links += [
        {"rel": _DATA, "title": f"Download {name}{suffix}", "hreflang": "en-US", "href": f"{folder}/{name}{suffix}"}
        for suffix in ("_mask.tif", ".h5")
    ]
    return {
        "producer_granule_id": name,
        "time_start": f"{moment:%Y-%m-%dT%H:%M:%S.000Z}",
        "time_end": f"{stop:%Y-%m-%dT%H:%M:%S.000Z}",
        "updated": "2024-01-01T00:00:00.000Z",
        "dataset_id": _TITLE,
        "data_center": "ASF",
        "title": name,
        "coordinate_system": "GEODETIC",
        "day_night_flag": "UNSPECIFIED",
        "id": f"G{zlib.crc32(name.encode())}-ASF",
        "original_format": "UMM_JSON",
        "collection_concept_id": OPERA_CONCEPT,
        "browse_flag": True,
        "online_access_flag": True,
        "cloud_cover": None,
        "polygons": _polygons(item["geometry"]),
        "links": links,
    }


def _polygons(geometry: dict[str, Any]) -> list[list[str]]:
    """Rings as "lat lon lat lon ...", the outer one first; longitudes from -180 to 180."""
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [[" ".join(f"{y:.7g} {_wrapped(x):.7g}" for x, y, *_ in ring) for ring in part] for part in parts]


def _wrapped(lon: float) -> float:
    return (lon + 180.0) % 360.0 - 180.0 if abs(lon) > 180.0 else lon


def _matches(wanted: dict[str, list[str]], entry: dict[str, Any], orbit: str, moment: dt.datetime, shape: Any) -> bool:
    concepts = [*wanted.get("collection_concept_id", ()), *wanted.get("concept_id", ())]
    if concepts and not {OPERA_CONCEPT, entry["id"]} & set(concepts):
        return False
    if wanted.get("short_name") and _SHORT_NAME not in wanted["short_name"]:
        return False
    if wanted.get("provider") and "ASF" not in wanted["provider"]:
        return False
    names = [name for key in _NAMES for name in wanted.get(key, ())]
    if names and entry["title"] not in names:
        return False
    areas = _areas(wanted)
    if areas and not any(shape.intersects(area) for area in areas):
        return False
    for text in wanted.get("temporal", ()):
        start, stop = _times(text)
        if (start is not None and moment < start) or (stop is not None and moment > stop):
            return False
    for text in wanted.get("attribute", ()):
        parts = text.split(",")
        if len(parts) != 3 or parts[0] != "string":
            raise _RefusedError(f"[{text}] is an invalid attribute; expected string,NAME,VALUE")
        if parts[1] != "ASCENDING_DESCENDING" or parts[2].lower() != orbit:
            return False
    return True


def _areas(wanted: dict[str, list[str]]) -> list[Any]:
    from shapely.geometry import Point, Polygon, box

    areas: list[Any] = []
    for text in wanted.get("bounding_box", ()):
        west, south, east, north = _numbers(text, "bounding_box", 4)
        if west > east:
            areas += [box(west, south, 180.0, north), box(-180.0, south, east, north)]
        else:
            areas.append(box(west, south, east, north))
    for text in wanted.get("polygon", ()):
        numbers = _numbers(text, "polygon", None)
        ring = Polygon(list(zip(numbers[::2], numbers[1::2], strict=True)))
        if not ring.exterior.is_ccw:
            raise _RefusedError("The polygon boundary points are listed in the wrong order: clockwise")
        areas.append(ring)
    areas += [Point(*_numbers(text, "point", 2)) for text in wanted.get("point", ())]
    return areas


def _numbers(text: str, name: str, count: int | None) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise _RefusedError(f"[{text}] is not a valid URL encoded {name}") from None
    if (count is not None and len(numbers) != count) or (count is None and (len(numbers) < 8 or len(numbers) % 2)):
        raise _RefusedError(f"[{text}] is not a valid URL encoded {name}")
    return numbers


def _times(text: str) -> tuple[dt.datetime | None, dt.datetime | None]:
    first, _, last = text.partition(",")
    try:
        return parse_moment(first) if first else None, parse_moment(last) if last else None
    except ValueError:
        raise _RefusedError(f"temporal start datetime is invalid: [{text}] is not a valid datetime.") from None


def _count(text: str, name: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise _RefusedError(f"{name} must be a number between {least} and {most}")
    return int(text)


def _place(after: str, found: list[dict[str, Any]]) -> int:
    try:
        name = json.loads(after)[-1]
        return next(place for place, entry in enumerate(found) if entry["id"] == name) + 1
    except (ValueError, LookupError, TypeError, StopIteration):
        raise _RefusedError(f"The search failed with message: [{after}] is no valid search-after value") from None


def _errors(status: int, message: str) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps({"errors": [message]}).encode())
