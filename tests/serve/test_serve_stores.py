"""What is served is read by this package, by stock zarr and xarray, plain and over TLS."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from serve_helpers import certificate, connect, read_reply, request, serving
from serve_store_helpers import WINDOW, random_embeddings, small_store
from zarr.storage import ObjectStore

import tessera
from tessera.base import InputError
from tessera.serve import Limits, Served, Server, make_server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stores")
    small_store(root / "store.zarr")
    return root


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def secure(folder: Path, keys: tuple[Path, Path]) -> Iterator[Server]:
    with make_server(folder, tls=keys, limits=Limits(head_seconds=0.5)) as server:
        yield server


def _same(found: np.ndarray) -> bool:
    wanted = random_embeddings(WINDOW).values()
    return np.array_equal(found, wanted, equal_nan=True)


def test_our_reader(folder: Path) -> None:
    seen: list[Served] = []
    with make_server(folder, seen=seen.append) as server:
        store = tessera.open_store(f"{server.url}/store.zarr")
        assert _same(store.read_window(WINDOW, 2023).values())
        assert store.years == (2023,)
    assert {served.status for served in seen} <= {200, 206, 404}
    assert 206 in {served.status for served in seen}


def test_stock_zarr_and_xarray(folder: Path) -> None:
    from obstore.store import HTTPStore

    with serving(folder / "store.zarr") as server:
        source = ObjectStore(HTTPStore(server.url, client_options={"allow_http": True}), read_only=True)
        group = zarr.open_group(source, mode="r", path="utm31", zarr_format=3)
        x, y, codes, scales = (group[name] for name in ("x", "y", "embeddings", "scales"))
        assert all(isinstance(array, zarr.Array) for array in (x, y, codes, scales))
        col = int(np.searchsorted(np.asarray(x[:]), WINDOW.west * 10))  # type: ignore[index]
        row = int(np.searchsorted(-np.asarray(y[:]), -WINDOW.north * 10))  # type: ignore[index]
        there = (slice(row, row + 128), slice(col, col + 128))
        values = np.asarray(codes[0, :, *there]) * np.asarray(scales[0, *there])  # type: ignore[index]
        assert _same(values.transpose(1, 2, 0))

        zone = xarray.open_zarr(source, group="utm31", chunks=None, zarr_format=3)
        east, south = WINDOW.west + 128, WINDOW.north - 128
        cut = zone.sel(time=2023, x=slice(WINDOW.west * 10, east * 10), y=slice(WINDOW.north * 10, south * 10)).load()
        assert _same((cut.embeddings * cut.scales).transpose("y", "x", "band").values)


def test_over_tls(secure: Server, keys: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=str(keys[0]))
    url = f"{secure.url}/store.zarr/utm31/embeddings"
    assert url.startswith("https://127.0.0.1:")
    with urllib.request.urlopen(f"{url}/zarr.json", context=context) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        assert b"sharding_indexed" in answer.read()


def test_our_reader_over_tls(secure: Server, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(keys[0]))
    store = tessera.open_store(f"{secure.url}/store.zarr")
    assert _same(store.read_window(WINDOW, 2023).values())


def test_a_large_file_over_tls(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    data = bytes(range(251)) * 8000
    (tmp_path / "x").write_bytes(data)
    context = ssl.create_default_context(cafile=str(keys[0]))
    with (
        make_server(tmp_path, tls=keys) as server,
        connect(server) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        for start in (0, 1000):
            line.sendall(request("/x", Range=f"bytes={start}-"))
            assert read_reply(line).body == data[start:]


def test_what_speaks_no_tls_or_stays_silent_is_left(secure: Server) -> None:
    with connect(secure) as line:
        line.sendall(request("/store.zarr/tessera.json"))
        with suppress(ConnectionResetError):
            assert b"200" not in line.recv(100)
    with connect(secure) as line:
        assert line.recv(1) == b""


def test_a_key_that_does_not_fit(folder: Path, tmp_path: Path, keys: tuple[Path, Path]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "secret").mkdir()
    other, secret = certificate(tmp_path / "other"), certificate(tmp_path / "secret", password="hush")
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"are no certificate and its key, PEM \(KEY_VALUES_MISMATCH\)"):
        make_server(folder, tls=(keys[0], other[1]))
    with pytest.raises(InputError, match="are no certificate and its key, PEM"):
        make_server(folder, tls=(tmp_path / "text.pem", keys[1]))
    with pytest.raises(InputError, match="is encrypted; expected one without a password"):
        make_server(folder, tls=secret)


def test_a_store_is_seen_while_it_grows(tmp_path: Path) -> None:
    store = small_store(tmp_path / "store.zarr")
    with serving(tmp_path / "store.zarr") as server:
        assert tessera.open_store(server.url).years == (2023,)
        store.write(random_embeddings(WINDOW), 2024)
        again = tessera.open_store(server.url)
        assert again.years == (2023, 2024)
        assert _same(again.read_window(WINDOW, 2024).values())


def test_ipv6(folder: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("this system has no IPv6")
    try:
        server = make_server(folder, host="::1")
    except InputError:
        pytest.skip("this system has no IPv6 loopback address")
    with server:
        assert server.url.startswith("http://[::1]:")
        assert tessera.open_store(f"{server.url}/store.zarr").dims == 8
