"""Failures of the machine are told apart from faults of files, whichever library says so."""

from __future__ import annotations

import errno

import pytest

from tessera.base import InputError, MachineError, machine_failure, raise_if_machine


@pytest.mark.parametrize("name", ["EMFILE", "ENFILE", "ENOMEM", "EIO", "ENOSPC", "EDQUOT", "EROFS"])
def test_system_errors_of_the_machine(name: str) -> None:
    error = OSError(getattr(errno, name), "told", "/some/file")
    assert machine_failure(error)
    with pytest.raises(MachineError, match=r"scene\.tif.*run again"):
        raise_if_machine(error, "scene.tif")


@pytest.mark.parametrize("name", ["ENOENT", "EACCES", "EISDIR", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "EINVAL", "EAGAIN"])
def test_errors_of_a_file_are_not_the_machines(name: str) -> None:
    error = OSError(getattr(errno, name), "told", "/some/file")
    assert machine_failure(error) is None
    raise_if_machine(error, "scene.tif")


def test_memory_and_causes_and_words() -> None:
    assert machine_failure(MemoryError())
    wrapped = ValueError("codec failed")
    wrapped.__cause__ = OSError(errno.EMFILE, "told")
    assert machine_failure(wrapped)
    assert machine_failure(
        OSError("Generic LocalFileSystem error: Unable to open file: Too many open files (os error 24)")
    )
    assert machine_failure(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried; not enough memory"))
    assert machine_failure(RuntimeError("can't start new thread"))
    assert machine_failure(ValueError("bytes do not fit")) is None
    told = InputError("the file is no table")
    told.__context__, told.__suppress_context__ = OSError(errno.EMFILE, "told"), True
    assert machine_failure(told) is None
    assert machine_failure(InputError("too many open files of the user's")) is None
    with pytest.raises(MachineError, match=r"^said before$"):
        raise_if_machine(MachineError("said before"), "anything")
