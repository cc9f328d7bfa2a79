"""Escape sequences in what a stranger's file or server says: none reaches the terminal, and no message is long."""

from __future__ import annotations

import io
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fuzz_world import YEAR, World, make_world

from tessera.cli import shell
from tessera.cli._streams import Output

_ATTACK = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("strangers"))


def _told(monkeypatch: pytest.MonkeyPatch, *args: object) -> tuple[int, str]:
    """Exit code and all that a process would print."""
    streams = {name: Output(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    with monkeypatch.context() as patch:
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        code = shell.run([str(arg) for arg in args])
    text = ""
    for stream in streams.values():
        stream.flush()
        text += stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert [letter for letter in text if not letter.isprintable() and letter != "\n"] == []
    assert max(map(len, text.splitlines()), default=0) < 1600
    return code, text


def _labels(world: World, path: Path, name: str, column: str = "class") -> Path:
    value = json.loads(Path(world.good["labels"]).read_text())
    for index, feature in enumerate(value["features"]):
        feature["properties"] = {column: [name, "wheat"][index % 2]}
    path.write_text(json.dumps(value))
    return path


def test_class_names_and_columns(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = _labels(world, tmp_path / "l.geojson", f"a{_ATTACK}")
    code, text = _told(monkeypatch, "fit", world.store, labels, "--column", "class", "-o", tmp_path / "h.json")
    assert code in (0, 2)
    assert "x1b[2J" in text
    labels = _labels(world, tmp_path / "m.geojson", "a", f"{_ATTACK}class")
    code, text = _told(monkeypatch, "fit", world.store, labels, "--column", "none", "-o", tmp_path / "i.json")
    assert code == 2
    assert "x1b" in text
    (tmp_path / "t.csv").write_text(f"lon,lat,{_ATTACK * 400}\n{_ATTACK},1,2\n")
    code, text = _told(monkeypatch, "get", world.store, "--points", tmp_path / "t.csv", "-o", tmp_path / "o.csv")
    assert code == 2


@pytest.mark.parametrize("what", ["name", "format", "years"])
def test_documents_of_a_store(what: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "s.zarr"
    shutil.copytree(world.store, store)
    value = json.loads((store / "tessera.json").read_text())
    if what == "name":
        value["model"]["name"] = f"m{_ATTACK}" * 50
    else:
        value[what] = [f"{_ATTACK}" * 50]
    (store / "tessera.json").write_text(json.dumps(value))
    for command in (["store", "info"], ["store", "check"], ["store", "coverage"]):
        code, text = _told(monkeypatch, *command, store)
        assert code in (0, 1, 2)
        assert text


def test_attributes_of_a_cube(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cube = tmp_path / "c.zarr"
    shutil.copytree(world.good["path"], cube)
    value = json.loads((cube / "zarr.json").read_text())
    held = value["attributes"]
    for inner in (held, *(one for one in held.values() if isinstance(one, dict))):
        inner[f"k{_ATTACK}"] = _ATTACK * 30
    (cube / "zarr.json").write_text(json.dumps(value))
    code, _ = _told(monkeypatch, "cube", "info", cube)
    assert code in (0, 2)


def test_ids_of_a_catalogue(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = tmp_path / "scenes"
    shutil.copytree(world.good["source"], scenes)
    for file in scenes.rglob("*.json"):
        value = json.loads(file.read_text())
        value["id"] = f"{value.get('id')}{_ATTACK}"
        for link in value.get("links", []):
            link["title"] = _ATTACK
        file.write_text(json.dumps(value))
    out = tmp_path / "t.parquet"
    code, _ = _told(
        monkeypatch, "cube", "scenes", "--source", scenes, "--bbox", world.good["bbox"], "--year", YEAR, "-o", out
    )
    assert code in (0, 1, 2)


@contextmanager
def _server() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.wfile.write(b"HTTP/1.1 404 \x1b[2J" + b"gone " * 500 + b"\x07\r\n")
            self.wfile.write(
                f"X-Note: {'y' * 3000}\r\n".encode() + b"Content-Length: 4000\r\nConnection: close\r\n\r\n"
            )
            self.wfile.write((b"\x1b]0;owned\x07" * 400)[:4000])
            self.close_connection = True

        do_GET = do_HEAD = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_reasons_and_bodies_of_a_server(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _server() as url:
        about: list[object] = ["--bbox", world.good["bbox"], "--year", YEAR, "-o", tmp_path / "t.parquet"]
        asked: list[list[object]] = [
            ["store", "info", f"{url}/s.zarr"],
            ["cube", "scenes", "--source", f"stac:{url}", *about],
            ["cube", "scenes", "--source", f"{url}/catalog.json", *about],
        ]
        for args in asked:
            code, text = _told(monkeypatch, *args)
            assert code in (1, 2), text
            assert text.splitlines()[-1].startswith("tessera: ")
