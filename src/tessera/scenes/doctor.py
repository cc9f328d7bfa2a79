"""Whether this machine can build cubes: what is installed, each source, its credentials, the line, clock and disk."""

from __future__ import annotations

import datetime as dt
import email.utils
import os
import threading
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tessera.base import InputError, TesseraError, silent
from tessera.net import SEE_DOCTOR, CorruptError, CredentialError, LoadError, MissingError, NetError, Web

from ._doctor_machine import Check, check_cache, check_devices, check_disk, check_memory, check_packages, check_python
from ._files import LocalFile
from .records import S1_COLLECTIONS, S2_COLLECTIONS, read_scenes
from .sources import CONCEPT, Query, StacApi, expiry, parse_source, printable, scene_of, sources_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tessera.net import Answer

    from .records import Scene
    from .sources import Source

__all__ = ["PROBE", "SECONDS", "SOURCES", "Check", "check_clock", "check_source", "diagnose"]

Result = TypeVar("Result")
SOURCES = ("mpc", "earth-search", "opera")
"""The providers that are looked at where none is named."""
SECONDS = 20.0
"""After which a source is given up."""
PROBE = Query((5.24, 50.68, 5.26, 50.70), dt.date(2024, 6, 1), dt.date(2024, 6, 13))
"""What is searched for: a village of Belgium and a fortnight, in which every provider has scenes."""
_EVERYWHERE = Query((-180.0, -90.0, 180.0, 90.0), dt.date(2014, 1, 1), dt.date(2100, 12, 31))
_COLLECTIONS = (*S2_COLLECTIONS, S1_COLLECTIONS[0])
_FEW = 10
"""Items that are looked at for one that can be read; the first ones may be radar of the poles."""
_NEAR = 0.01
"""Degrees around a corner of an item in which it is searched for."""
_DELAYS = (0.5,)
_HEAD = 16 * 1024
_MORE = 1024 * 1024
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SLOW = 500_000.0
"""Bytes a second: a year of a cell is some 500 MB."""
_SKEW_FAIL, _SKEW_WARN = 300.0, 60.0
"""Seconds by which a clock is off: signatures hold from minutes before they are made."""
_KEY = "PC_SDK_SUBSCRIPTION_KEY"
_OFFLINE = "look at the network, the proxy that http_proxy or https_proxy names, and the provider's status page"


def diagnose(
    sources: Sequence[str | Source] | None = None,
    out: Path | None = None,
) -> Iterator[Check]:
    """Look at everything that building cubes needs, one thing after the other; nothing is changed.

    Parameters
    ----------
    sources : names as `build_cube` takes them, or sources; None for the providers that are known, of which one that
        does not answer is a warning unless none does
    out : where cubes would go; None for the current folder

    Yields
    ------
    Checks as they are done; one that fails says so and is no exception.
    """
    machine: tuple[tuple[str, Callable[[], Iterable[Check]]], ...] = (
        ("python", lambda: [check_python()]),
        ("packages", check_packages),
        ("memory", lambda: [check_memory()]),
        ("device", lambda: [check_devices()]),
        ("disk", lambda: [check_disk(Path.cwd() if out is None else out, "disk")]),
        ("cache", lambda: [check_cache()]),
    )
    for name, look in machine:
        yield from _surviving(name, look)
    worked = []
    for source in SOURCES if sources is None else sources:
        found = list(check_source(source))
        worked.append(all(check.ok for check in found))
        for check in found:
            lenient = sources is None and not check.ok
            yield replace(check, state="warn") if lenient else check
    if sources is None and not any(worked):
        yield Check("sources", "fail", f"none of {', '.join(SOURCES)} works whole", _OFFLINE)


def check_source(
    source: str | Source, *, seconds: float = SECONDS, now: Callable[[], float] = time.time
) -> Iterator[Check]:
    """Look at one source: credentials, API, clock, a small search, and the first bytes of a file.

    Of a table of scenes: what it holds, and a file of each of its sources; nothing is searched.

    Yields
    ------
    Checks; after one without which the next make no sense there are no more.
    """
    if not isinstance(source, str):
        yield from _surviving(source.name, lambda: _check_open(source, seconds, now))
    elif source.endswith(".parquet"):
        yield from _surviving(source, lambda: _check_table(Path(source), seconds, now))
    else:
        yield from _surviving(source, lambda: _check_named(source, seconds, now))


