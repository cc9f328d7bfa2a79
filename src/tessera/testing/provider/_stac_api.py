"""A STAC API over items: core, collections and item search, GET and POST, in pages (STAC API 1.0.0)."""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from ._http import Answer
from ._items import parse_moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from ._http import Asked
    from .faults import Switches

    Interval = tuple[dt.datetime | None, dt.datetime | None]

CONFORMS = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "https://api.stacspec.org/v1.0.0-rc.2/item-search#filter",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, among: value in among,
    "startsWith": lambda value, start: str(value).startswith(start),
}
_TERM = re.compile(r"\s*\"?([\w:.]+)\"?\s*(<=|>=|<>|<|>|=)\s*('[^']*'|-?[\d.]+)\s*")


class BadRequestError(ValueError):
    """A bad request: 400."""


@dataclass(frozen=True)
class Manner:
    """How a provider differs from others."""

    title: str  # of its catalogue
    limit: int = 10  # limit, most: items of a page by default, and at most (more is cut down or refused)
    most: int = 10_000
    refuses: bool = False  # whether a larger limit is refused
    # name of the parameter of the next page
    token: str = "token"  # noqa: S105 - the name of a parameter
    merge: bool = False  # whether a POST's next link holds only what is new, to be merged into what was asked
    newest_first: bool = True  # by default


MANNERS = {
    "stac": Manner("A STAC API", merge=True, newest_first=False),
    "mpc": Manner("Microsoft Planetary Computer STAC API", limit=250, most=1000, refuses=True),
    "earth-search": Manner("Earth Search by Element 84", token="next"),  # noqa: S106 - the name of a parameter
}


