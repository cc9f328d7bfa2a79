"""Slow clients, many clients, and files that change while they are read."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from serve_helpers import LETTERS, ask, connect, raw, read_reply, request, serving

from tessera.serve import Limits, make_server

SIZE = 12 * 1024 * 1024
"""More than the buffers of a loopback connection hold."""


def _narrow(server: object, target: str) -> socket.socket:
    """A connection that asked for a file and reads nothing yet."""
    line = connect(server)  # type: ignore[arg-type]
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    line.sendall(request(target))
    return line


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def _until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_clients_that_dribble_do_not_keep_others_out(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LETTERS)
    with serving(tmp_path, Limits(connections=4, head_seconds=60)) as server:
        lines = [connect(server) for _ in range(12)]
        stop = threading.Event()

        def dribble() -> None:
            while not stop.is_set():
                for line in lines:
                    try:
                        line.send(b"x")
                    except OSError:
                        continue
                time.sleep(0.01)

        slow = threading.Thread(target=dribble)
        slow.start()
        try:
            for _ in range(3):
                start = time.monotonic()
                assert ask(server, "/x").body == LETTERS
                assert time.monotonic() - start < 60
        finally:
            stop.set()
            slow.join()
            for line in lines:
                line.close()


def test_a_head_that_comes_too_slowly_is_told_so(tmp_path: Path) -> None:
    with serving(tmp_path, Limits(head_seconds=0.3)) as server, connect(server) as line:
        start = time.monotonic()
        line.sendall(b"GET / HTTP/1.1\r\n")
        # one more byte does not buy more time
        while not select.select([line], [], [], 0.05)[0] and time.monotonic() < start + 60:
            line.sendall(b"H")
        assert 0.25 < time.monotonic() - start < 60
        assert read_reply(line).status == 408
        assert line.recv(1) == b""


def test_a_silent_client_is_left(tmp_path: Path) -> None:
    with serving(tmp_path, Limits(idle_seconds=0.1)) as server, connect(server) as line:
        assert line.recv(1) == b""


@pytest.mark.parametrize("directly", [True, False])
def test_a_client_that_does_not_read_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directly: bool) -> None:
    if not directly:
        _forbid_sendfile(monkeypatch)
    (tmp_path / "x").write_bytes(bytes(SIZE))
    sent: list[int] = []
    with make_server(
        tmp_path, limits=Limits(stall_seconds=0.2), seen=lambda served: sent.append(served.bytes)
    ) as server:
        line = _narrow(server, "/x")
        _until(lambda: bool(sent))
        assert sent[0] < SIZE
        line.close()


def _forbid_sendfile(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", refuse)


def test_a_file_system_without_sendfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _forbid_sendfile(monkeypatch)
    data = os.urandom(700_001)
    (tmp_path / "x").write_bytes(data)
    with serving(tmp_path) as server:
        assert ask(server, "/x").body == data


def test_clients_that_do_not_read_make_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.serve.server._PATIENCE_SENDING", 0.2)
    (tmp_path / "x").write_bytes(bytes(SIZE))
    (tmp_path / "small").write_bytes(LETTERS)
    with serving(tmp_path, Limits(connections=3)) as server:
        lines = [_narrow(server, "/x") for _ in range(3)]
        assert ask(server, "/small").body == LETTERS
        for line in lines:
            line.close()


def test_a_patient_reader_gets_all_of_it_while_others_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.serve.server._PATIENCE_SENDING", 0)
    monkeypatch.setattr("tessera.serve.server._PATIENCE_WAITING", 0.1)
    data = os.urandom(SIZE)
    (tmp_path / "x").write_bytes(data)
    (tmp_path / "small").write_bytes(LETTERS)
    with serving(tmp_path, Limits(connections=2)) as server, ExitStack() as stack:
        line = stack.enter_context(_narrow(server, "/x"))
        idle = []
        for _ in range(2):
            # each takes the place of the idle one before, never of the one that is served
            idle.append(stack.enter_context(connect(server)))
            idle[-1].sendall(request("/small"))
            assert read_reply(idle[-1]).body == LETTERS
            time.sleep(0.3)
        assert idle[0].recv(1) == b""
        # nobody has to go before somebody comes
        idle[1].sendall(request("/small"))
        assert read_reply(idle[1]).body == LETTERS
        assert read_reply(line).body == data


def test_many_clients_at_once(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "x").write_bytes(data)

    def one(number: int) -> bool:
        with connect(server) as line:
            for at in range(number, 300_000, 30_000):
                line.sendall(request("/x", Range=f"bytes={at}-{at + 70_000}"))
                if read_reply(line).body != data[at : at + 70_001]:
                    return False
        return True

    with serving(tmp_path, Limits(connections=100)) as server, ThreadPoolExecutor(60) as pool:
        assert all(pool.map(one, range(60)))


def test_more_connections_than_there_may_be_at_once(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LETTERS)
    with serving(tmp_path, Limits(connections=4)) as server, ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(lambda _: ask(server, "/x", Connection="close").body, range(200)))
    assert replies == [LETTERS] * 200


def test_threads_end_with_the_server(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(SIZE))
    before = set(threading.enumerate())
    handles = _open_files()
    with serving(tmp_path) as server:
        lines = [connect(server) for _ in range(5)] + [_narrow(server, "/x") for _ in range(3)]
        _until(lambda: len(set(threading.enumerate()) - before) == 9)
    assert set(threading.enumerate()) == before
    for line in lines:
        line.close()
    assert _open_files() == handles


def test_no_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LETTERS)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_bytes(LETTERS)
    (tmp_path / "link").symlink_to("x")
    wanted = ["/x", "/page/", "/page", "/link", "/nothing", "/x/", "/page/nothing/x", "/link/x"]
    with serving(tmp_path) as server, connect(server) as line:
        line.sendall(request("/x"))
        tag = read_reply(line).headers["etag"]

        def handles() -> int:
            # once this is answered, what came before it on the connection is closed
            line.sendall(request("/nothing"))
            read_reply(line)
            return _open_files()

        before = handles()
        for target in wanted:
            for method in ("GET", "HEAD"):
                for headers in ({}, {"Range": "bytes=9999-"}, {"If-Match": '"x"'}, {"If-None-Match": tag}):
                    line.sendall(request(target, method, **headers))
                    read_reply(line, without_body=method == "HEAD")
        assert handles() == before


def test_a_file_that_is_replaced_under_readers_is_always_of_one_version(tmp_path: Path) -> None:
    path = tmp_path / "x"
    versions: dict[str, int] = {}

    def publish(number: int) -> None:
        part = tmp_path / ".part"
        part.write_bytes(bytes([number]) * (500_000 + number))
        about = part.stat()
        versions[f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"'] = number
        part.replace(path)

    publish(0)
    stop = threading.Event()

    def replace() -> None:
        number = 1
        while not stop.is_set():
            publish(number % 256)
            number += 1

    writer = threading.Thread(target=replace)
    seen = set()
    with serving(tmp_path) as server:
        writer.start()
        try:
            for turn in range(120):
                reply = ask(server, "/x") if turn % 2 else ask(server, "/x", Range="bytes=100-450000")
                number = versions[reply.headers["etag"]]
                seen.add(number)
                if turn % 2:
                    assert reply.body == bytes([number]) * (500_000 + number)
                else:
                    assert reply.body == bytes([number]) * 449_901
                    assert reply.headers["content-range"] == f"bytes 100-450000/{500_000 + number}"
        finally:
            stop.set()
            writer.join()
    assert len(seen) > 3


def test_a_reader_in_the_middle_keeps_its_version(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a" * SIZE)
    with serving(tmp_path) as server:
        line = _narrow(server, "/x")
        tag = ask(server, "/x", "HEAD").headers["etag"]
        (tmp_path / ".new").write_bytes(b"b" * SIZE)
        (tmp_path / ".new").replace(tmp_path / "x")
        assert ask(server, "/x", "HEAD").headers["etag"] != tag
        assert ask(server, "/x", If_Match=tag, Range="bytes=0-9").status == 412
        reply = read_reply(line)
        line.close()
    assert (reply.headers["etag"], reply.body) == (tag, b"a" * SIZE)


@pytest.mark.parametrize("change", ["overwrite", "shorten", "halve", "lengthen"])
def test_a_file_that_is_written_into_never_comes_to_its_end(tmp_path: Path, change: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * SIZE)
    os.utime(path, (784111777, 784111777))
    with serving(tmp_path) as server:
        line = _narrow(server, "/x")
        assert line.recv(10) == b"HTTP/1.1 2"
        with path.open("r+b") as file:
            if change in ("shorten", "halve"):
                file.truncate(SIZE - 1 if change == "shorten" else SIZE // 2)
            else:
                file.seek(0 if change == "overwrite" else SIZE)
                file.write(b"b")
        got = 10
        while more := line.recv(1 << 20):
            got += len(more)
        line.close()
    assert 10 < got < SIZE


def test_a_small_file_that_is_written_into_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(LETTERS)
    read = os.pread

    def meanwhile(*args: int) -> bytes:
        data = read(*args)
        path.write_bytes(LETTERS[::-1] + b"more")
        return data

    with serving(tmp_path) as server:
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", meanwhile)
            reply = ask(server, "/x")
        assert reply.status == 503
        assert "changed" in reply.body.decode()
        assert ask(server, "/x").body == LETTERS[::-1] + b"more"


def test_a_broken_client_hurts_nobody(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(SIZE))
    with serving(tmp_path) as server:
        for _ in range(20):
            line = _narrow(server, "/x")
            # a reset instead of a farewell
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            line.close()
        assert raw(server, request("/x", "HEAD"), without_body=True).status == 200