def _surviving(name: str, look: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """What is seen; a doctor shows no traceback, whatever it meets."""
    try:
        yield from look()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:160]
        yield Check(name, "fail", f"{type(error).__name__}: {reason}", "this is a fault of tessera; please report it")


def _check_named(name: str, seconds: float, now: Callable[[], float]) -> Iterator[Check]:
    try:
        opened = parse_source(name)
    except TesseraError as error:
        yield Check(name, "fail", str(error), "name a source as tessera cube build --source takes it")
        return
    for one in opened:
        yield from check_source(one, seconds=seconds, now=now)


def _check_table(path: Path, seconds: float, now: Callable[[], float]) -> Iterator[Check]:
    """What a table of scenes holds, and whether its sources give a file of it."""
    name = f"table {path.name}"
    try:
        table = read_scenes(path)
    except TesseraError as error:
        yield Check(name, "fail", _line(error), "write one with tessera cube scenes")
        return
    query = table.query
    optical = sum(scene.optical for scene in table.scenes)
    figures = {"sentinel2_scenes": optical, "sentinel1_scenes": len(table) - optical}
    asked = ", ".join(one if isinstance(one, str) else str(one["name"]) for one in query["sources"])
    box = ",".join(f"{value:.3f}" for value in query["box"])
    said = (
        f"{optical} Sentinel-2 and {len(table) - optical} Sentinel-1 scenes of {asked}, "
        f"{query['first']} to {query['last']}, {box}"
    )
    if not table.scenes:
        yield Check(name, "warn", said, "nothing can be built from it: search another area or time", figures)
        return
    yield Check(name, "ok", said, figures=figures)
    try:
        sources = sources_of(table)
    except TesseraError as error:
        yield Check(f"{name} sources", "fail", _line(error), "its files are read where they were found")
        return
    for source in sources:
        credentials = _check_credentials(source, now)
        if credentials is not None:
            yield credentials
        scene = next((scene for scene in table.scenes if scene.source == source.name and scene.assets), None)
        if scene is not None and (credentials is None or credentials.ok):
            yield _check_file(source, scene, time.monotonic() + seconds)


def _check_open(source: Source, seconds: float, now: Callable[[], float]) -> Iterator[Check]:
    name = source.name
    ends = time.monotonic() + seconds
    credentials = _check_credentials(source, now)
    if credentials is not None:
        yield credentials
    url = _api(source)
    if url is not None:
        answered = _check_api(name, url, ends, now, landing=isinstance(source, StacApi))
        yield from answered
        if not answered[0].ok:
            return
    found, scene = _check_search(source, ends)
    yield found
    if scene is None or (credentials is not None and not credentials.ok):
        return
    yield _check_file(source, scene, ends)


def _api(source: Any) -> str | None:
    """The address that a source asks, where it tells one."""
    if source.name == "opera":
        return f"{source.cmr}/granules.json?collection_concept_id={CONCEPT}&page_size=0"
    told = next((value for key in ("api", "url") if isinstance(value := getattr(source, key, None), str)), "")
    return told if told.startswith(("http://", "https://")) else None


def _check_credentials(source: Any, now: Callable[[], float]) -> Check | None:
    if source.name == "mpc":
        if os.environ.get(_KEY, "").strip():
            return Check("mpc credentials", "ok", f"{_KEY} is set")
        return Check("mpc credentials", "ok", f"no {_KEY}; none is needed, one allows more requests")
    if source.name != "opera":
        return None
    try:
        token = source.token()
    except CredentialError as error:
        said, _, advice = str(error).partition(": ")
        return Check("opera credentials", "fail", said, advice)
    ends = expiry(token)
    if ends is None:
        return Check("opera credentials", "ok", "a token that does not tell when it ends")
    days = (ends.timestamp() - now()) / 86400
    said = f"a token until {ends:%Y-%m-%d %H:%M} UTC"
    advice = "make a new one at https://urs.earthdata.nasa.gov before a long run"
    return Check("opera credentials", "warn" if days < 7 else "ok", said, advice if days < 7 else "", {"days": days})


