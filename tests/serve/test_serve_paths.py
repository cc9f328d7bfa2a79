"""Nothing outside the folder, nothing hidden; each attempt by a raw socket, and random ones by hypothesis."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_helpers import ask, connect, read_reply, serving

from tessera.serve import Server
from tessera.serve._paths import open_inside, parse_path
from tessera.serve._request import Refused

SECRET = b"outside"


def _plant(base: Path) -> Path:
    """A served folder with a secret beside it, hidden files in it, and links of all kinds."""
    root = base / "served"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a file.txt").write_bytes(b"spaces")
    (root / "sub" / "x").write_bytes(b"inside")
    (root / "sub" / "deep" / "ü%2e").write_bytes(b"odd")
    # what a path outside would name if it were cut off at the root's length
    (root / "not").mkdir()
    (root / "not" / "x").write_bytes(b"inside")
    (root / "x").write_bytes(b"inside")
    (root / ".hidden").write_bytes(SECRET)
    (root / ".tessera").mkdir()
    (root / ".tessera" / "lock").write_bytes(SECRET)
    (root / "sub" / ".part").write_bytes(SECRET)
    (base / "secret").write_bytes(SECRET)
    (base / "secrets").mkdir()
    (base / "secrets" / "x").write_bytes(SECRET)
    (base / "served-not").mkdir()
    (base / "served-not" / "x").write_bytes(SECRET)
    links = {
        "out": base / "secret",
        "out-relative": Path("../secret"),
        "out-folder": base / "secrets",
        "out-sibling": base / "served-not",
        "to-hidden": Path(".hidden"),
        "to-bookkeeping": Path(".tessera"),
        "up": Path(".."),
        "loop": Path("loop"),
        "gone": Path("nowhere"),
        "in": Path("sub/x"),
        "in-folder": Path("sub"),
        "in-absolute": root / "sub" / "x",
    }
    for name, to in links.items():
        (root / name).symlink_to(to)
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _plant(tmp_path_factory.mktemp("paths").resolve())


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with serving(root) as running:
        yield running


@pytest.mark.parametrize(
    "target",
    [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/%2E%2E%2Fsecret",
        "/..%2fsecret",
        "/sub%2f..%2f..%2fsecret",
        "/%252e%252e/secret",
        "/%252e%252e%252fsecret",
        "/..%c0%afsecret",
        "/%c0%ae%c0%ae/secret",
        "/./secret",
        "/.../secret",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/etc/passwd",
        "http://localhost/../secret",
        "http://localhost//etc/passwd",
        "/out",
        "/out-relative",
        "/out-folder/x",
        "/out-sibling/x",
        "/up/secret",
        "/to-hidden",
        "/to-bookkeeping/lock",
        "/loop",
        "/gone",
        "/.hidden",
        "/.tessera/lock",
        "/%2etessera/lock",
        "/sub/.part",
        "/sub/..",
        "/sub/x/",
        "/sub/x/y",
        "/pipe",
        "/sub/",
        "/",
        "/?../secret",
        "/nothing",
        "/" + "n" * 300,
        "/" + "d/" * 2000 + "x",
    ],
)
def test_what_is_not_there_for_anybody(server: Server, target: str) -> None:
    for method in ("GET", "HEAD"):
        reply = ask(server, target, method)
        assert reply.status == 404
        assert SECRET not in reply.body
        assert b"root:" not in reply.body


@pytest.mark.parametrize(
    "target",
    [
        "/..\\secret",
        "/..%5csecret",
        "/%5c%5chost%5cshare",
        "/sub/x%00",
        "/%00",
        "/sub%0d%0aX:y/x",
        "/%zz",
        "/sub/%",
        "/%7f",
        "secret",
        "../secret",
        "file:///etc/passwd",
        "ftp://localhost/x",
        "http://user@localhost/sub/x",
        "*",
    ],
)
def test_what_is_no_path(server: Server, target: str) -> None:
    assert ask(server, target).status == 400


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/sub/x", b"inside"),
        ("/sub/x?version=../../secret", b"inside"),
        ("//sub//x", b"inside"),
        ("/sub%2Fx", b"inside"),
        ("/%73ub/x", b"inside"),
        ("/a%20file.txt", b"spaces"),
        ("/sub/deep/%C3%BC%252e", b"odd"),
        ("/in", b"inside"),
        ("/in-folder/x", b"inside"),
        ("/in-absolute", b"inside"),
        ("/up/served/sub/x", b"inside"),
        ("http://localhost/sub/x", b"inside"),
        ("HTTP://127.0.0.1:99/sub/x", b"inside"),
    ],
)
def test_what_is_inside(server: Server, target: str, body: bytes) -> None:
    reply = ask(server, target)
    assert (reply.status, reply.body) == (200, body)


_NAMES = [
    "..",
    ".",
    "%2e%2e",
    "%2e",
    "%252e%252e",
    "%2f",
    "\\",
    "%5c",
    "%00",
    "",
    "~",
    "etc",
    "secret",
    "secrets",
    "x",
    "sub",
]
_NAMES += ["out", "out-folder", "up", "loop", "in-folder", "to-bookkeeping", "lock", ".hidden", "served", "..;", "pipe"]


@given(st.lists(st.sampled_from(_NAMES) | st.text(max_size=4), max_size=6).map(lambda names: "/" + "/".join(names)))
def test_no_path_opens_anything_outside(root: Path, target: str) -> None:
    try:
        opened = open_inside(str(root), parse_path(target))
    except Refused as refused:
        # anything else would be news of what lies outside
        if refused.status not in (400, 404):
            raise
        return
    try:
        real = Path(f"/proc/self/fd/{opened.handle}").readlink() if Path("/proc/self/fd").is_dir() else root
        assert real == root or root in real.parents
        assert not any(name.startswith(".") for name in real.relative_to(root).parts)
        if not opened.is_folder:
            assert os.pread(opened.handle, 100, 0) != SECRET
    finally:
        opened.close()


def test_a_folder_that_turns_into_a_link_under_a_reader_shows_nothing(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "served"
    (root / "now").mkdir(parents=True)
    (root / "now" / "x").write_bytes(b"inside")
    outside = tmp_path.resolve() / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(SECRET)
    link = root / "link"
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in (("now", "was"), ("link", "now"), ("now", "link"), ("was", "now")):
                (root / one).rename(root / other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = {200: 0, 404: 0}
    try:
        deadline = time.monotonic() + 20
        while sum(seen.values()) < 2000 or (min(seen.values()) == 0 and time.monotonic() < deadline):
            try:
                opened = open_inside(str(root), ("now", "x"))
            except Refused:
                seen[404] += 1
                continue
            seen[200] += 1
            assert os.pread(opened.handle, 100, 0) == b"inside"
            opened.close()
    finally:
        stop.set()
        swapper.join()
    assert min(seen.values()) > 0


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (errno.EACCES, 403),
        (errno.EPERM, 403),
        (errno.EMFILE, 503),
        (errno.ENFILE, 503),
        (errno.EIO, 500),
        (errno.ENOENT, 404),
        (errno.ENXIO, 404),
    ],
)
def test_what_the_system_refuses(root: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
    really = os.open

    def refuse(name: str, flags: int, *, dir_fd: int | None = None) -> int:
        if name == "x":
            raise OSError(number, os.strerror(number))
        return really(name, flags, dir_fd=dir_fd)

    before = len(list(Path("/dev/fd").iterdir()))
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Refused) as told:
        open_inside(str(root), ("sub", "x"))
    monkeypatch.undo()
    assert told.value.status == status
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_folders_show_their_index_and_no_list(tmp_path: Path) -> None:
    (tmp_path / "page" / "more ünd").mkdir(parents=True)
    (tmp_path / "index.html").write_bytes(b"home")
    (tmp_path / "page" / "more ünd" / "index.html").write_bytes(b"more")
    (tmp_path / "odd" / "index.html").mkdir(parents=True)
    with serving(tmp_path) as running:
        assert ask(running, "/").body == b"home"
        assert ask(running, "/?q").headers["content-type"] == "text/html; charset=utf-8"
        assert ask(running, "/page/").status == 404
        assert ask(running, "/page").status == 404
        assert ask(running, "/odd/").status == 404
        assert ask(running, "/page/more%20%C3%BCnd/").body == b"more"
        moved = ask(running, "//page/more%20%C3%BCnd?a=b")
        assert (moved.status, moved.headers["location"]) == (307, "/page/more%20%C3%BCnd/?a=b")


def test_a_folder_that_is_moved_away_and_back(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"1")
    with serving(tmp_path / "a") as running, connect(running) as line:
        for present in (True, False, True):
            if not present:
                (tmp_path / "a").rename(tmp_path / "b")
            elif not (tmp_path / "a").exists():
                (tmp_path / "b").rename(tmp_path / "a")
            line.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(line).status == (200 if present else 404)
