"""A server that is busy, breaks off, lies or ignores what is asked: no wrong value, every error names the object."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from store_helpers import ACROSS, FolderHandler, centre_of, equal, new_store, random_embeddings

from tessera.base import InputError
from tessera.net import CorruptError, CredentialError, LoadError, NetError, Objects, PermanentError
from tessera.store import open_store
from tessera.testing import Request

Fault = Callable[["FaultHandler"], bool]


class FaultHandler(FolderHandler):
    """Does what `fault` says with each request: True when it has answered, in whichever way."""

    protocol_version = "HTTP/1.1"
    fault: ClassVar[Fault] = lambda handler: False

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        if not self.fault():
            super().do_GET()

    def refuse(self, status: int, **headers: str) -> bool:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return True

    def reset(self) -> bool:
        """Break the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.connection.close()
        self.close_connection = True
        return True


class Body:
    """Hands on what a handler writes until so many bytes of bodies are out, then the line is dead."""

    def __init__(self, handler: FaultHandler, limit: int) -> None:
        self.out, self.handler, self.limit = handler.wfile, handler, limit

    def write(self, data: bytes) -> int:
        if data.startswith(b"HTTP/"):
            return self.out.write(data)
        self.out.write(data[: self.limit])
        self.out.flush()
        self.handler.reset()
        raise ConnectionAbortedError

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.out.flush()

    def close(self) -> None:
        with suppress(OSError, ValueError):
            self.out.close()

    closed = False


@contextmanager
def faulty(folder: Path, fault: Callable[[FaultHandler], bool]) -> Iterator[str]:
    class Handler(FaultHandler):
        asked: list[Request] = []  # noqa: RUF012 - of this server

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    Handler.fault = fault

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Broken lines are what is tested."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience of 0.1 s instead of 8."""
    monkeypatch.setattr("tessera.net._host.DELAYS", (0.01, 0.02, 0.03, 0.04))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_store(tmp_path / "s").write(random_embeddings(ACROSS), 2024)
    return tmp_path


def twice(harm: Callable[[FaultHandler], bool]) -> Fault:
    """Harm each request the first two times that it is made."""
    made: Counter[tuple[str, str | None]] = Counter()
    lock = threading.Lock()

    def fault(handler: FaultHandler) -> bool:
        asked = (handler.path, handler.headers.get("Range"))
        with lock:
            made[asked] += 1
            number = made[asked]
        return number <= 2 and harm(handler)

    return fault


def short(limit: int) -> Callable[[FaultHandler], bool]:
    def harm(handler: FaultHandler) -> bool:
        handler.wfile = Body(handler, limit)  # type: ignore[assignment]
        return False

    return harm


HARMS = {
    "429": lambda handler: handler.refuse(429),
    "503": lambda handler: handler.refuse(503),
    "502": lambda handler: handler.refuse(502),
    "reset": lambda handler: handler.reset(),
    "short body": short(7),
    "empty body": short(0),
}


@pytest.mark.parametrize("name", HARMS)
def test_what_passes_is_waited_for(folder: Path, name: str) -> None:
    points = [centre_of(ACROSS, row, col) for row, col in ((0, 0), (50, 60), (129, 149))]
    given = random_embeddings(ACROSS)
    with faulty(folder, twice(HARMS[name])) as url:
        store = open_store(f"{url}/s")
        assert equal(store.read_window(ACROSS, 2024), given)
        for verify in (False, True):
            found = store.sample_points(points, 2024, verify=verify)
            assert np.array_equal(found, given.values()[[0, 50, 129], [0, 60, 149]], equal_nan=True)