def _check_api(name: str, url: str, ends: float, now: Callable[[], float], *, landing: bool) -> list[Check]:
    """Whether an API answers, with its landing page where it is a STAC API's root, and what its clock says."""
    began = time.perf_counter()
    try:
        answer = _within(ends, lambda: Web(delays=_DELAYS).get(url, limit=16 * 1024**2))
        wrong = _not_a_root(answer) if landing else ""
    except (TesseraError, TimeoutError) as error:
        if not (landing and isinstance(error, MissingError)):
            return [Check(f"{name} API", "fail", _line(error), _advice(error))]
        wrong = _line(error)
    taken = time.perf_counter() - began
    if wrong:
        said = f"expected the root of a STAC API, got {wrong}"
        return [Check(f"{name} API", "fail", said, "such as stac:https://earth-search.aws.element84.com/v1")]
    checks = [Check(f"{name} API", "ok", f"answers in {taken:.2f} s", figures={"seconds": taken})]
    clock = check_clock(answer.headers.get("date"), now(), taken)
    return [*checks, clock] if clock is not None else checks


def _not_a_root(answer: Answer) -> str:
    """What a page is that is no landing page of a STAC API with item search (STAC API, core and item search), or ""."""
    try:
        page = answer.json("the page")
    except CorruptError:
        return "a page that is not JSON"
    if not isinstance(page, dict) or "stac_version" not in page:
        return "JSON that is not STAC"
    links = page.get("links")
    rels = [link.get("rel") for link in links if isinstance(link, dict)] if isinstance(links, list) else []
    return "" if "search" in rels else f"a {printable(str(page.get('type'))[:30])} without a link to its search"


def check_clock(date: str | None, local: float, slack: float) -> Check | None:
    """Whether the clock of this machine agrees with a server's.

    Parameters
    ----------
    date : the header of that name (RFC 9110, 6.6.1); None where there is none
    local : seconds since 1970 by this machine, when the answer was there
    slack : seconds that the answer took
    """
    try:
        theirs = email.utils.parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    # the header has whole seconds, of some moment while the answer was made
    off = local - theirs
    off = 0.0 if -1.0 <= off <= slack + 1.0 else off
    figures = {"seconds": off}
    if abs(off) < _SKEW_WARN:
        return Check("clock", "ok", f"{abs(off):.0f} s off" if off else "agrees with the server's", figures=figures)
    said = f"this machine's clock is {abs(off):,.0f} s {'ahead' if off > 0 else 'behind'}"
    advice = "set it (NTP): signed addresses and tokens are refused with a wrong clock"
    return Check("clock", "fail" if abs(off) >= _SKEW_FAIL else "warn", said, advice, figures)


def _check_search(source: Source, ends: float) -> tuple[Check, Scene | None]:
    name = f"{source.name} search"
    began = time.perf_counter()

    def first(query: Query) -> Scene | None:
        scenes = source.search(query, silent)
        return next((scene for scene in islice(scenes, 100) if scene.assets), None)

    def ask() -> Scene | None:
        scene = first(PROBE)
        if scene is not None or source.name in SOURCES:
            return scene
        # a catalogue of somebody's own has scenes elsewhere
        elsewhere = _place_of_one(source) if isinstance(source, StacApi) else _EVERYWHERE
        if elsewhere is None:
            return None
        scene = first(elsewhere)
        if scene is None and elsewhere is not _EVERYWHERE:
            raise CorruptError(f"lists an item of {elsewhere.first}, but its search of that day and place finds none")
        return scene

    try:
        scene = _within(ends, ask)
    except (TesseraError, TimeoutError) as error:
        return Check(name, "fail", _line(error), _advice(error)), None
    taken = time.perf_counter() - began
    if scene is None and source.name in SOURCES:
        return Check(name, "fail", "answers, but finds no scene", "the provider has changed"), None
    if scene is None:
        wanted = f"no scene of {' or '.join(_COLLECTIONS)}" if isinstance(source, StacApi) else "no scene"
        return Check(name, "warn", f"answers, but holds {wanted}", "nothing can be built from it yet"), None
    said = f"finds {scene.id} in {taken:.2f} s"
    return Check(name, "ok", said, figures={"seconds": taken}), scene


