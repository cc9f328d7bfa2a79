"""Names of unfinished files and folders, and removal of those that a killed process left."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 120
"""Characters of a target's name in the name of its part; file systems allow 255 bytes in all."""
_MANY = 2000
"""Entries of a folder above which it is scanned once a process instead of at every write."""
_FIRST_NAMESPACE = "4026531836"
"""Number of Linux's initial PID namespace, the same on every host."""

_numbers = itertools.count()
_held: set[str] = set()
_large: set[str] = set()
_lock = threading.Lock()


@contextmanager
def part_beside(target: Path) -> Iterator[Path]:
    """A hidden path beside `target` for a file or a folder of this process; removed at the end if still there.

    First, all parts that dead processes of this host left in the folder are removed. The name includes host and
    process, since several hosts may share a disk.
    """
    _sweep(target.parent)
    name = target.name
    if len(os.fsencode(name)) > _LONGEST:
        name = f"{name[:20]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    part = target.with_name(f".{name}.{_here()}.{os.getpid()}-{next(_numbers)}.part")
    with _lock:
        _held.add(part.name)
    try:
        # left by an earlier process with the same number
        _remove(part)
        yield part
    finally:
        _remove(part)
        with _lock:
            _held.discard(part.name)


def _sweep(folder: Path) -> None:
    key = os.path.realpath(folder)
    if key in _large:
        return
    ending = re.compile(rf"\..+\.{re.escape(_here())}\.(\d+)(-\d+)?\.part")
    count = 0
    # another process may scan or move the folder at the same time
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            count += 1
            found = ending.fullmatch(entry.name)
            if found is not None and _is_left(entry.name, int(found[1])):
                _remove(Path(entry.path))
    if count > _MANY:
        _large.add(key)


def _is_left(name: str, pid: int) -> bool:
    if pid == os.getpid():
        with _lock:
            return name not in _held
    return not _is_alive(pid)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@functools.cache
def _here() -> str:
    """Name of this host, and of the container in it, since process numbers are only valid there."""
    name = re.sub(r"[^\w-]", "-", platform.node())[:60]
    try:
        inner = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
    except OSError:
        inner = ""
    return name if inner in ("", _FIRST_NAMESPACE) else f"{name}-{inner}"


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    # a zombie, which stays for ever if the first process of a container does not reap it
    return about.rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])