class StacApi:
    """Answers requests below `root`, a path such as "/api/stac/v1", from items in the catalogue's order.

    A page has `page` items at most, whatever the request says.
    """

    def __init__(
        self, items: Sequence[dict[str, Any]], manner: Manner, root: str, switches: Switches, page: int | None
    ) -> None:
        from shapely.geometry import shape

        self._manner, self._root, self._switches, self._page = manner, root, switches, page
        self._items = list(items)
        if manner.newest_first:
            self._items.sort(key=lambda item: item["id"])
            self._items.sort(key=lambda item: parse_moment(item["properties"]["datetime"]), reverse=True)
        if switches.faults.shuffle is not None:
            import random

            random.Random(switches.faults.shuffle).shuffle(self._items)  # noqa: S311 - an order, no secret
        self._shapes = {id(item): shape(item["geometry"]) for item in self._items}

    def answer(self, asked: Asked) -> Answer:
        """Answer a request below the root."""
        path = asked.path.removeprefix(self._root).strip("/")
        here = asked.base + self._root
        parts = path.split("/")
        try:
            if path == "":
                return _json(self._landing(here))
            if path == "conformance":
                return _json({"conformsTo": list(CONFORMS)})
            if path == "collections":
                found = [self._collection(here, name) for name in self._names()]
                return _json({"collections": found, "links": [_link("self", f"{here}/collections")]})
            if path == "search":
                return self._search(asked, here)
            if parts[0] == "collections" and len(parts) > 1 and parts[1] in self._names():
                if len(parts) == 2:
                    return _json(self._collection(here, parts[1]))
                if len(parts) == 3 and parts[2] == "items":
                    return self._search(asked, here, parts[1])
                found = [i for i in self._items if i["collection"] == parts[1] and i["id"] == "/".join(parts[3:])]
                if found:
                    return _json(self._whole(found[0], here), kind="application/geo+json")
        except BadRequestError as error:
            return _json({"code": "BadRequest", "description": str(error)}, status=400)
        return _json({"code": "NotFoundError", "description": f"{asked.path} does not exist"}, status=404)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(item["collection"] for item in self._items))

    def _landing(self, here: str) -> dict[str, Any]:
        geojson = "application/geo+json"
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": self._manner.title.lower().replace(" ", "-"),
            "title": self._manner.title,
            "description": "Simulated scenes. Not an observation of the Earth.",
            "conformsTo": list(CONFORMS),
            "links": [
                _link("self", here),
                _link("root", here),
                _link("data", f"{here}/collections"),
                _link("conformance", f"{here}/conformance"),
                _link("search", f"{here}/search", geojson) | {"method": "GET"},
                _link("search", f"{here}/search", geojson) | {"method": "POST"},
                *(_link("child", f"{here}/collections/{name}") for name in self._names()),
            ],
        }

    def _collection(self, here: str, name: str) -> dict[str, Any]:
        moments = sorted(item["properties"]["datetime"] for item in self._items if item["collection"] == name)
        return {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": name,
            "license": "proprietary",
            "extent": {
                "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[moments[0], moments[-1]]]},
            },
            "links": [
                _link("self", f"{here}/collections/{name}"),
                _link("root", here),
                _link("parent", here),
                _link("items", f"{here}/collections/{name}/items", "application/geo+json"),
            ],
        }

    def _whole(self, item: dict[str, Any], here: str) -> dict[str, Any]:
        collection = f"{here}/collections/{item['collection']}"
        links = [
            _link("self", f"{collection}/items/{quote(item['id'])}", "application/geo+json"),
            _link("collection", collection),
            _link("parent", collection),
            _link("root", here),
            *item["links"],
        ]
        return item | {"links": links}

    def _search(self, asked: Asked, here: str, collection: str | None = None) -> Answer:
        wanted = _wanted(asked)
        if collection is not None:
            wanted["collections"] = [collection]
        limit = int(_number(wanted.get("limit", self._manner.limit), "limit"))
        if limit < 1 or (limit > self._manner.most and self._manner.refuses):
            raise BadRequestError(f"limit {limit}; expected 1 to {self._manner.most}")
        limit = min(limit, self._manner.most, self._page or limit)
        found = self._matching(wanted)
        start = _place(wanted.get(self._manner.token))
        page = found[start : start + limit]
        links = [_link("root", here), _link("self", f"{asked.base}{asked.target}", "application/geo+json")]
        more = start + limit < len(found)
        fault = ""
        place = start + limit
        if self._switches.fires("loop", asked) and found:
            more, place, fault = True, start, "loop"
        if more and self._switches.fires("no_next", asked):
            more, fault = False, "no_next"
        if more:
            links.append(self._next(asked, wanted, f"next:{place}"))
        answer = _json(
            {
                "type": "FeatureCollection",
                "features": [self._whole(item, here) for item in page],
                "links": links,
                "numberMatched": len(found),
                "numberReturned": len(page),
            },
            kind="application/geo+json",
        )
        answer.fault = fault
        faults = self._switches.faults
        if (faults.most_bytes is not None and answer.length > faults.most_bytes) or (
            faults.most_items is not None and len(page) > faults.most_items
        ):
            return Answer(
                502, {"Content-Type": "application/json"}, b'{"message": "Internal server error"}', fault="too large"
            )
        if self._switches.fires("bad_json", asked):
            answer.body, answer.fault = answer.data()[: answer.length // 2], "bad_json"
        return answer

    def _next(self, asked: Asked, wanted: dict[str, Any], token: str) -> dict[str, Any]:
        name = self._manner.token
        link = _link("next", asked.base + asked.path, "application/geo+json") | {"method": asked.method}
        if asked.method == "POST":
            link["body"] = {name: token} if self._manner.merge else {**wanted, name: token}
            link["merge"] = self._manner.merge
        else:
            said = [(key, value) for key, value in parse_qsl(asked.query) if key != name]
            link["href"] += "?" + urlencode([*said, (name, token)])
        return link

    def _matching(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        if wanted.get("bbox") and wanted.get("intersects") is not None:
            raise BadRequestError("bbox and intersects; expected one of them")
        area = _area(wanted)
        interval = _interval(wanted["datetime"]) if wanted.get("datetime") else (None, None)
        found = [item for item in self._items if self._matches(item, wanted, area, interval)]
        for rule in reversed(wanted.get("sortby") or []):
            name = rule["field"].removeprefix("properties.")
            found.sort(key=_by(name), reverse=rule.get("direction") == "desc")
        return found

    def _matches(self, item: dict[str, Any], wanted: dict[str, Any], area: Any, interval: Interval) -> bool:
        if wanted.get("collections") and item["collection"] not in wanted["collections"]:
            return False
        if wanted.get("ids") and item["id"] not in wanted["ids"]:
            return False
        if area is not None and not self._shapes[id(item)].intersects(area):
            return False
        if not _within(item, interval):
            return False
        for name, rules in (wanted.get("query") or {}).items():
            if not all(_compare(item, name, how, value) for how, value in rules.items()):
                return False
        return _passes(item, wanted.get("filter"))


def _wanted(asked: Asked) -> dict[str, Any]:
    """The query of a GET or POST, in the form of a POST body."""
    if asked.method == "POST":
        try:
            body = json.loads(asked.body)
        except ValueError:
            raise BadRequestError("the body is not JSON") from None
        if not isinstance(body, dict):
            raise BadRequestError("the body is no object")
        return body
    wanted: dict[str, Any] = dict(parse_qsl(asked.query))
    for name in ("collections", "ids"):
        if name in wanted:
            wanted[name] = wanted[name].split(",")
    if "bbox" in wanted:
        wanted["bbox"] = wanted["bbox"].split(",")
    try:
        for name in ("intersects", "query"):
            if name in wanted:
                wanted[name] = json.loads(wanted[name])
        if str(wanted.get("filter", "")).startswith("{"):
            wanted["filter"] = json.loads(wanted["filter"])
    except ValueError:
        raise BadRequestError("intersects, query or filter is not JSON") from None
    if "sortby" in wanted:
        wanted["sortby"] = [
            {"field": name.lstrip("+-"), "direction": "desc" if name.startswith("-") else "asc"}
            for name in wanted["sortby"].split(",")
        ]
    return wanted


def _area(wanted: dict[str, Any]) -> Any:
    from shapely import union_all
    from shapely.errors import ShapelyError
    from shapely.geometry import box, shape

    if wanted.get("intersects") is not None:
        try:
            return shape(wanted["intersects"])
        except (ShapelyError, ValueError, TypeError, KeyError, AttributeError):
            raise BadRequestError("intersects is no geometry") from None
    if not wanted.get("bbox"):
        return None
    numbers = [_number(value, "bbox") for value in wanted["bbox"]]
    if len(numbers) not in (4, 6):
        raise BadRequestError(f"bbox of {len(numbers)} numbers; expected 4 or 6")
    half = len(numbers) // 2
    west, south, east, north = numbers[0], numbers[1], numbers[half], numbers[half + 1]
    if south > north:
        raise BadRequestError("bbox with its south above its north")
    if west > east:  # over the date line (RFC 7946, 5.2)
        return union_all([box(west, south, 180.0, north), box(-180.0, south, east, north)])
    return box(west, south, east, north)


def _interval(text: str) -> Interval:
    first, slash, last = str(text).partition("/")
    try:
        start, stop = (parse_moment(part) if part not in ("", "..") else None for part in (first, last or first))
        if slash and last in ("", ".."):
            stop = None
    except ValueError:
        raise BadRequestError(f"datetime {text!r}; expected a moment or two with a slash") from None
    if (start is None and stop is None) or (start is not None and stop is not None and start > stop):
        raise BadRequestError(f"datetime {text!r}; expected a start before its end")
    return start, stop


def _within(item: dict[str, Any], interval: Interval) -> bool:
    moment = parse_moment(item["properties"]["datetime"])
    return (interval[0] is None or moment >= interval[0]) and (interval[1] is None or moment <= interval[1])


def _value(item: dict[str, Any], name: str) -> Any:
    return item.get(name) if name in ("id", "collection") else item["properties"].get(name.removeprefix("properties."))


def _by(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda item: str(_value(item, name))


def _compare(item: dict[str, Any], name: str, how: str, wanted: Any) -> bool:
    """Compare a property; a missing one never matches."""
    if how not in _COMPARE:
        raise BadRequestError(f"operator {how!r}; expected {', '.join(_COMPARE)}")
    value = _value(item, name)
    try:
        return value is not None and bool(_COMPARE[how](value, wanted))
    except TypeError:
        return False


def _passes(item: dict[str, Any], rule: Any) -> bool:
    """CQL2, as JSON or text: comparisons of one property with one value, joined by "and"."""
    if not rule:
        return True
    if isinstance(rule, str):
        terms = re.split(r"\s+and\s+", rule.strip().strip("()"), flags=re.IGNORECASE)
        matches = [_TERM.fullmatch(term.strip("()")) for term in terms]
        return all(_compare(item, m[1], m[2], _literal(m[3])) for m in _all(matches, rule))
    try:
        how, args = rule["op"], rule["args"]
        if how == "and":
            return all(_passes(item, arg) for arg in args)
        return _compare(item, args[0]["property"], how, args[1])
    except (KeyError, TypeError, IndexError):
        raise BadRequestError(f"filter {rule!r}; expected comparisons") from None


def _all(matches: list[re.Match[str] | None], rule: str) -> list[re.Match[str]]:
    found = [match for match in matches if match is not None]
    if len(found) < len(matches):
        raise BadRequestError(f"filter {rule!r}; expected comparisons joined by and")
    return found


def _literal(text: str) -> str | float:
    return text[1:-1] if text.startswith("'") else float(text)


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise BadRequestError(f"{name} {value!r}; expected a number") from None


def _place(token: Any) -> int:
    if token is None:
        return 0
    match = re.fullmatch(r"next:(\d{1,9})", str(token))
    if match is None:
        raise BadRequestError(f"token {token!r} is not one of this server")
    return int(match[1])


def _link(rel: str, href: str, kind: str = "application/json") -> dict[str, Any]:
    return {"rel": rel, "href": href, "type": kind}


def _json(value: Any, *, status: int = 200, kind: str = "application/json") -> Answer:
    return Answer(status, {"Content-Type": kind}, json.dumps(value).encode())