def _place_of_one(api: StacApi) -> Query | None:
    """Where and when an API has a scene, asked without a place and a time; None where it has none."""
    where = f"{api.api}/search"
    asked = {"collections": list(_COLLECTIONS), "limit": _FEW}
    answer = Web(api.search_verdict, delays=_DELAYS).post(where, asked, limit=16 * 1024**2)
    page = answer.json(where)
    items = page.get("features") if isinstance(page, dict) else None
    if not isinstance(items, list):
        raise CorruptError(f"{where} answers no list of items; expected a GeoJSON FeatureCollection")
    wrong: InputError | None = None
    for item in items[:_FEW]:
        try:
            scene = scene_of(item if isinstance(item, dict) else {}, api.name, lambda _, href: str(href), 0)
        except InputError as error:
            wrong = wrong or error
            continue
        if scene is not None:
            lon, lat = scene.footprint[0]
            lon, day = (lon + 180.0) % 360.0 - 180.0, scene.moment.date()
            box = (max(-180.0, lon - _NEAR), max(-90.0, lat - _NEAR), min(180.0, lon + _NEAR), min(90.0, lat + _NEAR))
            return Query(box, day, day)
    if wrong is not None:
        raise wrong
    return None


def _check_file(source: Source, scene: Scene, ends: float) -> Check:
    name = f"{source.name} file"
    band, asset = sorted(scene.assets.items())[0]
    what = f"{scene.id} {band}"
    try:
        began = time.perf_counter()
        head = _within(ends, lambda: _read(source, asset.href, 0, _HEAD))
        first = time.perf_counter() - began
        if head[:4] not in _MAGIC:
            start = ascii(head[:20].decode("latin-1"))
            return Check(name, "fail", f"{what} begins with {start}; expected a GeoTIFF", "a login page, or a proxy's?")
        began = time.perf_counter()
        more = _within(ends, lambda: _read(source, asset.href, 0, _MORE))
        taken = time.perf_counter() - began
    except (TesseraError, TimeoutError) as error:
        return Check(name, "fail", f"{what}: {_line(error)}", _advice(error))
    rate = len(more) / max(taken, 1e-9)
    said = f"{what}: {len(head) // 1024} KiB in {first:.2f} s, then {rate / 1e6:,.1f} MB/s"
    figures = {"seconds": first, "bytes_per_second": rate}
    if rate < _SLOW and len(more) > _HEAD:
        return Check(name, "warn", said, "a slow line: a year of a cell is some 500 MB", figures)
    return Check(name, "ok", said, figures=figures)


def _read(source: Source, href: str, start: int, stop: int) -> bytes:
    address = source.address(href)
    if "://" not in address.url:
        return LocalFile(Path(address.url)).read(start, stop)
    web = Web(source.verdict, delays=_DELAYS)
    return web.get(address.url, span=(start, stop), limit=stop - start, headers=address.headers).data


def _within(ends: float, work: Callable[[], Result]) -> Result:
    """The result of some work, or what it raises; TimeoutError where its thread, left behind, does not come back."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    began = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, ends - began))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer after {time.monotonic() - began:.0f} s")
    return results[0]


def _line(error: BaseException) -> str:
    # the advice of the check is fuller, and this is the doctor
    return " ".join(str(error).split()).removesuffix(SEE_DOCTOR)


def _advice(error: BaseException) -> str:
    if isinstance(error, CredentialError):
        return "look at the credentials, and whether the provider's terms were accepted (for OPERA: ASF's, at its site)"
    if isinstance(error, TimeoutError | LoadError):
        return _OFFLINE
    if isinstance(error, NetError):
        return "the provider has changed, or something stands between"
    return "look at the address" if isinstance(error, InputError) else ""
