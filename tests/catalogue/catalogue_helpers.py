"""Small stores with a manifest, and a static server with ranges on loopback."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.geo import Cell, Window, from_lonlat
from tessera.shards import Layout
from tessera.store import Store, create_store

MODEL = ModelIdentity("test", "ab" * 32, 8, (2, 8))
SIDE = 128
LAYOUT = Layout(8, (2,), shard=SIDE, chunk=32)
CELL = Cell(31, 500, 4300, SIDE)
BASE = CELL.window
_X, _Y = from_lonlat(-179.9995, -17.0, 1)
DATE_LINE = Cell.at(1, int(_X // 10), int(_Y // 10), SIDE).window


def new_store(path: Path, zones: tuple[int, ...] = (1, 31)) -> Store:
    return create_store(path, 8, MODEL, zones=zones, layout=LAYOUT)


def some(window: Window, seed: int = 0, holes: float = 0.0, **provenance: Any) -> Embeddings:
    """Embeddings with no data in a fifth of the pixels and, in a share of them, nothing written."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    scales[rng.random(window.shape) < 0.2] = np.nan
    scales[rng.random(window.shape) < holes] = np.inf
    codes = rng.integers(-127, 128, (*window.shape, 8), dtype=np.int8)
    codes[~np.isfinite(scales)] = 0
    counts = np.zeros((*window.shape, 3), dtype=np.uint16)
    return Embeddings(codes, scales, counts, MODEL, window.grid, provenance)


def settle(store: Store, ago: int = 100) -> None:
    """Make every commit record look old, as those of earlier runs do."""
    assert store.objects.folder is not None
    for path in store.objects.folder.glob("commits/*/*.json"):
        then = path.stat().st_mtime_ns - ago * 10**9
        os.utime(path, ns=(then, then))


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """The files of a folder at a URL, and the path and body length of each answer."""
    answers: list[tuple[str, int]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                answers.append((self.path, 0))
                self.send_error(404)
                return
            data = path.read_bytes()
            size = len(data)
            match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            self.send_response(206 if match else 200)
            if match:
                start = int(match[1]) if match[1] else max(0, size - int(match[2]))
                stop = min(size, int(match[2]) + 1) if match[1] and match[2] else size
                data = data[start:stop]
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            answers.append((self.path, len(data)))
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