@pytest.mark.parametrize("name", HARMS)
def test_what_stays_is_told_with_the_object(folder: Path, name: str) -> None:
    def only_codes(handler: FaultHandler) -> bool:
        return "/embeddings/" in handler.path and HARMS[name](handler)

    with faulty(folder, only_codes) as url:
        store = open_store(f"{url}/s")
        for read in (
            lambda: store.read_window(ACROSS, 2024),
            lambda: store.sample_points([centre_of(ACROSS, 50, 60)], 2024),
        ):
            with pytest.raises(LoadError, match=r"utm31/embeddings/c/0/0/\d+/\d+") as caught:
                read()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("status", "kind"), [(401, CredentialError), (403, CredentialError), (400, PermanentError)])
def test_what_will_not_pass_is_not_tried_again(folder: Path, status: int, kind: type[NetError]) -> None:
    asked: list[str] = []

    def refusing(handler: FaultHandler) -> bool:
        if "/scales/" in handler.path:
            asked.append(handler.path)
            return handler.refuse(status)
        return False

    with faulty(folder, refusing) as url:
        store = open_store(f"{url}/s")
        with pytest.raises(kind, match=r"utm31/scales/c/0/\d+/\d+"):
            store.sample_points([centre_of(ACROSS, 50, 60)], 2024)
    assert len(asked) == 1


def test_ranges_that_are_ignored_are_told(folder: Path) -> None:
    def whole(handler: FaultHandler) -> bool:
        if "/scales/" in handler.path and "Range" in handler.headers:
            del handler.headers["Range"]
        return False

    with faulty(folder, whole) as url:
        store = open_store(f"{url}/s")
        for read in (
            lambda: store.read_window(ACROSS, 2024),
            lambda: store.sample_points([centre_of(ACROSS, 50, 60)], 2024),
        ):
            with pytest.raises(PermanentError, match="does not answer range requests"):
                read()


@pytest.mark.parametrize("shift", [-1, 1, 4096])
def test_another_range_than_the_one_asked_for_is_no_value(folder: Path, shift: int) -> None:
    """A proxy that answers 206 with bytes from elsewhere, and says so or says the range that was asked for."""
    for honest in (True, False):

        def moved(handler: FaultHandler, honest: bool = honest) -> bool:
            wanted = handler.headers.get("Range", "")
            if "/embeddings/" not in handler.path or "-" not in wanted:
                return False
            start, stop = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            data = Path(handler.translate_path(handler.path)).read_bytes()
            first = max(0, start + shift)
            body = data[first : first + stop - start + 1]
            handler.send_response(206)
            said = first if honest else start
            handler.send_header("Content-Range", f"bytes {said}-{said + len(body) - 1}/{len(data)}")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return True

        with faulty(folder, moved) as url:
            store = open_store(f"{url}/s")
            with pytest.raises((CorruptError, PermanentError, LoadError), match="utm31/embeddings"):
                store.read_window(ACROSS, 2024)
            with pytest.raises((CorruptError, PermanentError, LoadError), match="utm31/embeddings"):
                store.sample_points([centre_of(ACROSS, 50, 60)], 2024, verify=True)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as ever, sooner; how long they take is the test of `net`."""
    monkeypatch.setattr("tessera.net._host.DELAYS", (0.02,) * 5)


def test_a_server_that_is_gone_is_told(folder: Path, closed_port: int) -> None:
    gone = False
    with faulty(folder, lambda handler: gone and _reset(handler)) as url:
        store = open_store(f"{url}/s")
        gone = True
        with pytest.raises(LoadError, match="no answer"):
            store.read_window(ACROSS, 2024)
    nowhere = f"http://127.0.0.1:{closed_port}/s"
    with pytest.raises(LoadError, match=rf"{nowhere}/tessera\.json: no server answers at this address"):
        open_store(nowhere)


def _reset(handler: FaultHandler) -> bool:
    """Break the line in place of an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def test_a_page_instead_of_a_document_is_told(folder: Path) -> None:
    def page(handler: FaultHandler) -> bool:
        body = b"<html>Sign in</html>"
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    with faulty(folder, page) as url, pytest.raises(InputError, match=r"tessera\.json is not JSON"):
        open_store(f"{url}/s")


