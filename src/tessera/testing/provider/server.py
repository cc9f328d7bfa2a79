"""The test provider: a local server that shows a folder of scenes as a real provider would."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tessera.base import InputError

from ._blobs import answer_blob
from ._cmr import Cmr
from ._http import Answer, Asked, Listener
from ._items import read_items
from ._refusals import refuse
from ._signing import Signer, azure_error
from ._stac_api import MANNERS, StacApi
from ._styles import show
from .faults import Faults, Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_ROOTS = {"stac": "/stac", "mpc": "/api/stac/v1", "earth-search": "/v1", "opera": "/search"}
_SAS = "/api/sas/v1/"
_WAIT = 2.0
EARTHDATA_TOKEN = "simulated-earthdata-token"  # noqa: S105 - opens nothing but this server
"""Bearer token that OPERA's files require."""


@dataclass(frozen=True)
class Seen:
    """An answered request.

    Attributes
    ----------
    method, path, query : as sent
    status : status of the answer; 0 if the connection was broken instead
    start, stop : seconds of `time.monotonic`
    bytes_sent : bytes of the body
    headers : headers of the request, names in lower case
    host : "127.0.0.1:port" of the listener
    fault : name of the applied fault, or ""
    """

    method: str
    path: str
    query: str
    status: int
    start: float
    stop: float
    bytes_sent: int
    headers: Mapping[str, str]
    host: str
    fault: str


