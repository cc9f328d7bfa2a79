"""Names of unfinished files and folders, and what becomes of those that a killed process left."""

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
"""Letters of a target's name in the name of its part; what a file system takes is 255 bytes for all of it."""
_MANY = 2000
"""Entries of a folder above which it is looked through once a process, not at every write."""
_FIRST_NAMESPACE = "4026531836"
"""Number of Linux's first namespace of process ids, the same on every host."""

_numbers = itertools.count()
_held: set[str] = set()
_large: set[str] = set()
_lock = threading.Lock()


@contextmanager
def part_beside(target: Path) -> Iterator[Path]:
    """A hidden path beside `target` for a file or a folder, of this process alone; what is there at the end goes.

    What processes of this host that are dead left in the folder goes first, whatever it was to become. The name holds
    the host and the process, as several hosts may share a disk.
    """
    _sweep(target.parent)
    name = target.name
    if len(os.fsencode(name)) > _LONGEST:
        name = f"{name[:20]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    part = target.with_name(f".{name}.{_here()}.{os.getpid()}-{next(_numbers)}.part")
    with _lock:
        _held.add(part.name)
    try:
        # one of this process's number before it
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
    # another process may clean or move the folder meanwhile
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
    """This host, and the container in it: process numbers say nothing about another one's."""
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
    # ended, and nobody has asked how: so it stays for ever under a first process that reaps none, as in a container
    return about.rpartition(b")")[2].split()[:1] not in ([b"Z"], [b"X"])
