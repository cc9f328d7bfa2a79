"""Marks of shards in an object store: 48 bytes outside all chunks that name the commit.

A mark lies at the end of a shard, or before an index that lies at the end; Zarr's readers take a shard's chunks from
where its index points, and overlook it. With marks no two versions of an object are equal, so an ETag, though it be
a digest of the content, never comes back.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import google_crc32c

from tessera.shards import CRC_BYTES

if TYPE_CHECKING:
    from tessera.shards import ShardFormat

MARK_BYTES = 48
_COMMITTED = b"tessera-commit:\n"
_PENDING = b"tessera-pending\n"
Parts = list[bytes | bytearray | memoryview]


def commit_mark(digest: str) -> bytes:
    """The mark of a commit, from 64 hexadecimal digits."""
    return _COMMITTED + bytes.fromhex(digest)


def pending_mark(attempt: str) -> bytes:
    """The mark of scales that give way to an attempt to commit, from its 32 hexadecimal digits."""
    return _PENDING + attempt.encode()


def pending_attempt(mark: bytes) -> str | None:
    """The attempt that a mark names, None where it is another mark, or none."""
    attempt = mark[len(_PENDING) :].decode("ascii", "replace")
    return attempt if mark.startswith(_PENDING) and re.fullmatch(r"[0-9a-f]{32}", attempt) else None


def mark_place(size: int, form: ShardFormat) -> tuple[int, int]:
    """Where the mark lies in a shard of so many bytes: start and stop."""
    stop = size - form.index_bytes if form.index_at_end else size
    return stop - MARK_BYTES, stop


def empty_shard(form: ShardFormat) -> bytes:
    """A shard without any chunk: readers see what was never written."""
    index = b"\xff" * 16 * form.side**2
    return index + (int(google_crc32c.value(index)).to_bytes(CRC_BYTES, "little") if form.index_crc else b"")


def empty_bytes(form: ShardFormat) -> int:
    """Length of a marked shard without any chunk; every other is longer."""
    return form.index_bytes + MARK_BYTES


def marked(data: bytes | bytearray, form: ShardFormat, mark: bytes) -> Parts:
    """A shard with its mark, in parts, so that nothing is copied."""
    if not form.index_at_end:
        return [data, mark]
    view, index = memoryview(data), len(data) - form.index_bytes
    return [view[:index], mark, view[index:]]


def digest(parts: Parts) -> str:
    """SHA-256 of bytes in parts, 64 hexadecimal digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()
