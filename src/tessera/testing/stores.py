"""Small stores with random codes, in a folder or served on this machine.

>>> store = small_store(tmp_path / "store.zarr")
>>> store.write(random_embeddings(Cell(31, 500, 4300, 128).window), 2024)
>>> with serve_folder(tmp_path) as (url, asked):
...     tessera.open_store(f"{url}/store.zarr")
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tessera.embeddings import Embeddings, ModelIdentity
from tessera.shards import Layout
from tessera.store import Store, create_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.geo import Window

SMALL_MODEL = ModelIdentity("test", "ab" * 32, 8, (2, 8))
"""A model of 8 dims that has no weights."""
SMALL_LAYOUT = Layout(8, (2,), shard=128, chunk=32)
"""Cells of 128 x 128 pixels with 8 codes; the first two are a prefix array too."""


def small_store(
    path: str | Path,
    *,
    zones: tuple[int, ...] = (31,),
    model: ModelIdentity = SMALL_MODEL,
    layout: Layout = SMALL_LAYOUT,
) -> Store:
    """Create an empty store of a few kB.

    Parameters
    ----------
    path : a new folder
    zones : UTM zones that have arrays
    model, layout : model of its embeddings, and its geometry
    """
    return create_store(path, layout.dims, model, zones=zones, layout=layout)


def random_embeddings(
    window: Window,
    seed: int = 0,
    no_data: float = 0.2,
    *,
    not_written: float = 0.0,
    model: ModelIdentity = SMALL_MODEL,
    **provenance: Any,
) -> Embeddings:
    """Random codes, scales and counts on a lattice window, the same for the same seed.

    Parameters
    ----------
    no_data, not_written : shares of pixels with scale NaN and +inf; their codes are 0
    provenance : entries of the provenance
    """
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.001, 0.9, window.shape).astype(np.float32)
    draw = rng.random(window.shape)
    scales[draw < no_data] = np.nan
    scales[draw > 1 - not_written] = np.inf
    codes = rng.integers(-127, 128, (*window.shape, model.dims), dtype=np.int8)
    codes[~np.isfinite(scales)] = 0
    counts = rng.integers(0, 400, (*window.shape, 3)).astype(np.uint16)
    return Embeddings(codes, scales, counts, model, window.grid, provenance)


def same_embeddings(one: Embeddings, other: Embeddings) -> bool:
    """Whether codes, scales and counts are equal; NaN equals NaN."""
    return (
        np.array_equal(one.codes, other.codes)
        and np.array_equal(one.scales, other.scales, equal_nan=True)
        and np.array_equal(one.counts, other.counts)
    )


class Request(NamedTuple):
    """A request to `serve_folder`.

    Attributes
    ----------
    path : path of the URL
    wanted : Range header, None without one
    sent : bytes of the body, 0 if the file does not exist
    """

    path: str
    wanted: str | None
    sent: int


class FolderHandler(SimpleHTTPRequestHandler):
    """Answers GET with files of a folder, whole or one byte range, with ETags and conditional requests."""

    asked: list[Request]
    weak = False
    status: int | None = None

    def do_GET(self) -> None:
        """Answer one request."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self._refuse(404)
            return
        data, about = path.read_bytes(), path.stat()
        whole, etag = len(data), f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"'
        told = {"ETag": f"W/{etag}" if self.weak else etag}
        if self.status is not None:
            self._refuse(self.status)
        elif "If-Match" in self.headers and (self.weak or self.headers["If-Match"] != etag):
            self._refuse(412)
        elif self.headers.get("If-None-Match") == etag and not self.weak:
            self._answer(304, b"", told)
        else:
            status = 200
            told["Last-Modified"] = self.date_time_string(about.st_mtime)
            if match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
                start, stop = int(match[1] or 0), min(int(match[2] or whole - 1) + 1, whole)
                if not match[1]:
                    start, stop = max(0, whole - int(match[2])), whole
                status, data = 206, data[start:stop]
                told["Content-Range"] = f"bytes {start}-{stop - 1}/{whole}"
            self._answer(status, data, {**told, "Content-Length": str(len(data))})

    def _refuse(self, status: int) -> None:
        self.asked.append(Request(self.path, self.headers.get("Range"), 0))
        self.send_error(status)

    def _answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        # recorded before the client gets the answer
        self.asked.append(Request(self.path, self.headers.get("Range"), len(data)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serve_folder(
    folder: Path, *, weak: bool = False, status: int | None = None, handler: type[FolderHandler] = FolderHandler
) -> Iterator[tuple[str, list[Request]]]:
    """Serve a folder on this machine. Yields its URL and a growing list of requests.

    Parameters
    ----------
    weak : send weak ETags, which no condition matches
    status : refuse every request for a file with this status, such as 503
    handler : a subclass with other answers
    """
    asked: list[Request] = []
    told = type("Handler", (handler,), {"asked": asked, "weak": weak, "status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(told, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
