"""A disk cache of parts of remote objects, each of one version, up to a limit; damaged entries are fetched again."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 2 * 1024**3
"""Default limit in bytes; TESSERA_CACHE_GB sets another."""
_CRC_BYTES = 4
_SPARE = 0.9
"""Share of the limit to keep when old entries are removed."""


class DiskCache:
    """A folder of small files; above the limit the least recently used are removed.

    Several processes may share it. The name of an entry includes the version of its object, so it never becomes stale.
    A CRC-32C follows its bytes.

    Parameters
    ----------
    folder : created when it is first needed
    limit : bytes
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        if limit < 1:
            raise InputError(f"cache limit of {limit} bytes; expected at least 1")
        self.folder = folder
        self.limit = limit
        self._lock = threading.Lock()
        self._unseen = limit
        self._looking = False

    def __repr__(self) -> str:
        return f"DiskCache({self.folder}, {self.limit / 1e9:g} GB)"

    def _path(self, name: tuple[object, ...]) -> Path:
        digest = hashlib.sha256("\0".join(map(str, name)).encode()).hexdigest()
        return self.folder / digest[:2] / digest[2:40]

    def get(self, *name: object) -> bytes | None:
        """The bytes of an entry, None if it is missing or damaged."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        body = data[:-_CRC_BYTES]
        if len(data) < _CRC_BYTES or google_crc32c.value(body).to_bytes(_CRC_BYTES, "little") != data[-_CRC_BYTES:]:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        return body

    def put(self, data: bytes, *name: object) -> None:
        """Keep the bytes of an entry; failure to write is ignored."""
        path = self._path(name)
        part = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data + google_crc32c.value(data).to_bytes(_CRC_BYTES, "little"))
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink()
            return
        with self._lock:
            self._unseen += len(data) + _CRC_BYTES
            look = self._unseen > self.limit * (1 - _SPARE) and not self._looking
            self._looking |= look
        if look:
            # one thread checks after each tenth of the limit, since other processes write here too
            self._shrink()
            with self._lock:
                self._unseen, self._looking = 0, False

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """Time of last use, bytes and path of each file."""
        for path in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            with suppress(OSError):
                about = path.stat()
                yield about.st_mtime, about.st_size, str(path)

    def _shrink(self) -> None:
        entries = sorted(self._entries())
        held = sum(size for _, size, _ in entries)
        for _, size, path in entries:
            if held <= self.limit * _SPARE:
                break
            with suppress(OSError):
                Path(path).unlink()
            held -= size


def default_cache() -> DiskCache | None:
    """The user's cache: $TESSERA_CACHE (a folder, or "off"), else tessera/store in $XDG_CACHE_HOME or ~/.cache.

    Raises
    ------
    InputError
        TESSERA_CACHE_GB is not a number above 0.
    """
    given = os.environ.get("TESSERA_CACHE", "")
    if given.lower() in ("off", "none", "0"):
        return None
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        # a user without a home, as in containers
        return None
    folder = Path(given) if given else base / "tessera" / "store"
    size = os.environ.get("TESSERA_CACHE_GB", "")
    try:
        limit = int(float(size) * 1e9) if size else LIMIT
    except (ValueError, OverflowError):
        limit = 0
    if limit < 1:
        raise InputError(f"TESSERA_CACHE_GB is {size!r}; expected gigabytes above 0")
    return disk_cache(folder, limit)


@cache
def disk_cache(folder: Path, limit: int = LIMIT) -> DiskCache:
    """The one cache of a folder in this process, so that all its users are counted together."""
    return DiskCache(folder, limit)