class Provider:
    """A running provider.

    Attributes
    ----------
    url : root of its STAC API, or of CMR's search
    blobs : root of its files
    token_url : root of its tokens, {token_url}/{account}/{container} or {token_url}/{collection}; "" unless mpc
    token : Bearer token that its files require; "" unless opera
    source : value for `--source` and `build_cube`; "" for mpc and opera, which sign and need an adapter with addresses
    elsewhere : "http://127.0.0.1:port" of its second host, the target of redirects
    items : items as in its answers, before shuffling
    files : address -> file on this machine
    switches : its faults, and how often each was applied; `change` sets others
    """

    def __init__(
        self,
        folder: str | Path,
        style: str,
        faults: Faults,
        latency: float,
        clock: Callable[[], dt.datetime],
        page: int | None,
        port: int,
    ) -> None:
        shown = show(read_items(folder), style)
        self.style = style
        self.switches = Switches(faults)
        self._lock = threading.Condition()
        self._seen: list[Seen] = []
        self._under_way = 0
        try:
            self._here = Listener(self._answer, self._done, self._began, latency, port)
        except (OSError, OverflowError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            raise InputError(f"port {port} cannot be had: {why}; expected a free one, or 0 for any") from None
        self._there = Listener(self._answer, self._done, self._began, latency)
        base = self._here.base
        self.url, self.blobs, self.elsewhere = base + _ROOTS[style], base, self._there.base
        self.source = f"stac:{self.url}" if style in ("stac", "earth-search") else ""
        self.token_url = f"{base}{_SAS}token" if style == "mpc" else ""
        self.token = EARTHDATA_TOKEN if style == "opera" else ""
        self._paths: dict[str, Path] = {}
        containers: dict[str, set[tuple[str, str]]] = {}
        for one in shown:
            for path, file in one.files.items():
                self._paths["/" + path] = file
                account, container = path.split("/")[:2]
                containers.setdefault(str(one.item.get("collection")), set()).add((account, container))
            for asset in one.item["assets"].values():
                if asset["href"] in one.files:
                    asset["href"] = f"{base}/{quote(asset['href'])}"
        self.items: list[dict[str, Any]] = [one.item for one in shown]
        self.files = {base + quote(path): file for path, file in self._paths.items()}
        self._api: StacApi | Cmr
        if style == "opera":
            self._api = Cmr(shown, self.switches, page)
        else:
            self._api = StacApi(self.items, MANNERS[style], _ROOTS[style], self.switches, page)
        self._signer = Signer(containers, self.switches, clock)

    @property
    def seen(self) -> list[Seen]:
        """All answered requests, in the order of their ends. Waits a while for those under way."""
        with self._lock:
            self._lock.wait_for(lambda: self._under_way == 0, _WAIT)
            return list(self._seen)

    def matching(self, path: str = "", *, method: str | None = None, status: int | None = None) -> list[Seen]:
        """Requests whose path contains `path`, optionally of a method and a status."""
        return [
            one
            for one in self.seen
            if path in one.path and method in (None, one.method) and status in (None, one.status)
        ]

    def count(self, path: str = "", *, method: str | None = None, status: int | None = None) -> int:
        """How many requests that is."""
        return len(self.matching(path, method=method, status=status))

    def bytes(self, path: str = "") -> int:
        """Bytes of bodies that were sent for paths that contain `path`."""
        return sum(one.bytes_sent for one in self.matching(path))

    def most_at_once(self, path: str = "") -> int:
        """Most requests that were under way at the same time."""
        events = [(one.start, 1) for one in self.matching(path)] + [(one.stop, -1) for one in self.matching(path)]
        most = now = 0
        for _, step in sorted(events):
            now += step
            most = max(most, now)
        return most

    def change(self, faults: Faults) -> None:
        """Set other faults and start counting again; the order of items stays."""
        self.switches.change(faults)

    def forget(self) -> None:
        """Clear the record of requests."""
        with self._lock:
            self._lock.wait_for(lambda: self._under_way == 0, _WAIT)
            self._seen.clear()

    def _began(self) -> None:
        with self._lock:
            self._under_way += 1

    def _done(self, asked: Asked, answer: Answer, start: float, stop: float, sent: int) -> None:
        status = 0 if answer.end == "silent" else answer.status
        host = asked.base.removeprefix("http://")
        one = Seen(
            asked.method, unquote(asked.path), asked.query, status, start, stop, sent, asked.headers, host, answer.fault
        )
        with self._lock:
            self._seen.append(one)
            self._under_way -= 1
            self._lock.notify_all()

    def _answer(self, asked: Asked) -> Answer:
        answer = refuse(asked, self.switches, self.elsewhere, self._nothing)
        if answer is not None:
            return answer
        path = unquote(asked.path)
        root = _ROOTS[self.style]
        if path == root or path.startswith(root + "/"):
            return self._api.answer(asked)
        if self.style == "mpc" and path.startswith(_SAS):
            return self._signer.answer(asked, path.removeprefix(_SAS))
        if self.style == "mpc":
            refused = self._signer.check(asked, path.strip("/"))
            if refused is not None:
                return refused
        if self.style == "opera":
            refused = self._earthdata(asked)
            if refused is not None:
                return refused
        file = self._paths.get(path)
        return self._nothing() if file is None or not file.is_file() else answer_blob(asked, file, self.switches)

    def _earthdata(self, asked: Asked) -> Answer | None:
        """OPERA's files: check the Bearer token, then redirect to a signed address of the second host."""
        if asked.base == self.elsewhere:
            if "Signature=" in asked.query:
                return None
            return Answer(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
        if asked.headers.get("authorization") != f"Bearer {EARTHDATA_TOKEN}":
            body = b'{"status_code": 401, "reason": "EarthdataLoginInvalidToken"}'
            return Answer(401, {"Content-Type": "application/json", "WWW-Authenticate": "Bearer"}, body)
        signed = f"{self.elsewhere}{asked.path}?A-userid=simulated&Expires=4102444800&Signature=simulated"
        return Answer(303, {"Location": signed})

    def _nothing(self) -> Answer:
        if self.style == "mpc":
            return azure_error(404, "BlobNotFound", "The specified blob does not exist.")
        body = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
        return Answer(404, {"Content-Type": "application/xml"}, body)

    def _start(self) -> None:
        self._here.start()
        self._there.start()

    def _close(self) -> None:
        self._here.close()
        self._there.close()


@contextmanager
def serve_scenes(
    folder: str | Path,
    *,
    style: str = "stac",
    faults: Faults | None = None,
    latency: float = 0.0,
    clock: Callable[[], dt.datetime] | None = None,
    page: int | None = None,
    port: int = 0,
) -> Iterator[Provider]:
    """Serve a folder of scenes on this machine as a real provider would.

    Parameters
    ----------
    folder : a static STAC catalogue with its files, such as `simulate` writes
    style : "stac" (any STAC API), "mpc" (Planetary Computer, with signing), "earth-search" or "opera" (CMR)
    faults : faults that are switched on
    latency : seconds before every answer
    clock : current time with its time zone, for tokens; by default the real one
    page : most items of a page of a search, whatever the request says
    port : port to listen on, 0 for a free one; on the same port, earlier addresses are valid again

    Raises
    ------
    InputError
        The folder holds no catalogue, there is no such style, or the port is taken.
    """
    provider = Provider(
        folder, style, faults or Faults(), latency, clock or (lambda: dt.datetime.now(dt.UTC)), page, port
    )
    provider._start()
    try:
        yield provider
    finally:
        provider._close()
