"""Names, and pulling a file from a hub that a real HTTP server on this machine plays."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from models_tiny import assert_same, published, tiny, tiny_of

from tessera.base import InputError
from tessera.models import BUNDLED, PUBLISHED, bundled_path, cached, open_checkpoint, pull, read_checkpoint, resolve
from tessera.net import CorruptError, CredentialError, LoadError, MissingError

COMMIT = "c" * 40
CHUNK = 1000


@dataclass
class Hub:
    """What the server holds and does: path -> content, how much of it one connection sends, and what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: int = 404
    cut: int | None = None
    tag: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def publish(self, alias: str, content: bytes) -> None:
        file = PUBLISHED[alias]
        self.files[f"/{file.repo}/resolve/main/{file.file}"] = content


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on the loopback address, and an empty cache."""
    held = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(send=False)

        def do_GET(self) -> None:
            self.answer(send=True)

        def answer(self, *, send: bool) -> None:
            wanted = self.headers.get("Range", "")
            held.asked.append((self.command, wanted))
            assert "Authorization" not in self.headers
            content = held.files.get(self.path.replace(COMMIT, "main"))
            if content is None:
                self.send_response(held.status)
                if held.status == 404:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            self.send_response(206 if wanted else 200)
            self.send_header("ETag", f'"{held.tag or hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - start))
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if send:
                stop = len(content) if held.cut is None else held.cut
                self.wfile.write(content[start:stop])
                if stop < len(content):
                    self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    yield held
    server.shutdown()
    server.server_close()


@pytest.fixture
def nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A tiny student that for one test is what was published as v2-nano."""
    content = published(tiny(), tmp_path / "nano.pt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(PUBLISHED, "v2-nano", replace(PUBLISHED["v2-nano"], sha256=digest[:8], size=len(content)))
    return content


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.incomplete") if path.is_file()]


def test_a_pull_is_whole_verified_and_loads_by_its_name(hub: Hub, nano: bytes, tmp_path: Path) -> None:
    hub.publish("v2-nano", nano)
    seen: list[tuple[int, int]] = []
    path = pull("v2-nano", progress=lambda done, total: seen.append((done, total)), endpoint=hub.url)
    assert path.read_bytes() == nano
    assert seen[-1] == (len(nano), len(nano))
    assert cached("v2-nano") == resolve("v2-nano") == path
    checkpoint = open_checkpoint("v2-nano")
    assert_same(checkpoint, tiny())
    assert (checkpoint.name, checkpoint.published) == ("v2-nano", "v2-nano")
    asked = len(hub.asked)
    assert pull("v2-nano", endpoint=hub.url) == path
    assert len(hub.asked) == asked
    assert parts(tmp_path) == []


def test_a_published_file_is_known_wherever_it_lies(nano: bytes, tmp_path: Path) -> None:
    other = tmp_path / "renamed.bin"
    other.write_bytes(nano)
    checkpoint = open_checkpoint(other)
    assert (checkpoint.name, checkpoint.published) == ("v2-nano", "v2-nano")


def test_a_known_hash_settles_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = published(tiny_of("v1.1"), tmp_path / "mpc.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "v1.1-aws", replace(PUBLISHED["v1.1-aws"], sha256=digest[:8]))
    assert (read_checkpoint(path).source, read_checkpoint(path).published) == ("aws", "v1.1-aws")
    with pytest.raises(InputError, match=r"source 'mpc' for v1\.1-aws; it was trained with those of aws"):
        read_checkpoint(path, "mpc")


def test_a_pull_that_was_cut_continues_on_the_next_run(hub: Hub, nano: bytes, tmp_path: Path) -> None:
    hub.publish("v2-nano", nano)
    hub.cut = len(nano) // 2 // CHUNK * CHUNK
    with pytest.raises(LoadError, match="pull again") as caught:
        pull("v2-nano", endpoint=hub.url)
    assert "\n" not in str(caught.value)
    assert [path.stat().st_size for path in parts(tmp_path)] == [hub.cut]
    with pytest.raises(InputError, match="tessera models pull v2-nano"):
        resolve("v2-nano")
    hub.asked.clear()
    half, hub.cut = hub.cut, None
    assert pull("v2-nano", endpoint=hub.url).read_bytes() == nano
    assert [wanted for method, wanted in hub.asked if method == "GET"] == [f"bytes={half}-"]
    assert parts(tmp_path) == []


def test_what_is_not_what_was_published_is_not_kept(hub: Hub, nano: bytes, tmp_path: Path) -> None:
    for wrong, tag, reason in (
        (nano[:-1] + b"!", "", r"has SHA-256 \w{8}\.\.\.; expected \w{8}"),
        (nano + b"!", "", rf"has {len(nano) + 1} bytes; expected {len(nano)}"),
        (nano, "0" * 64, "came with SHA-256 .*; expected 00000000"),
    ):
        hub.publish("v2-nano", wrong)
        hub.tag = tag
        with pytest.raises(CorruptError, match=reason) as caught:
            pull("v2-nano", endpoint=hub.url)
        assert "\n" not in str(caught.value)
        assert cached("v2-nano") is None
        assert [path for path in tmp_path.rglob("blobs/*") if path.is_file()] == []
    hub.tag = ""
    hub.publish("v2-nano", nano)
    path = pull("v2-nano", endpoint=hub.url)
    path.resolve().write_bytes(nano[:-1] + b"!")
    with pytest.raises(InputError, match="as v2-nano was published; tessera models pull v2-nano replaces it"):
        open_checkpoint("v2-nano")
    assert pull("v2-nano", endpoint=hub.url).read_bytes() == nano


def test_what_the_hub_answers_is_one_line_of_the_taxonomy(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    for status, kind in ((404, MissingError), (403, CredentialError), (503, LoadError), (429, LoadError)):
        hub.status = status
        with pytest.raises(kind, match=r"v2-large: ckpt/student_large.pt of geotessera/TESSERA-V-2.0-2B-L") as caught:
            pull("v2-large", endpoint=hub.url)
        assert "\n" not in str(caught.value)
    hub.publish("v2-large", b"abc")
    hub.tag = "../../evil"
    with pytest.raises(LoadError, match="expected a hash"):
        pull("v2-large", endpoint=hub.url)
    with pytest.raises(LoadError, match="no answer"):
        pull("v2-large", endpoint=f"http://127.0.0.1:{closed_port}")


def test_v1_1_is_pulled_and_opened_by_its_source(hub: Hub, tmp_path: Path, closed_port: int) -> None:
    content = published(tiny_of("v1.1"), tmp_path / "a.pt").read_bytes()
    hub.publish("v1.1-aws", content)
    path = pull("v1.1", "aws", endpoint=hub.url)
    assert path.name == "tessera_v1_1_aws_encoder.pt"
    for name, source in (("v1.1-aws", None), ("v1.1", "aws"), ("v1.1-aws", "aws")):
        checkpoint = open_checkpoint(name, source)
        assert (checkpoint.name, checkpoint.source, checkpoint.published) == ("v1.1-aws", "aws", None)
    assert pull("v1.1-aws", endpoint=f"http://127.0.0.1:{closed_port}") == path
    with pytest.raises(InputError, match=r"tessera models pull v1.1-mpc"):
        open_checkpoint("v1.1", "mpc")


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert resolve(None) == bundled_path() == resolve(BUNDLED)
    assert open_checkpoint().name == open_checkpoint(BUNDLED).name == BUNDLED
    for name, file in PUBLISHED.items():
        with pytest.raises(InputError, match=f"tessera models pull {name}" if file.repo else "Google Drive") as caught:
            open_checkpoint(name)
        assert "\n" not in str(caught.value)
    mistakes: list[tuple[Any, ...]] = [
        ("v9", None, "no model 'v9'; expected the path of a checkpoint, or one of bundled-nano"),
        ("v1.1", None, "no source for v1.1; expected source=mpc or source=aws, or one of v1.1-mpc, v1.1-aws"),
        ("v1.1", "esa", "source 'esa' for v1.1; expected source=mpc"),
        ("v1.1-mpc", "aws", "source 'aws' for v1.1-mpc; it was trained with those of mpc"),
        ("v2-large", "mpc", "source 'mpc' for v2-large; it has one set of statistics, give none"),
        (None, "mpc", "give none"),
    ]
    for name, source, reason in mistakes:
        with pytest.raises(InputError, match=reason):
            open_checkpoint(name, source)
    for name, reason in ((BUNDLED, "comes with"), ("v9", "no published model 'v9'"), ("v1.0-early", "Google Drive")):
        with pytest.raises(InputError, match=reason):
            pull(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v2-small").mkdir()
    with pytest.raises(InputError, match="tessera models pull v2-small"):
        open_checkpoint("v2-small")
    published(tiny(), tmp_path / "v2-large")
    assert_same(open_checkpoint("v2-large"), tiny())


def test_the_command_obeys_the_environment(hub: Hub, tmp_path: Path) -> None:
    hub.publish("v1.1-mpc", published(tiny_of("v1.1"), tmp_path / "a.pt").read_bytes())
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    # the library of the hub reads the environment once, when it is imported
    script = """
import sys
from tessera.cli.shell import run

for command in ("pull v1.1-mpc", "info v1.1-mpc", "pull v2-large"):
    code = run(["models", *command.split()])
    for stream in (sys.stdout, sys.stderr):
        print(f"ended {code}", file=stream, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    pulled, info, _ = re.split(r"ended \d\n", done.stdout)[:3]
    assert re.findall(r"ended (\d)", done.stdout) == ["0", "0", "1"], done.stderr
    assert str(tmp_path / "home") in pulled
    assert "statistics  of scenes from mpc" in info
    assert [len(said.splitlines()) for said in re.split(r"ended \d\n", done.stderr)] == [1, 0, 1, 0]


def test_without_a_line_the_message_says_how_a_file_is_carried_over(hub: Hub) -> None:
    published = PUBLISHED["v2-medium"]
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(LoadError) as refused:
            pull("v2-medium", endpoint=endpoint)
    said = str(refused.value)
    assert f"fetch {endpoint}/{published.repo}/resolve/main/{published.file} on another machine" in said
    assert "copy it here under its own name, and give its path" in said
