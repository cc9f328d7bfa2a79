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
from tessera.net import CredentialError, LoadError, MissingError, NetError, PermanentError, Web

from ._doctor_machine import (
    Check,
    check_cache,
    check_devices,
    check_disk,
    check_memory,
    check_packages,
    check_python,
)
from .source import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .scene import Scene
    from .source import Source

__all__ = ["PROBE", "SECONDS", "SOURCES", "Check", "check_clock", "check_source", "diagnose"]

Result = TypeVar("Result")
SOURCES = ("mpc", "earth-search", "opera")
"""The providers that are looked at where none is named."""
SECONDS = 20.0
"""After which a source is given up."""
PROBE = Query((5.24, 50.68, 5.26, 50.70), dt.date(2024, 6, 1), dt.date(2024, 6, 13))
"""What is searched for: a village of Belgium and a fortnight, in which every provider has scenes."""
_EVERYWHERE = Query((-180.0, -90.0, 180.0, 90.0), dt.date(2014, 1, 1), dt.date(2100, 12, 31))
_DELAYS = (0.5,)
_HEAD = 16 * 1024
_MORE = 1024 * 1024
_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SLOW = 500_000.0
"""Bytes a second: a year of a cell is some 500 MB."""
_SKEW_FAIL, _SKEW_WARN = 300.0, 60.0
"""Seconds by which a clock is off: signatures hold from minutes before they are made."""
_KEY = "PC_SDK_SUBSCRIPTION_KEY"
_OFFLINE = "look at the network (requests go without a proxy) and the provider's status page"


def diagnose(
    sources: Sequence[str | Source] | None = None,
    out: Path | None = None,
    *,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.time,
) -> Iterator[Check]:
    """Look at everything that building cubes needs, one thing after the other; nothing is changed.

    Parameters
    ----------
    sources : names as `build_cube` takes them, or sources; None for the providers that are known, of which one that
        does not answer is a warning unless none does
    out : where cubes would go; None for the current folder
    seconds : after which a source is given up
    now : the local clock, seconds since 1970

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
        try:
            yield from look()
        except Exception as error:
            yield _surprise(name, error)
    worked = []
    for source in SOURCES if sources is None else sources:
        found = list(check_source(source, seconds=seconds, now=now))
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

    Yields
    ------
    Checks; after one without which the next make no sense there are no more.
    """
    opened: list[Source]
    if isinstance(source, str):
        try:
            opened = _open(source)
        except TesseraError as error:
            yield Check(source, "fail", str(error), "name a source as tessera cube build --source takes it")
            return
        except Exception as error:
            yield _surprise(source, error)
            return
    else:
        opened = [source]
    for one in opened:
        try:
            yield from _check_open(one, seconds, now)
        except Exception as error:
            yield _surprise(one.name, error)


def _surprise(name: str, error: Exception) -> Check:
    """A doctor shows no traceback, whatever it meets."""
    reason = str(error).strip().partition("\n")[0][:160]
    return Check(name, "fail", f"{type(error).__name__}: {reason}", "this is a fault of tessera; please report it")


def _open(name: str) -> list[Source]:
    from .sources import parse_source

    return list(parse_source(name))


def _check_open(source: Source, seconds: float, now: Callable[[], float]) -> Iterator[Check]:
    name = source.name
    ends = time.monotonic() + seconds
    credentials = _check_credentials(source, now)
    if credentials is not None:
        yield credentials
    url = _api(source)
    if url is not None:
        answered = _check_api(name, url, ends, now)
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
        from .opera import CONCEPT

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
    from .opera import expiry

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


def _check_api(name: str, url: str, ends: float, now: Callable[[], float]) -> list[Check]:
    """Whether an API answers, and what its clock says."""
    began = time.perf_counter()
    try:
        answer = _within(ends, lambda: Web(delays=_DELAYS).get(url, limit=16 * 1024**2))
    except (TesseraError, TimeoutError) as error:
        return [Check(f"{name} API", "fail", _line(error), _advice(error))]
    taken = time.perf_counter() - began
    checks = [Check(f"{name} API", "ok", f"answers in {taken:.2f} s", figures={"seconds": taken})]
    clock = check_clock(answer.headers.get("date"), now(), taken)
    return [*checks, clock] if clock is not None else checks


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
        # a catalogue of somebody's own has scenes elsewhere
        return first(PROBE) or first(_EVERYWHERE)

    try:
        scene = _within(ends, ask)
    except (TesseraError, TimeoutError) as error:
        return Check(name, "fail", _line(error), _advice(error)), None
    taken = time.perf_counter() - began
    if scene is None:
        return Check(name, "fail", "answers, but finds no scene", "the catalogue is empty or has changed"), None
    said = f"finds {scene.id} in {taken:.2f} s"
    return Check(name, "ok", said, figures={"seconds": taken}), scene


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
        try:
            with Path(address.url).open("rb") as file:
                file.seek(start)
                return file.read(stop - start)
        except FileNotFoundError:
            raise MissingError(f"{Path(address.url).name} is missing") from None
        except OSError as error:
            raise PermanentError(f"{Path(address.url).name} cannot be read: {error.strerror}") from None
    web = Web(source.verdict, delays=_DELAYS)
    return web.get(address.url, span=(start, stop), limit=stop - start, headers=address.headers).data


def _within(ends: float, work: Callable[[], Result]) -> Result:
    """The result of some work; a thread that does not come back in time is left behind.

    Raises
    ------
    TimeoutError
        It did not come back; and whatever the work raises.
    """
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
    return " ".join(str(error).split())


def _advice(error: BaseException) -> str:
    if isinstance(error, CredentialError):
        return "look at the credentials, and whether the provider's terms were accepted (for OPERA: ASF's, at its site)"
    if isinstance(error, TimeoutError | LoadError):
        return _OFFLINE
    if isinstance(error, NetError):
        return "the provider has changed, or something stands between"
    return "look at the address" if isinstance(error, InputError) else ""