def test_all_wait_when_one_is_told_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.net._host.DELAYS", (0.3,))
    times: list[float] = []

    def once(handler: FaultHandler) -> bool:
        times.append(time.monotonic())
        return len(times) == 2 and handler.refuse(429)

    with faulty(folder, once) as url:
        store = open_store(f"{url}/s")
        assert equal(store.read_window(ACROSS, 2024), random_embeddings(ACROSS))
    # those under way at that moment end; whoever comes next waits until the pause is over
    gaps = np.diff(times)
    assert gaps.max() > 0.25


@pytest.mark.parametrize("position", range(0, 1400, 53))
def test_a_flipped_bit_is_never_a_value(folder: Path, position: int) -> None:
    given = random_embeddings(ACROSS)
    paths = sorted((folder / "s" / "utm31").rglob("c/0/*/*")) + sorted((folder / "s" / "utm31").rglob("c/0/0/*/*"))
    shards = [path for path in paths if path.is_file() and path.parts[-5] != "time"]
    path = shards[position % len(shards)]
    data = bytearray(path.read_bytes())
    data[position * 37 % len(data)] ^= 1 << position % 8
    path.write_bytes(data)
    array = path.relative_to(folder / "s" / "utm31").parts[0]
    with faulty(folder, lambda handler: False) as url:
        store = open_store(f"{url}/s")
        if array == "embeddings_d2":
            assert equal(store.read_window(ACROSS, 2024), given)
        else:
            with pytest.raises(CorruptError, match=f"utm31/{array}/c/0"):
                store.read_window(ACROSS, 2024)
        with suppress(CorruptError):
            found = store.sample_points([centre_of(ACROSS, 50, 60)], 2024, verify=True)[0]
            assert np.array_equal(found, given.values()[50, 60], equal_nan=True)


@pytest.mark.parametrize("weak", [False, True])
def test_versions_are_not_mixed_by_a_server_that_ignores_conditions(
    folder: Path, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write between index and data, where If-Match does nothing: the answer's own tag tells."""
    store = open_store(folder / "s")
    versions = [random_embeddings(ACROSS, seed, 0) for seed in range(2)]
    allowed = [version.values() for version in versions]

    def deaf(handler: FaultHandler) -> bool:
        for name in ("If-Match", "If-None-Match"):
            del handler.headers[name]
        handler.weak = weak
        return False

    original = Objects.range
    with faulty(folder, deaf) as url:
        for turn in range(6):
            store.write(versions[0], 2024)
            reader = open_store(f"{url}/s")
            calls = itertools.count()

            def interfering(self: Objects, *args: Any, turn: int = turn, calls: Any = calls, **kwargs: Any) -> bytes:
                if next(calls) == turn:
                    with monkeypatch.context() as inner:
                        inner.setattr(Objects, "range", original)
                        store.write(versions[1], 2024)
                return original(self, *args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(Objects, "range", interfering)
                if turn % 2:
                    found = reader.sample_points([centre_of(ACROSS, 50, 60)], 2024, verify=turn == 3)[0]
                    assert any(np.array_equal(found, version[50, 60]) for version in allowed)
                else:
                    box = replace(ACROSS, width=20, height=20)
                    region = reader.read_region(box, 2024).values
                    assert any(np.array_equal(region, version[:20, :20]) for version in allowed)


def test_one_failure_ends_the_rest(folder: Path) -> None:
    asked: list[str] = []

    def refusing(handler: FaultHandler) -> bool:
        asked.append(handler.path)
        return "/scales/" in handler.path and "bytes=0-" not in handler.headers.get("Range", "") and handler.refuse(503)

    points = [centre_of(ACROSS, row, col) for row in range(0, 120, 5) for col in range(0, 140, 5)]
    with faulty(folder, refusing) as url:
        store = open_store(f"{url}/s")
        with pytest.raises(LoadError, match="utm31/scales"):
            store.sample_points(points, 2024)
    assert len(asked) < 5 * 4 * 40
