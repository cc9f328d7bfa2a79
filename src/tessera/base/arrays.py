"""Untrusted .npy and .npz files: the header must match the bytes that are there."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .machine import raise_if_machine
from .quoting import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BROKEN = (ValueError, SyntaxError, EOFError, TypeError, KeyError, OSError, zipfile.BadZipFile, zlib.error)
_MEMBERS = 4096


def parse_npy(data: bytes | memoryview, what: str) -> NDArray[Any]:
    """The array in the bytes of a .npy file, read-only.

    Raises
    ------
    InputError
        It is not a .npy file, has objects or values without size, or has another length than its shape and type need.
    """
    import numpy as np

    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(file)
        start = file.tell()
        if kind.hasobject or not kind.itemsize or any(side < 0 for side in shape):
            raise InputError(f"{what} holds {shown(kind)} of shape {shown(shape)}; expected plain numbers")
        claimed = math.prod(int(side) for side in shape) * kind.itemsize
        if claimed != len(data) - start:
            raise InputError(
                f"{what} claims {claimed:,} bytes of {kind} with shape {shown(shape)}; it has {len(data) - start:,}"
            )
        flat = np.frombuffer(data, dtype=kind, offset=start)
        return flat.reshape(shape, order="F" if fortran else "C")
    except InputError:
        raise
    except (*_BROKEN, RecursionError, MemoryError, OverflowError) as error:
        raise InputError(f"{what} is no whole .npy file: {shown(error)[1:-1]}") from None


def parse_npz(data: bytes, what: str) -> dict[str, NDArray[Any]]:
    """The arrays in the bytes of an uncompressed .npz file, as `numpy.savez` writes it; read-only.

    Raises
    ------
    InputError
        It is not a .npz file, has compressed or overlapping members, a wrong checksum, or an invalid array.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MEMBERS or any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise InputError(f"{what} is compressed or has {len(members):,} members; expected plain arrays")
            if sum(member.file_size for member in members) > len(data):
                raise InputError(f"{what} claims more bytes than the {len(data):,} that it has")
            return {
                member.filename.removesuffix(".npy"): parse_npy(
                    archive.read(member), f"{what}, {shown(member.filename)}"
                )
                for member in members
            }
    except InputError:
        raise
    except (*_BROKEN, MemoryError, RuntimeError, NotImplementedError, OverflowError) as error:
        raise_if_machine(error, what)
        raise InputError(f"{what} is no whole .npz file: {shown(error)[1:-1]}") from None
