"""Small stores for previews: cells of 128 pixels, eight dims."""

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

MODEL = ModelIdentity("test", "cd" * 32, 8, (2, 8))
LAYOUT = Layout(8, (2,), shard=128, chunk=32)
CELL = Cell(31, 500, 4300, 128)
YEAR = 2024


def new_store(path: Path, zones: tuple[int, ...] = (31,), layout: Layout = LAYOUT) -> Store:
    return create_store(path, 8, MODEL, zones=zones, layout=layout)


def embeddings(window: Window, codes: Any, scales: Any) -> Embeddings:
    counts = np.zeros((*window.shape, 3), np.uint16)
    return Embeddings(np.asarray(codes, np.int8), np.asarray(scales, np.float32), counts, MODEL, window.grid)


def random_embeddings(window: Window, seed: int = 0, no_data: float = 0.2, not_written: float = 0.1) -> Embeddings:
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    draw = rng.random(window.shape)
    scales[draw < no_data] = np.nan
    scales[draw > 1 - not_written] = np.inf
    codes = rng.integers(-127, 128, (*window.shape, 8), dtype=np.int8)
    codes[~np.isfinite(scales)] = 0
    return embeddings(window, codes, scales)


def field(window: Window, wave: float = 0.6) -> Embeddings:
    """Values that are smooth functions of longitude and latitude, the same in every zone."""
    x = (np.arange(window.west, window.east) + 0.5) * 10
    y = (np.arange(window.north - 1, window.south - 1, -1) + 0.5) * 10
    grid_x, grid_y = np.meshgrid(x, y)
    lon, lat = to_lonlat(grid_x, grid_y, window.zone)
    lon = lon % 360
    waves = [np.sin(lon / wave), np.cos(lat / wave), np.sin((lon + lat) / wave), np.cos((lon - lat) / wave)]
    values = np.stack([*waves, *(0.5 * part for part in waves)], axis=-1)
    return embeddings(window, np.rint(100 * values), np.full(window.shape, 0.01))


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything derived of a store, key -> bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for name in ("overviews", "global_rgb")
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


class _Ranges(SimpleHTTPRequestHandler):
    """Files of a folder with single byte ranges; counts requests."""

    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.send_response(200 if match is None else 206)
        if match is not None:
            start, stop = int(match[1]), min(int(match[2]) + 1, len(data))
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
            data = data[start:stop]
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: its URL, and the paths that were asked for."""
    requests: list[str] = []

    class Handler(_Ranges):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    Handler.requests = requests
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
