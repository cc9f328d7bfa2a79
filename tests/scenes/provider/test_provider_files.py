"""Files by range as an object store gives them, many lines at once, nothing left behind; the record of requests."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from provider_helpers import ask, asked_of, line, scenes, span

from tessera.base import InputError
from tessera.testing import Faults, Provider, serve_scenes
from tessera.testing.provider._blobs import parse_range


@pytest.fixture(scope="module")
def folder() -> Path:
    return scenes()


def band(provider: Provider, key: str = "B04") -> tuple[str, Path]:
    item = next(item for item in provider.items if key in item["assets"])
    href = item["assets"][key]["href"]
    return href, provider.files[href]


def test_ranges_give_the_bytes_of_the_file(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, file = band(provider)
        data = file.read_bytes()
        whole = ask(href)
        assert (whole.status, whole.body, whole.headers["accept-ranges"]) == (200, data, "bytes")
        part = span(href, 100, 300)
        assert (part.status, part.body) == (206, data[100:300])
        assert part.headers["content-range"] == f"bytes 100-299/{len(data)}"
        assert part.headers["etag"] == whole.headers["etag"]
        assert ask(href, headers={"Range": "bytes=-7"}).body == data[-7:]
        assert ask(href, headers={"Range": f"bytes={len(data) - 3}-"}).body == data[-3:]
        over = span(href, len(data) - 5, len(data) + 100)
        assert (over.status, over.body) == (206, data[-5:])
        behind = span(href, len(data), len(data) + 10)
        assert (behind.status, behind.headers["content-range"]) == (416, f"bytes */{len(data)}")
        assert ask(href, headers={"Range": "bytes=5-2"}).status == 200
        assert ask(href, headers={"Range": "lines=1-2"}).status == 200


def test_conditions(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, _ = band(provider)
        etag = ask(href).headers["etag"]
        assert span(href, 0, 4, **{"If-Match": etag}).status == 206
        assert span(href, 0, 4, **{"If-Match": "*"}).status == 206
        assert span(href, 0, 4, **{"If-Match": '"other"'}).status == 412
        assert span(href, 0, 4, **{"If-Range": '"other"'}).status == 200
        assert ask(href, headers={"If-None-Match": etag}).status == 304
        assert ask(href, "PUT", body=b"x").status == 405


def test_head_tells_the_length_and_sends_nothing(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, file = band(provider)
        with line(href) as kept:
            first = ask(href, "HEAD", on=kept)
            assert (first.status, first.body) == (200, b"")
            assert int(first.headers["content-length"]) == file.stat().st_size
            # a body behind a HEAD's answer would be taken for the next answer's head
            assert ask(href, on=kept).body == file.read_bytes()
        assert [(one.method, one.bytes_sent) for one in asked_of(provider)] == [
            ("HEAD", 0),
            ("GET", file.stat().st_size),
        ]


def test_large_files_go_out_whole(folder: Path, tmp_path: Path) -> None:
    with serve_scenes(folder) as provider:
        href, _ = band(provider)
        large = tmp_path / "large.tif"
        large.write_bytes(np.random.default_rng(0).bytes(3_000_000))
        provider._paths["/" + href.removeprefix(provider.blobs + "/")] = large
        assert ask(href).body == large.read_bytes()
        assert span(href, 1_000, 2_900_000).body == large.read_bytes()[1_000:2_900_000]


def test_gdal_reads_every_pixel(folder: Path) -> None:
    with serve_scenes(folder) as provider, rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        for key in ("B04", "B05", "SCL", "vv"):
            href, file = band(provider, key)
            with rasterio.open(f"/vsicurl/{href}") as served, rasterio.open(file) as local:
                assert served.transform == local.transform
                np.testing.assert_array_equal(served.read(1), local.read(1))
        assert provider.count("B04.tif", status=206) >= 1


def test_what_is_not_there_is_404_and_no_path_leaves_the_folder(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        for path in (
            "/nothing.tif",
            "/files/../catalog.json",
            "/../catalog.json",
            "/%2e%2e/catalog.json",
            "//etc/passwd",
        ):
            assert ask(provider.blobs + path).status == 404


def test_one_line_serves_many_requests_and_many_lines_are_served_at_once(folder: Path) -> None:
    with serve_scenes(folder, latency=0.02) as provider:
        href, file = band(provider)
        data = file.read_bytes()
        with line(href) as kept:
            ask(href, on=kept)
            socket = kept.sock
            assert all(ask(href, on=kept).body == data for _ in range(3))
            assert kept.sock is socket
        provider.forget()
        with ThreadPoolExecutor(16) as pool:
            assert all(reply.body == data[:50] for reply in pool.map(lambda _: span(href, 0, 50), range(32)))
        assert provider.count(status=206) == 32
        assert provider.bytes("B04") == 32 * 50
        # no bound above: a request ends for the server a moment after its client has the answer and asks again
        assert provider.most_at_once("B04") >= 2
        assert all(one.stop - one.start >= 0.02 for one in provider.seen)


def test_nothing_is_left_behind(folder: Path) -> None:
    before = threading.active_count()
    with serve_scenes(folder) as provider:
        href, _ = band(provider)
        with line(href) as kept:
            ask(href, on=kept)
            base = provider.blobs
            provider_open = threading.active_count()
    assert provider_open > before
    assert threading.active_count() == before
    with pytest.raises(OSError), line(base) as gone:
        ask(base, on=gone)


def test_an_open_line_does_not_keep_the_server(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, _ = band(provider)
        kept = http.client.HTTPConnection(href.split("/")[2], timeout=10)
        ask(href, on=kept)
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(href, on=kept)
    kept.close()


def test_the_same_port_again_holds_the_same_addresses(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, file = band(provider)
        ask(href)
        port = int(provider.blobs.rpartition(":")[2])
    with serve_scenes(folder, port=port):
        assert ask(href).body == file.read_bytes()


def test_gdal_reads_signed_files_and_those_behind_a_login(folder: Path, tmp_path: Path) -> None:
    with serve_scenes(folder, style="mpc") as provider, rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        href, file = band(provider, "B11")
        token = ask(f"{provider.token_url}/sentinel-2-l2a").json["token"]
        with rasterio.open(f"/vsicurl/{href}?{token}") as served, rasterio.open(file) as local:
            np.testing.assert_array_equal(served.read(1), local.read(1))
        with pytest.raises(rasterio.errors.RasterioIOError):
            rasterio.open(f"/vsicurl/{href}")
    with serve_scenes(folder, style="opera") as provider:
        href, file = band(provider, "VV")
        secret = tmp_path / "headers"
        secret.write_text(f"Authorization: Bearer {provider.token}\n")
        with (
            rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_HTTP_HEADER_FILE=str(secret)),
            rasterio.open(f"/vsicurl/{href}") as served,
            rasterio.open(file) as local,
        ):
            np.testing.assert_array_equal(served.read(1), local.read(1))


def test_a_mistake_of_a_client_ends_its_line_alone(folder: Path) -> None:
    with serve_scenes(folder) as provider:
        href, _ = band(provider)
        for said in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -4\r\n\r\n", b"\x00\xff\r\n"):
            with line(href) as kept:
                kept.connect()
                assert kept.sock is not None
                kept.sock.sendall(said)
                assert kept.sock.recv(100) == b""
        assert ask(href).status == 200


def test_a_folder_without_a_catalogue_and_an_unknown_style_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no catalog\.json"), serve_scenes(tmp_path):
        pass
    with pytest.raises(InputError, match="style 'aws'"), serve_scenes(folder, style="aws"):
        pass
    (tmp_path / "catalog.json").write_text(
        json.dumps({"type": "Catalog", "links": [{"rel": "item", "href": "../../etc/passwd"}]})
    )
    with pytest.raises(InputError, match="leaves"), serve_scenes(tmp_path):
        pass


def test_as_a_process_of_its_own(folder: Path) -> None:
    command = [sys.executable, "-m", "tessera.testing.provider", str(folder), "--page", "3"]
    command += ["--style", "earth-search"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        reply = ask(f"{said['url']}/search?limit=10")
        assert len(reply.json["features"]) == 3
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(words) == {"requests": 1, "bytes": len(reply.body), "at_once": 1}


@given(st.integers(0, 500), st.one_of(st.none(), st.integers(0, 600)), st.one_of(st.none(), st.integers(0, 600)))
def test_a_range_is_what_the_standard_says(size: int, first: int | None, last: int | None) -> None:
    """RFC 9110, 14.1.2, against a list of the bytes."""
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    found = parse_range(text, size)
    places = list(range(size))
    if first is None:
        expected = None if last is None else places[max(0, size - last) :]
    elif last is not None and last < first:
        expected = None
    else:
        expected = places[first : size if last is None else last + 1]
    assert (found is None) == (expected is None)
    if found is not None:
        assert places[found[0] : found[1]] == expected


def test_no_fault_means_no_fault(folder: Path) -> None:
    with serve_scenes(folder, faults=Faults()) as provider:
        href, _ = band(provider)
        ask(href)
        ask(f"{provider.url}/search")
        assert [one.fault for one in asked_of(provider)] == ["", ""]
