"""Small stores for tests: 128 px shards, 8 dims, one or two zones; and a static server with ranges on loopback."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Window, to_lonlat
from tessera.shards import Layout
from tessera.store import Store, create_store

MODEL = ModelIdentity("test", "ab" * 32, 8, (2, 8))
LAYOUT = Layout(8, (2,), shard=128, chunk=32)
CELL = Cell(31, 500, 4300, 128)
BASE = CELL.window
ACROSS = Window(31, BASE.west + 70, BASE.north + 40, 150, 130)


def new_store(path: Path, zones: tuple[int, ...] = (31,)) -> Store:
    return create_store(path, 8, MODEL, zones=zones, layout=LAYOUT)


def random_embeddings(window: Window, seed: int = 0, no_data: float = 0.2, **provenance: Any) -> Embeddings:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    scales[rng.random(window.shape) < no_data] = np.nan
    codes = rng.integers(-127, 128, (*window.shape, 8), dtype=np.int8)
    codes[np.isnan(scales)] = 0
    counts = rng.integers(0, 400, (*window.shape, 3)).astype(np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid, provenance)


def equal(one: Embeddings, other: Embeddings) -> bool:
    return (
        np.array_equal(one.codes, other.codes)
        and np.array_equal(one.scales, other.scales, equal_nan=True)
        and np.array_equal(one.counts, other.counts)
    )


class Counting:
    """A source that notes what is asked of it."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.windows: list[Window] = []
        self.points: list[int] = []

    def read_window(self, window: Window, *rest: Any) -> Any:
        self.windows.append(window)
        return self.source.read_window(window, *rest)

    def read_points(self, lonlat: Any, *rest: Any, **options: Any) -> Any:
        self.points.append(len(lonlat))
        return self.source.read_points(lonlat, *rest, **options)


def centre_of(window: Window, row: int, col: int) -> tuple[float, float]:
    lon, lat = to_lonlat((window.west + col + 0.5) * 10, (window.north - row - 0.5) * 10, window.zone)
    return float(lon), float(lat)


class RangeHandler(SimpleHTTPRequestHandler):
    """Files of a folder with single byte ranges; counts requests."""

    requests: list[tuple[str, str | None]] = []  # noqa: RUF012 - set anew for each server
    weak = False
    status: int | None = None

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append((self.path, wanted))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        about = path.stat()
        etag = f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"'
        if self.weak:
            etag = "W/" + etag
        if self.status is not None:
            self.send_error(self.status)
            return
        if "If-Match" in self.headers and (self.weak or self.headers["If-Match"] != etag):
            self.send_error(412)
            return
        if self.headers.get("If-None-Match") == etag and not self.weak:
            self.send_response(304)
            self.send_header("ETag", etag)
            self.end_headers()
            return
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
        if match is None:
            self.send_response(200)
        else:
            start, stop = int(match[1] or 0), min(int(match[2] or len(data) - 1) + 1, len(data))
            if not match[1]:
                start, stop = max(0, len(data) - int(match[2])), len(data)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(
    folder: Path, *, weak: bool = False, status: int | None = None
) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    requests: list[tuple[str, str | None]] = []

    class Handler(RangeHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    Handler.requests = requests
    Handler.weak = weak
    Handler.status = status
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
