"""Failures of this machine instead of a file: they end the work, and are never treated as missing data."""

from __future__ import annotations

import errno
import os
import re

from .errors import TesseraError

_NO_MEMORY = "no memory is left"
_SYSTEM = {
    number: (said, hint)
    for name, said, hint in (
        ("EMFILE", "this process has as many files open as it may (ulimit -n)", "raise the limit with ulimit -n"),
        ("ENFILE", "the system has as many files open as it can", "close other programs"),
        ("ENOMEM", "the system has no memory left", "close other programs, or ask for less at once"),
        ("EIO", "the disk could not be read or written (EIO)", "check the disk and its connection"),
        ("ENOSPC", "the disk is full", "make room and run the same command again"),
        ("EDQUOT", "the disk quota is used up", "make room and run the same command again"),
        ("EROFS", "the file system is read-only", "choose another place"),
        ("ENOBUFS", "the system has no buffers left", ""),
        ("ENOLCK", "the system has no locks left", ""),
        ("ESTALE", "the network drive has lost the file (ESTALE)", ""),
        ("EACCES", "", "this user has no permission; choose another place, or change its permissions"),
        ("EPERM", "", "the system does not allow it; choose another place"),
        ("ENAMETOOLONG", "", "choose a shorter name"),
        ("ELOOP", "", "remove the symbolic link that leads back to itself"),
    )
    if (number := getattr(errno, name, None)) is not None
}
"""Number of a system error -> its description where the machine failed, and what to do about it; each may be ""."""
_NUMBERS = {number: said for number, (said, _) in _SYSTEM.items() if said}
_MEMORY = re.compile(r"can(no|')t allocate memory|out of memory|not enough memory|bad_alloc", re.IGNORECASE)
_TEXTS = (
    *(
        (re.compile(rf"\(os error {number}\)|\[errno {number}\]", re.IGNORECASE), said)
        for number, said in _NUMBERS.items()
    ),
    (re.compile(r"too many open files", re.IGNORECASE), _NUMBERS[errno.EMFILE]),
    (re.compile(r"no space left on device", re.IGNORECASE), _NUMBERS[errno.ENOSPC]),
    (_MEMORY, _NO_MEMORY),
    (re.compile(r"input/output error", re.IGNORECASE), _NUMBERS[errno.EIO]),
    (re.compile(r"can't start new thread", re.IGNORECASE), "no further thread can be started (memory, or ulimit -u)"),
)
"""Texts of libraries that lose the number of a system error, such as GDAL and those in Rust."""
_CAUSES = 8


class MachineError(TesseraError):
    """This machine failed, not the file: too many open files, no memory, a full or failing disk. Fix it, run again."""


def memory_bytes() -> int:
    """Memory of this machine; 16 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 * 1024**3


def system_hint(error: OSError) -> str:
    """What to do about a system error; "" where nothing is known."""
    return _SYSTEM.get(error.errno or 0, ("", ""))[1]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was lacking, also if a library only says so in words."""
    return isinstance(error, MemoryError) or _MEMORY.search(str(error)) is not None


def machine_failure(error: BaseException) -> str | None:
    """What failed, if an error or one of its causes is a failure of the machine; else None.

    Out of memory counts, also if a library only says so in words. A missing, refused or damaged file does not.
    """
    seen = 0
    found: BaseException | None = error
    while found is not None and seen < _CAUSES:
        if isinstance(found, MachineError):
            return str(found)
        if isinstance(found, MemoryError):
            return _NO_MEMORY
        if isinstance(found, OSError) and found.errno in _NUMBERS:
            return _NUMBERS[found.errno]
        if isinstance(found, (OSError, RuntimeError)) or _is_foreign(found):
            text = str(found)[:2000]
            for sign, said in _TEXTS:
                if sign.search(text):
                    return said
        hidden = None if found.__suppress_context__ else found.__context__
        found, seen = found.__cause__ or hidden, seen + 1
    return None


def _is_foreign(error: BaseException) -> bool:
    """Whether a library raised an error class of its own, so that only its text says what failed."""
    return not isinstance(error, TesseraError) and type(error).__module__.partition(".")[0] in _LIBRARIES


_LIBRARIES = {"obstore", "pyarrow", "rasterio", "zarr", "icechunk", "safetensors_rust", "safetensors", "pyogrio"}


def raise_if_machine(error: BaseException, where: object) -> None:
    """Raise MachineError if an error is a failure of the machine; else return, and the caller reports it.

    Parameters
    ----------
    where : what was being read or written, in the message
    """
    said = machine_failure(error)
    if said is not None:
        if isinstance(error, MachineError):
            raise error
        raise MachineError(f"{where}: {said}; the data are not at fault, fix this and run again") from None
