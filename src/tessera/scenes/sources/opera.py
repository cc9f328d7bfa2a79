"""OPERA RTC-S1 at NASA's ASF: Sentinel-1 backscatter at 30 m, one product a burst, searched in CMR, read with a token.

Reference: CMR's search API (granules.json, CMR-Search-After, additional attributes), OPERA's product names and ASF's
addresses. CMR's STAC interface is not used: its pages have a hundred items, and it does not filter by orbit.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import os
import re
import threading
import time
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from tessera.base import InputError, silent
from tessera.net import CorruptError, CredentialError, LoadError, NetError, Web

from ..records import Asset, Scene, check_scene
from ._tally import LEFT_OUT, Tally, weight
from .source import Address, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tessera.base import Progress
    from tessera.net import Answer

Item = TypeVar("Item")
Result = TypeVar("Result")
CMR = "https://cmr.earthdata.nasa.gov/search"
CONCEPT = "C2777436413-ASF"
"""CMR's id for OPERA_L2_RTC-S1_V1."""
HOSTS = ("https://cumulus.asf.earthdatacloud.nasa.gov", "https://datapool.asf.alaska.edu")
"""Servers that receive the token; files are read from the first, which accepts it without a login page."""
TOKEN = "EARTHDATA_TOKEN"  # noqa: S105 - the name of the variable
COLLECTION = "opera-rtc-s1"
_FOLDER = "OPERA/OPERA_L2_RTC-S1"
_PAGE = 2000
"""Products a page, CMR's maximum."""
_PAGE_LIMIT = 96 * 1024**2
_MOST_PAGES = 500
_NEITHER = "no VV or VH"
_POLARISATIONS = ("VV", "VH")
_NAME = re.compile(r"OPERA_L2_RTC-S1_(T\d{3}-\d{6}-IW\d)_(\d{8}T\d{6}Z)_\d{8}T\d{6}Z_S1([A-Z])_30_v\d+\.\d+")
_TOKEN_TEXT = re.compile(r"[A-Za-z0-9._~+/=-]{8,8192}")
_HELP = f"get one at https://urs.earthdata.nasa.gov (Generate Token) and set {TOKEN}; ~/.netrc is not used"


