"""A static server with ranges and ETags on loopback."""

from __future__ import annotations

import re
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any


class Ranges(SimpleHTTPRequestHandler):
    """Files of a folder by single ranges."""

    @classmethod
    def of(cls, folder: Path) -> Any:
        return lambda *args: cls(*args, directory=str(folder))

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, about = path.read_bytes(), path.stat()
        etag = f'"{about.st_ino:x}-{about.st_mtime_ns:x}-{about.st_size:x}"'
        if self.headers.get("If-Match", etag) != etag:
            self.send_error(412)
            return
        if self.headers.get("If-None-Match") == etag:
            self.send_response(304)
            self.send_header("ETag", etag)
            self.end_headers()
            return
        size = len(data)
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        self.send_response(200 if match is None else 206)
        if match is not None:
            start, stop = int(match[1] or 0), min(int(match[2] or size - 1) + 1, size)
            if not match[1]:
                start, stop = max(0, size - int(match[2])), size
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            data = data[start:stop]
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass
