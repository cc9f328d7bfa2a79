"""Any STAC API: searched by month and collection, in smaller parts where an answer is too large.

pystac-client is not used: it retries by rules of its own, follows links to any server and accepts answers of any size.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from tessera.base import Crew, InputError, silent
from tessera.net import CorruptError, LoadError, MissingError, OversizeError, PermanentError, Web

from ..records import S2_COLLECTIONS, Scene
from ._static import check_root, public_address
from ._tally import LEFT_OUT, Tally, weight
from .items import named, printable, scene_of
from .source import PublicFiles

if TYPE_CHECKING:
    from tessera.base import Progress
    from tessera.net import NetError

    from .source import Query

_LIMIT = 16 * 1024**2
"""Bytes of a page, which take about ten times as much when parsed; 250 items are 7 MB. Larger answers are split."""
_MOST_PAGES = 10_000
_IDLE = 10
"""Consecutive pages without a new item that are accepted: items added meanwhile shift small pages."""
_STEP = 65_536
"""Characters of a request for a next page, which the previous page supplies."""
_AT_ONCE = 4
"""Concurrent searches."""
_SMALLER = 4
"""Factor by which the page size is reduced when a page is too large."""
_TOO_LARGE = (413, 502, 504)
"""Earth Search always answers 502 where an answer is too large for its gateway (about 6 MB)."""
_REASONS = 20
"""Most frequent reasons that are kept; a table of scenes accepts a hundred in all."""
_TRACKED = 10_000
"""Distinct reasons that are counted during a search, since providers can write any number."""
_REASON = 120
"""Characters of a reason."""
_NAME = 400
"""Characters of an id that are kept; a scene's id has at most 300."""
_OTHERS = "other reasons"

Box = tuple[float, float, float, float]
_Span = tuple[dt.date, dt.date]


class _LeftOut(NamedTuple):
    """An item that cannot be a scene: its collection and id, and the reason."""

    key: tuple[str, str]
    reason: str


class StacApi(PublicFiles):
    """A STAC API with item search.

    Parameters
    ----------
    url : its root, where its landing page is
    name : in provenance; its host if None
    collections : to search
    page : items a page
    headers : sent with every search
    web : HTTP client

    Attributes
    ----------
    api : the root
    asked : the text that `parse_source` accepts for it
    left_out : reason -> number of items that the last search left out for it
    """

    def __init__(
        self,
        url: str,
        name: str | None = None,
        *,
        collections: tuple[str, ...] = (*S2_COLLECTIONS, "sentinel-1-rtc"),
        page: int = 100,
        headers: dict[str, str] | None = None,
        web: Web | None = None,
    ) -> None:
        check_root(url, "a STAC API's root")
        self.api = url.rstrip("/")
        self.name = name or urlsplit(url).netloc
        self.asked = name or f"stac:{self.api}"
        self.left_out: dict[str, int] = {}
        self._collections, self._page, self._headers = collections, page, dict(headers or {})
        self._web = web if web is not None else Web(self.search_verdict)
        self._patient = web if web is not None else Web(self._patient_verdict)
        self._bad: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.api!r})"

    # search

    def search(self, query: Query, progress: Progress = silent) -> Iterator[Scene]:
        """See `Source`. Items that lack a required value are left out and counted.

        Raises
        ------
        CorruptError
            The answer is not a list of items, or its pages repeat.
        NetError
            The API cannot be searched.
        """
        self.left_out, self._bad = {}, set()
        slices = [
            (collection, span, box)
            for collection in self._collections
            for span in query.months()
            for box in query.boxes()
        ]
        progress(0, len(slices))
        known: set[tuple[str, str]] = set()
        tally = Tally(f"{self.api}/search")
        crew = Crew(_AT_ONCE, "tessera-search")
        answers = [crew.submit(self._slice, *one, tally) for one in slices]
        try:
            for done, answer in enumerate(answers, 1):
                for item in answer.result():
                    if isinstance(item, _LeftOut):
                        self._leave_out(item)
                    elif item.key[1:] not in known:
                        known.add(item.key[1:])
                        yield replace(item, position=len(known) - 1)
                progress(done, len(slices))
        finally:
            tally.stop()
            for answer in answers:
                answer.cancel()
            crew.dismiss(0)
            self.left_out = _most_frequent(self.left_out)

    def _scene(self, item: dict[str, Any]) -> Scene | _LeftOut | None:
        own = _link(item, "self")
        base = f"{self.api}/search" if own is None else str(own["href"])
        try:
            return scene_of(item, self.name, lambda what, href: _address_of(what, href, base), 0)
        except InputError as error:
            # without the item's name, so that equal reasons are counted together;
            # without queries, since reasons are written to files and a query may hold a signature
            said = re.sub(r"\?[^\s'\"]+", "?", str(error).partition(named(item))[2].strip(" ,:"))
            reason = printable(said[:_REASON]) or "not a STAC item"
            return _LeftOut((str(item.get("collection"))[:_NAME], str(item.get("id", ""))[:_NAME]), reason)

    def _leave_out(self, item: _LeftOut) -> None:
        """Count an item that is left out, once."""
        key, reason = item
        if key in self._bad:
            return  # listed in two boxes or on two pages
        if key[1] and len(self._bad) < _TRACKED:
            self._bad.add(key)
        if reason not in self.left_out and len(self.left_out) >= _TRACKED:
            reason = _OTHERS
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def _slice(self, collection: str, span: _Span, box: Box, tally: Tally) -> list[Scene | _LeftOut]:
        """Every item of a collection in a time span; too large an answer halves the span, then the page size."""
        page, web = self._page, self._web
        first, last = span
        while True:
            taken = _Taken(tally)
            try:
                self._pages(collection, span, box, page, web, taken)
            except OversizeError as error:
                taken.drop()
                if first < last:
                    middle = first + (last - first) // 2
                    after = middle + dt.timedelta(days=1)
                    return [
                        *self._slice(collection, (first, middle), box, tally),
                        *self._slice(collection, (after, last), box, tally),
                    ]
                if page == 1 and web is self._patient:
                    raise LoadError(f"{error}, for a single item of {first}") from None
                if page == 1:
                    # size is not the cause: the server may be down for a moment
                    web = self._patient
                page = max(1, page // _SMALLER)
            else:
                return taken.items

    def _pages(self, collection: str, span: _Span, box: Box, page: int, web: Web, taken: _Taken) -> None:
        first, last = span
        asked: dict[str, Any] = {
            "collections": [collection],
            "bbox": list(box),
            "datetime": f"{first}T00:00:00Z/{last + dt.timedelta(days=1)}T00:00:00Z",
            "limit": page,
        }
        url, body = f"{self.api}/search", dict(asked)
        method = "POST"
        came = idle = 0
        seen: set[bytes] = set()
        for _ in range(_MOST_PAGES):
            step = self._step(method, url, body)
            if step in seen:
                raise CorruptError(f"{self.api}/search repeats its pages after {came} items; expected each page once")
            seen.add(step)
            try:
                if method == "POST":
                    answer = web.post(url, body, limit=_LIMIT, headers=self._headers)
                else:
                    answer = web.get(url, limit=_LIMIT, headers=self._headers)
            except (MissingError, PermanentError) as error:
                if came:
                    raise
                raise type(error)(f"expected the root of a STAC API, got {self.api} ({error})") from None
            found = answer.json(f"{self.api}/search")
            del answer
            features = found.get("features") if isinstance(found, dict) else None
            if not isinstance(features, list) or not all(isinstance(item, dict) for item in features):
                raise CorruptError(f"{self.api}/search returned no list of items; expected a GeoJSON FeatureCollection")
            came += len(features)
            new = sum(taken.add(item, self._scene) for item in features)
            idle = 0 if new else idle + 1
            link = _link(found, "next")
            if link is None:
                self._check_all(found, came)
                return
            if idle >= _IDLE:
                raise CorruptError(
                    f"{self.api}/search: {idle} pages after {came} items have no new one; expected an end"
                )
            method = str(link.get("method") or "GET").upper()
            url = self._next(link)
            more = link.get("body")
            body = ({**asked} if link.get("merge") else {}) | (more if isinstance(more, dict) else {})
        raise CorruptError(f"{self.api}/search has more than {_MOST_PAGES} pages")

    def _step(self, method: str, url: str, body: dict[str, Any]) -> bytes:
        """Digest of a request, to detect repetition."""
        try:
            step = f"{method} {url} {json.dumps(body, sort_keys=True)}"
        except RecursionError:
            step = " " * (_STEP + 1)
        if len(step) > _STEP:
            raise CorruptError(f"{self.api}/search: the request for its next page has over {_STEP} characters")
        return hashlib.sha256(step.encode("utf-8", "surrogatepass")).digest()

    def _next(self, link: dict[str, Any]) -> str:
        try:
            url = urljoin(f"{self.api}/", str(link["href"]))
            parts = urlsplit(url)
        except ValueError:
            raise CorruptError(f"{self.api}/search: the link to its next page is not an address") from None
        if parts[:2] != urlsplit(self.api)[:2]:
            where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
            raise CorruptError(f"{self.api}/search: its next page is on another server, {where}")
        return url

    def _check_all(self, found: dict[str, Any], count: int) -> None:
        """Check that as many items came as the provider counts."""
        context = found.get("context")
        matched = found.get("numberMatched", context.get("matched") if isinstance(context, dict) else None)
        if isinstance(matched, int) and matched > count:
            raise LoadError(f"{self.api}/search returned {count} of {matched} items and no next page")

    def search_verdict(self, status: int, body: bytes) -> type[NetError] | None:  # noqa: ARG002
        """The error for a refused search, None for the usual one."""
        return OversizeError if status in _TOO_LARGE else None

    def _patient_verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """Like `search_verdict`, for a search for one item, where a gateway's error does not mean too large."""
        return None if status in _TOO_LARGE else self.search_verdict(status, body)


class _Taken:
    """Scenes, and items left out, from the pages of one slice."""

    def __init__(self, tally: Tally) -> None:
        self.items: list[Scene | _LeftOut] = []
        self._tally = tally
        self._names: set[str] = set()
        self._scenes: set[str] = set()
        self._count = self._held = 0

    def add(self, item: dict[str, Any], read: Callable[[dict[str, Any]], Scene | _LeftOut | None]) -> bool:
        """Keep an item unless it is already kept; returns whether its id is new."""
        name = item.get("id")
        short = name[:_NAME] if isinstance(name, str) else ""
        if short in self._scenes:
            return False
        scene = read(item)
        held = LEFT_OUT + len(short) + (weight(scene) if isinstance(scene, Scene) else 0)
        self._count, self._held = self._count + 1, self._held + held
        self._tally.take(1, held)
        if scene is not None:
            self.items.append(scene)
        if isinstance(scene, Scene):
            self._scenes.add(short)
        new = bool(short) and short not in self._names
        self._names.add(short)
        return new

    def drop(self) -> None:
        """Subtract the items from the tally, since another request replaces this one."""
        self._tally.take(-self._count, -self._held)


def _link(document: dict[str, Any], rel: str) -> dict[str, Any] | None:
    """The first link of a relation that has an href."""
    links = document.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == rel and isinstance(link.get("href"), str):
            return link
    return None


def _address_of(what: str, href: object, base: str) -> str:
    if not isinstance(href, str) or not href or any(ord(letter) < 33 for letter in href):
        raise InputError(f"{what} has no address as its href")
    if href.startswith("s3://"):
        return public_address(href, what)
    try:
        address = urljoin(base, href)
        scheme = urlsplit(address).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise InputError(f"{what} points to an address of scheme {scheme[:20]!r}; expected http, https or s3")
    return address


def _most_frequent(counts: dict[str, int]) -> dict[str, int]:
    """The reasons with most items, whatever order they came in, and the number of items with other reasons."""
    others = counts.get(_OTHERS, 0)
    ordered = sorted(((-count, reason) for reason, count in counts.items() if reason != _OTHERS))
    kept = {reason: -count for count, reason in ordered[:_REASONS]}
    others -= sum(count for count, _ in ordered[_REASONS:])
    return kept | ({_OTHERS: others} if others else {})


ContainerOf = Callable[[str], tuple[str, str] | None]
"""Address -> account and container whose token signs it, None where it is not signed."""
