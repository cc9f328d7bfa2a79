"""The page: answered beside a store, and laid into a store's folder."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tessera.base import InputError
from tessera.check import check_store
from tessera.geo import Window
from tessera.serve import lay_page, make_server, page_folder
from tessera.testing import random_embeddings, small_store


def _get(url: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(url) as answer:
        return answer.url, answer.read()


def _store(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "tessera.json").write_text("{}")
    return folder


def test_a_served_store_shows_the_page(tmp_path: Path) -> None:
    index = (page_folder() / "index.html").read_bytes()
    script = next(name for name in json.loads((page_folder() / "page.json").read_text())["files"] if ".js" in name)
    with make_server(_store(tmp_path)) as server:
        assert _get(server.url) == (f"{server.url}/page/", index)
        assert _get(f"{server.url}/page") == (f"{server.url}/page/", index)
        assert _get(f"{server.url}/page/{script}")[1] == (page_folder() / script).read_bytes()
        assert _get(f"{server.url}/tessera.json")[1] == b"{}"
        for missing in ("page/nothing.js", "other/", "page/../secret", "page/%2e%2e/server.py"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                _get(f"{server.url}/{missing}")


def test_files_of_the_folder_come_first(tmp_path: Path) -> None:
    _store(tmp_path)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("mine")
    (tmp_path / "index.html").write_text("also mine")
    with make_server(tmp_path) as server:
        assert _get(server.url)[1] == b"also mine"
        assert _get(f"{server.url}/page/")[1] == b"mine"


def test_folders_of_stores_show_it_and_others_do_not(tmp_path: Path) -> None:
    _store(tmp_path / "one.zarr")
    other = tmp_path / "other"
    other.mkdir()
    with make_server(tmp_path) as server:
        assert _get(server.url)[0] == f"{server.url}/page/"
    for folder, page in ((other, True), (tmp_path, False)):
        with make_server(folder, page=page) as server, pytest.raises(urllib.error.HTTPError, match="404"):
            _get(f"{server.url}/page/")


def test_the_page_is_laid_and_replaced(tmp_path: Path) -> None:
    store = _store(tmp_path / "s.zarr")
    target = lay_page(store)
    names = set(json.loads((page_folder() / "page.json").read_text())["files"]) | {"page.json"}
    found = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    assert set(found) == names
    assert all(path.read_bytes() == (page_folder() / name).read_bytes() for name, path in found.items())
    # an earlier page's files go, and so does what a killed run left
    (target / "assets" / "old-1.js").write_text("old")
    known = json.loads((target / "page.json").read_text())
    (target / "page.json").write_text(json.dumps({**known, "files": [*known["files"], "assets/old-1.js"]}))
    (target / "index.html").unlink()
    lay_page(store)
    assert {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()} == names
    settled = {path: path.stat().st_mtime_ns for path in target.rglob("*") if path.is_file() and path.suffix != ".json"}
    lay_page(store)
    assert {path: path.stat().st_mtime_ns for path in settled} == settled


def test_nothing_of_the_users_is_replaced_or_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a store"):
        lay_page(tmp_path)
    with pytest.raises(InputError, match="is a URL"):
        lay_page("https://example.org/store.zarr")
    store = _store(tmp_path / "s.zarr")
    (store / "page").mkdir()
    (store / "page" / "index.html").write_text("mine")
    with pytest.raises(InputError, match=r"page/index\.html is no file of a page; expected .*--overwrite"):
        lay_page(store)
    assert (store / "page" / "index.html").read_text() == "mine"
    lay_page(store, overwrite=True)
    assert (store / "page" / "index.html").read_text() != "mine"
    # names of a stranger's page.json lead nowhere
    secret = tmp_path / "secret"
    secret.write_text("kept")
    listed = {"format": "tessera-page", "version": 1, "files": ["../../secret", "../tessera.json", "assets/../x"]}
    (store / "page" / "page.json").write_text(json.dumps(listed))
    lay_page(store, overwrite=True)
    assert secret.read_text() == "kept"
    assert (store / "tessera.json").is_file()


def test_links_lead_nowhere(tmp_path: Path) -> None:
    store, outside = _store(tmp_path / "s.zarr"), tmp_path / "outside"
    outside.mkdir()
    (store / "page").symlink_to(outside)
    with pytest.raises(InputError, match="link"):
        lay_page(store)
    assert list(outside.iterdir()) == []
    file = _store(tmp_path / "t.zarr")
    (file / "page").write_text("a file")
    with pytest.raises(InputError, match="is a file; expected a folder"):
        lay_page(file)


def test_the_command_says_what_to_do_next(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    store = _store(tmp_path / "s.zarr")
    code, out, _ = run("store", "page", store)
    assert code == 0
    assert out.startswith(f"Wrote {store / 'page'}.")
    code, _, err = run("store", "page", tmp_path / "none.zarr")
    assert code == 2
    assert "expected the folder of a store" in err


def test_a_store_with_a_page_is_whole(tmp_path: Path) -> None:
    store = small_store(tmp_path / "s.zarr")
    store.write(random_embeddings(Window(31, 64 * 1024, 548 * 1024, 40, 40)), 2023)
    lay_page(tmp_path / "s.zarr")
    assert check_store(store).problems == ()
