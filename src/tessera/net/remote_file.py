"""One object as a file that is read in few requests: what will be read is fetched before it is asked for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from .objects import open_objects
from .ranges import join_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

    from .objects import Objects

_END = 256 * 1024
"""Bytes at the end that are fetched first: the footer of most Parquet files."""
_LEAST = 64 * 1024
"""Bytes of a request for what was not fetched before."""
_GAP = 256 * 1024
"""Unused bytes between two ranges that cost less than a request."""


class RemoteFile(io.RawIOBase):
    """A file at a URL, read by ranges of one version.

    Attributes
    ----------
    name : its URL, for messages
    size : bytes
    fetched : bytes that were asked of the server
    """

    def __init__(self, objects: Objects, key: str) -> None:
        super().__init__()
        self._objects, self._key = objects, key
        self.name = f"{objects.root}/{key}"
        # 1 byte: a file shorter than the request would be refused
        last = objects.edge(key, 1, at_end=True)
        if last is None:
            raise AssertionError("an unconditional request was answered with nothing")
        self.size, self._etag, self._at = last.size, last.etag, 0
        self.fetched = 1
        self._pieces: list[tuple[int, bytes]] = []
        self._fetch(max(0, self.size - _END), self.size)

    def prefetch(self, starts: Sequence[int], stops: Sequence[int]) -> None:
        """Fetch ranges that will be read, near ones together; what was fetched before is dropped, but for the end."""
        del self._pieces[1:]
        for run in join_ranges(starts, stops, gap=_GAP, disjoint=True):
            self._fetch(run.start, run.stop)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; nothing is fetched."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence])
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read as much as fits, or up to the end."""
        target = memoryview(buffer).cast("B")
        stop = min(self._at + len(target), self.size)
        done = 0
        while self._at < stop:
            start, data = self._piece(self._at, stop)
            offset = self._at - start
            part = data[offset : offset + stop - self._at]
            target[done : done + len(part)] = part
            done += len(part)
            self._at += len(part)
        return done

    def _piece(self, at: int, stop: int) -> tuple[int, bytes]:
        for start, data in self._pieces:
            if start <= at < start + len(data):
                return start, data
        return self._fetch(at, min(self.size, max(stop, at + _LEAST)))

    def _fetch(self, start: int, stop: int) -> tuple[int, bytes]:
        piece = start, self._objects.range(self._key, start, stop, etag=self._etag) if stop > start else b""
        self.fetched += stop - start
        self._pieces.append(piece)
        return piece


def open_remote(url: str) -> RemoteFile:
    """Open one object at a URL (http, https, s3, gs, az) for reading.

    Raises
    ------
    MissingError, CredentialError, LoadError, PermanentError
    """
    root, _, key = url.rpartition("/")
    return RemoteFile(open_objects(root), key)
