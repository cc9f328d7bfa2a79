"""A small S3 on loopback, in memory: conditional puts, ranges, copies, bulk deletes, listings, multipart uploads.

What obstore's S3 client asks for, and no more; signatures are not looked at. A test may hook into every request.
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "AWS_ALLOW_HTTP": "true",
}


@dataclass
class Stored:
    """An object: its bytes, its ETag, when it was put."""

    data: bytes
    etag: str
    modified: datetime


@dataclass
class Bucket:
    """What the server holds and what it was asked.

    Attributes
    ----------
    objects : "bucket/key" -> object
    log : (method, "bucket/key", status) of each request
    hook : called with method and key before a request is done; what it returns is answered instead: a status, or "cut"
        to close the connection, or "late" to do the request and then close it. None lets the request pass
    conditions : whether conditional puts are kept; some stores overlook them
    """

    objects: dict[str, Stored] = field(default_factory=dict)
    log: list[tuple[str, str, int]] = field(default_factory=list)
    hook: Callable[[str, str], int | str | None] | None = None
    conditions: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def put(self, key: str, data: bytes) -> Stored:
        stored = Stored(data, f'"{hashlib.md5(data).hexdigest()}"', datetime.now(UTC))
        self.objects[key] = stored
        return stored


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        pass

    def _go(self) -> None:
        parts = urlsplit(self.path)
        key, query = unquote(parts.path).lstrip("/"), parse_qs(parts.query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.bucket.hook(self.command, key) if self.bucket.hook else None
        if what == "cut":
            self._cut()
            return
        if isinstance(what, int):
            self._answer(what, b"<Error><Code>Injected</Code></Error>", key=key)
            return
        with self.bucket.lock:
            status, data, headers = self._do(key, query, body)
        if what == "late":
            self._cut()
            return
        self._answer(status, data, headers, key=key)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _go  # noqa: N815 - names of http.server

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None, *, key: str = "") -> None:
        self.bucket.log.append((self.command, key, status))
        headers = headers or {}
        with suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers and status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    def _do(self, key: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.command in ("GET", "HEAD"):
            return self._list(key, query) if "list-type" in query else self._get(key)
        if self.command == "PUT":
            return self._put(key, query, body)
        if self.command == "POST":
            return self._post(key, query, body)
        self.bucket.objects.pop(key, None)
        self.bucket.uploads.pop(query.get("uploadId", [""])[0], None)
        return 204, b"", {}

    def _get(self, key: str) -> tuple[int, bytes, dict[str, str]]:
        stored = self.bucket.objects.get(key)
        if stored is None:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
        headers = {"ETag": stored.etag, "Last-Modified": format_datetime(stored.modified, usegmt=True)}
        if self.headers.get("If-Match", stored.etag) != stored.etag:
            return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        if self.headers.get("If-None-Match") == stored.etag:
            return 304, b"", headers
        data, size = stored.data, len(stored.data)
        if self.command == "HEAD":
            return 200, b"", {**headers, "Content-Length": str(size)}
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            return 200, data, headers
        if match[1]:
            start, stop = int(match[1]), min(int(match[2] or size - 1) + 1, size)
        else:
            start, stop = max(0, size - int(match[2])), size
        if start >= size:
            return 416, b"<Error><Code>InvalidRange</Code></Error>", {}
        return 206, data[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}

    def _put(self, key: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if "partNumber" in query:
            parts = self.bucket.uploads.get(query["uploadId"][0])
            if parts is None:
                return 404, b"<Error><Code>NoSuchUpload</Code></Error>", {}
            parts[int(query["partNumber"][0])] = body
            return 200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        there = self.bucket.objects.get(key)
        if self.bucket.conditions:
            if self.headers.get("If-None-Match") == "*" and there is not None:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
            wanted = self.headers.get("If-Match")
            if wanted is not None and there is None:
                return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
            if wanted is not None and there is not None and there.etag != wanted:
                return 412, b"<Error><Code>PreconditionFailed</Code></Error>", {}
        if "x-amz-copy-source" in self.headers:
            source = self.bucket.objects.get(unquote(self.headers["x-amz-copy-source"]).lstrip("/"))
            if source is None:
                return 404, b"<Error><Code>NoSuchKey</Code></Error>", {}
            stored = self.bucket.put(key, source.data)
            return 200, f"<CopyObjectResult><ETag>{escape(stored.etag)}</ETag></CopyObjectResult>".encode(), {}
        return 200, b"", {"ETag": self.bucket.put(key, body).etag}

    def _post(self, key: str, query: dict[str, list[str]], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if "delete" in query:
            names = [name.replace("&amp;", "&") for name in re.findall(r"<Key>(.*?)</Key>", body.decode())]
            for name in names:
                self.bucket.objects.pop(f"{key}/{name}", None)
            done = "".join(f"<Deleted><Key>{escape(name)}</Key></Deleted>" for name in names)
            return 200, f"<DeleteResult>{done}</DeleteResult>".encode(), {}
        if "uploads" in query:
            number = f"upload-{len(self.bucket.uploads)}-{len(self.bucket.log)}"
            self.bucket.uploads[number] = {}
            name, _, inside = key.partition("/")
            return (
                200,
                (
                    f"<InitiateMultipartUploadResult><Bucket>{name}</Bucket><Key>{escape(inside)}</Key>"
                    f"<UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
                ).encode(),
                {},
            )
        parts = self.bucket.uploads.pop(query["uploadId"][0], None)
        if parts is None:
            return 404, b"<Error><Code>NoSuchUpload</Code></Error>", {}
        stored = self.bucket.put(key, b"".join(parts[number] for number in sorted(parts)))
        return (
            200,
            (
                f"<CompleteMultipartUploadResult><ETag>{escape(stored.etag)}</ETag></CompleteMultipartUploadResult>"
            ).encode(),
            {},
        )

    def _list(self, key: str, query: dict[str, list[str]]) -> tuple[int, bytes, dict[str, str]]:
        bucket = key.strip("/") + "/"
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        names = sorted(name.removeprefix(bucket) for name in self.bucket.objects if name.startswith(bucket + prefix))
        names = [name for name in names if name > after]
        page = names[: int(query.get("max-keys", ["100"])[0])]
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(stored.data)}</Size><ETag>{escape(stored.etag)}</ETag>"
            f"<LastModified>{stored.modified.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified></Contents>"
            for name in page
            for stored in [self.bucket.objects[bucket + name]]
        )
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(names) > len(page) else ""
        return (
            200,
            (
                f"<ListBucketResult><IsTruncated>{'true' if more else 'false'}</IsTruncated>{more}"
                f"{rows}</ListBucketResult>"
            ).encode(),
            {"Content-Type": "application/xml"},
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed leaves its connection."""


@contextmanager
def serving_s3() -> Iterator[tuple[Bucket, dict[str, str]]]:
    """Serve an empty S3 while the context lasts: the bucket's state, and the environment that leads clients to it."""
    bucket = Bucket()
    handler = type("BoundHandler", (Handler,), {"bucket": bucket})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield bucket, {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