class Opera:
    """See `Source`.

    Parameters
    ----------
    cmr : address of CMR's search
    token : of Earthdata Login; None for the variable EARTHDATA_TOKEN. Searching needs none
    hosts : scheme and host of the servers that receive the token, the preferred one first
    web : HTTP client
    at_once : concurrent searches
    now : clock, seconds since 1970

    Attributes
    ----------
    left_out : reason -> number of products that the last search left out for it
    """

    name = "opera"

    def __init__(
        self,
        cmr: str = CMR,
        token: str | None = None,
        hosts: tuple[str, ...] = HOSTS,
        *,
        web: Web | None = None,
        at_once: int = 4,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.cmr = cmr.rstrip("/")
        self.hosts = tuple(hosts)
        self.left_out: dict[str, int] = {}
        self._token = token
        self._web = web if web is not None else Web(self.verdict)
        self._at_once = at_once
        self._now = now

    def __repr__(self) -> str:
        return f"Opera({self.cmr!r})"

    def search(self, query: Query, progress: Progress = silent) -> Iterator[Scene]:
        """See `Source`. Each month and orbit is a search of its own; HH and HV products are left out.

        Raises
        ------
        InputError
            The answer is not in CMR's format, or a product lacks its name, time or outline.
        NetError
            CMR cannot be searched, or returns fewer products than it found.
        """
        self.left_out = {}
        known: set[str] = set()
        slices = [
            (orbit, first, last, box)
            for first, last in query.months()
            for orbit in ("ascending", "descending")
            for box in query.boxes()
        ]
        progress(0, len(slices))
        tally = Tally(self.cmr)
        try:
            for done, answer in enumerate(_in_order(lambda one: self._slice(*one, tally), slices, self._at_once), 1):
                for name, scene in answer:
                    if name in known:
                        continue
                    known.add(name)
                    if scene is None:
                        self.left_out[_NEITHER] = self.left_out.get(_NEITHER, 0) + 1
                    else:
                        yield replace(scene, position=len(known))
                progress(done, len(slices))
        finally:
            tally.stop()

    def _slice(
        self, orbit: str, first: dt.date, last: dt.date, box: tuple[float, float, float, float], tally: Tally
    ) -> list[tuple[str, Scene | None]]:
        found = []
        for match, entry in self._entries(orbit, first, last, box):
            scene = self._scene(entry, match, orbit)
            tally.take(1, LEFT_OUT + (weight(scene) if scene is not None else 0))
            found.append((match[0], scene))
        return found

    def _entries(
        self, orbit: str, first: dt.date, last: dt.date, box: tuple[float, float, float, float]
    ) -> Iterator[tuple[re.Match[str], dict[str, Any]]]:
        """Every product of a slice with its parsed name, once."""
        asked = {
            "collection_concept_id": CONCEPT,
            "temporal": f"{first}T00:00:00Z,{last}T23:59:59.999Z",
            "bounding_box": ",".join(f"{value:.7f}" for value in box),
            "attribute[]": f"string,ASCENDING_DESCENDING,{orbit.upper()}",
            "sort_key": "start_date",
            "page_size": str(_PAGE),
        }
        url = f"{self.cmr}/granules.json?{urlencode(asked)}"
        headers: dict[str, str] = {}
        taken: set[str] = set()
        hits = 0
        for _ in range(_MOST_PAGES):
            answer = self._web.get(url, limit=_PAGE_LIMIT, headers=headers)
            if answer.headers.get("cmr-timed-out", "").lower() == "true":
                raise LoadError(f"{self.cmr} timed out and returned only a part of its products; try again later")
            before = len(taken)
            entries = _feed(answer, self.cmr)
            for entry in entries:
                match = self._named(entry)
                if match[0] not in taken:
                    taken.add(match[0])
                    yield match, entry
            hits = max(hits, _count(answer.headers.get("cmr-hits")))
            after = answer.headers.get("cmr-search-after")
            if not entries or not after or 0 < hits <= len(taken):
                break
            if len(taken) == before:
                raise CorruptError(f"{self.cmr} returned the same page again; expected the next one")
            headers["CMR-Search-After"] = after
        else:
            raise CorruptError(f"{self.cmr} has more than {_MOST_PAGES} pages of one month; expected an end")
        if len(taken) < hits:
            raise LoadError(f"{self.cmr} returned {len(taken)} of the {hits} products that it found")

    def _named(self, entry: object) -> re.Match[str]:
        names = [entry.get(key) for key in ("producer_granule_id", "title")] if isinstance(entry, dict) else [None]
        match = next((found for name in names if isinstance(name, str) and (found := _NAME.fullmatch(name))), None)
        if match is None:
            listed = next((name for name in names if name is not None), None)
            raise InputError(f"{self.cmr} lists {ascii(listed)[:120]}; expected products of OPERA RTC-S1")
        return match

    def _scene(self, about: dict[str, Any], match: re.Match[str], orbit: str) -> Scene | None:
        """A product as a scene, None where it has neither VV nor VH."""
        name = match[0]
        assets = self._assets(name, about.get("links"))
        if not assets:
            return None
        scene = Scene(
            id=name,
            collection=COLLECTION,
            source=self.name,
            moment=_moment(name, about.get("time_start")),
            footprint=_footprint(name, about),
            cloud_cover=None,
            baseline="",
            orbit=orbit,
            platform=f"sentinel-1{match[3].lower()}",
            datatake="",
            tile=match[1],
            assets=assets,
        )
        check_scene(scene, f"product {name}")
        return scene

    def _assets(self, name: str, links: object) -> dict[str, Asset]:
        """The file of each polarisation, on the preferred host."""
        found: dict[str, list[tuple[int, str]]] = {}
        for link in links if isinstance(links, list) else []:
            href = link.get("href") if isinstance(link, dict) and not link.get("inherited") else None
            if not isinstance(href, str):
                continue
            folder, _, file = href.partition("?")[0].rpartition("/")
            for band in _POLARISATIONS:
                if file == f"{name}_{band}.tif" and "://" in folder:
                    found.setdefault(band, []).append((self._rank(href), href))
        best = {band: min(listed) for band, listed in found.items()}
        return {
            # s3:// needs hourly keys and works in one region only; the first host has the same file
            band: Asset(href if rank == 0 else f"{self.hosts[0]}/{_FOLDER}/{name}/{name}_{band}.tif")
            for band, (rank, href) in best.items()
        }

    def _rank(self, href: str) -> int:
        origin = _origin(href)
        return self.hosts.index(origin) if origin in self.hosts else len(self.hosts)

    def address(self, href: str) -> Address:
        """See `Source`; the token is sent to Earthdata's hosts only.

        Raises
        ------
        CredentialError
            See `token`.
        """
        if _origin(href) not in self.hosts:
            return Address(href)
        return Address(href, {"Authorization": f"Bearer {self.token()}"})

    def token(self) -> str:
        """The token.

        Raises
        ------
        CredentialError
            It is missing, malformed or expired.
        """
        token = (self._token if self._token is not None else os.environ.get(TOKEN, "")).strip()
        if not token:
            raise CredentialError(f"OPERA's files need a token of Earthdata Login, and none is set: {_HELP}")
        if _TOKEN_TEXT.fullmatch(token) is None:
            raise CredentialError(f"the Earthdata token has characters that a token cannot have: {_HELP}")
        ends = expiry(token)
        if ends is not None and ends.timestamp() <= self._now():
            raise CredentialError(f"the Earthdata token expired on {ends:%Y-%m-%d %H:%M} UTC: {_HELP}")
        return token

    def renew(self, href: str, refused: Address) -> bool:  # noqa: ARG002 - the protocol's shape
        """See `Source`; False, because only the user can create a token."""
        return False

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:  # noqa: ARG002 - the protocol's shape
        """See `Source`; statuses have their usual meaning. A user agreement that is not accepted also gives 403."""
        return None


def expiry(token: str) -> dt.datetime | None:
    """When a token expires by its own claim, None where it has none. The signature is not checked; the server does."""
    parts = token.split(".")
    if len(parts) != 3 or len(parts[1]) > 8192:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        ends = said["exp"]
        if isinstance(ends, bool) or not isinstance(ends, int | float):
            return None
        return dt.datetime.fromtimestamp(ends, dt.UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _in_order(work: Callable[[Item], Result], items: list[Item], at_once: int) -> Iterator[Result]:
    """Results of `work` in the order of the items; its threads are abandoned when the caller stops early."""
    if at_once <= 1:
        yield from map(work, items)
        return
    jobs: SimpleQueue[int] = SimpleQueue()
    results: list[SimpleQueue[tuple[Result | None, BaseException | None]]] = [SimpleQueue() for _ in items]
    stop = threading.Event()
    for place in range(len(items)):
        jobs.put(place)

    def run() -> None:
        while not stop.is_set():
            try:
                place = jobs.get_nowait()
            except Empty:
                return
            try:
                results[place].put((work(items[place]), None))
            except BaseException as error:
                results[place].put((None, error))

    for _ in range(min(at_once, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for result in results:
            value, error = result.get()
            if error is not None:
                raise error
            yield cast("Result", value)
    finally:
        stop.set()


def _feed(answer: Answer, where: str) -> list[dict[str, Any]]:
    page = answer.json(f"the answer of {where}")
    feed = page.get("feed") if isinstance(page, dict) else None
    entries = feed.get("entry") if isinstance(feed, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"the answer of {where} has no feed of entries; expected CMR's granules.json")
    return entries


def _count(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else 0


def _moment(name: str, value: object) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None:
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"product {name} has time_start {ascii(value)[:60]}; expected such as 2021-06-03T05:58:10Z")


def _footprint(name: str, entry: dict[str, Any]) -> tuple[tuple[float, float], ...]:
    """Every corner of the outer rings, else of the box; CMR writes latitude first."""
    try:
        rings = [polygon[0] for polygon in entry.get("polygons") or []]
        numbers = [float(text) for ring in rings or entry.get("boxes") or [] for text in ring.split()]
    except (ValueError, AttributeError, TypeError, LookupError):
        numbers = []
    corners = tuple(zip(numbers[1::2], numbers[::2], strict=False))
    fits = all(math.isfinite(lon) and abs(lon) <= 180 and abs(lat) <= 90 for lon, lat in corners)
    if not corners or len(numbers) % 2 or not fits:
        raise InputError(f"product {name} has no outline that can be read; expected polygons of latitude and longitude")
    return corners


def _origin(href: str) -> str:
    try:
        parts = urlsplit(href)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
