"""Files of torch.save: read as weights only, every byte checked against its checksum."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Self

import torch

from tessera.base import InputError, raise_if_machine

from ._pickle_scan import UnsafePickleError, scan_pickle

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 20
_SHARED = 2
"""Most references to a byte of storage, on average; tied weights have two."""
_HALVES = (torch.bfloat16, torch.float16)


class _Ignored:
    """Placeholder for a value that is not a weight, such as a numpy score or a path in settings of a training run."""

    def __new__(cls, *_args: Any, **_named: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass

    def __repr__(self) -> str:
        return "a value of another library"


_HARMLESS: list[Any] = [
    argparse.Namespace,
    *(
        (_Ignored, name)
        for name in (
            "numpy.core.multiarray.scalar",
            "numpy._core.multiarray.scalar",
            "numpy.dtype",
            "pathlib.PosixPath",
            "pathlib.WindowsPath",
            "pathlib._local.PosixPath",
            "pathlib._local.WindowsPath",
        )
    ),
]
"""Globals that a published file may name besides tensors; all but the first become `_Ignored` and are never run."""


def load_torch_file(file: Path, *, times: int = 1) -> Any:
    """The content of a file of torch.save; its tensors are read from disk when they are used.

    Parameters
    ----------
    times : factor of the limit of values besides the tensors, for files with more than weights need

    Raises
    ------
    InputError
        The file is truncated or damaged, or holds more than weights.
    """
    _verify(file)
    known = frozenset(f"{one.__module__}.{one.__qualname__}" if isinstance(one, type) else one[1] for one in _HARMLESS)
    try:
        # with the reader of torch.load, since two zip readers may find different bytes
        reader: Any = torch._C.PyTorchFileReader(str(file))
        scan_pickle(bytes(reader.get_record("data.pkl")), most_values=file.stat().st_size, known=known, times=times)
    except UnsafePickleError as error:
        raise InputError(f"{file} is not loaded: {error}; expected tensors alone") from None
    except Exception as error:
        raise_if_machine(error, file)
        raise InputError(f"{file} is truncated or no torch checkpoint: {_reason(error)}") from None
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            if file.suffix == ".safetensors":  # torch.load would trust this name instead of the content
                with file.open("rb") as handle:
                    return torch.load(handle, map_location="cpu", weights_only=True)
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f" ({found[1]})" if found else ""
        raise InputError(f"{file} holds more than weights{what} and is not loaded; expected tensors alone") from None
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(f"{file} is truncated or no torch checkpoint: {_reason(error)}") from None


def digest_of(file: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def plain_tensors(state: Any, file: Path, *, halves: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, after each is checked to be a plain tensor.

    Parameters
    ----------
    halves : convert bfloat16 and float16 to float32

    Raises
    ------
    InputError
        It is not a dict, a name is not text, or a value is not a plain tensor or claims more values than it has.
    """
    if not isinstance(state, dict):
        raise InputError(f"{file} holds a {type(state).__name__} of weights; expected a dict of tensors")
    tensors: dict[str, torch.Tensor] = {}
    claimed = 0
    storages: dict[int, int] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise InputError(f"{file}: {str(key)[:80]} is no tensor; expected a tensor for each name")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise InputError(f"{file}: {key} is no plain tensor; expected float32 in memory")
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise InputError(f"{file}: {key} claims {value.numel()} values and holds fewer; expected all of them")
        # a few bytes may be referenced thousands of times, and each reference is copied or hashed
        claimed += value.numel() * value.element_size()
        storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        if claimed > _SHARED * sum(storages.values()) + _CHUNK:
            raise InputError(
                f"{file}: {len(storages)} storages are shared by {len(tensors) + 1} or more names; expected one each"
            )
        value = value.detach().float() if halves and value.dtype in _HALVES else value.detach()
        # torch.save aligns its data, other zip writers may not
        tensors[key] = value.clone() if value.data_ptr() % value.element_size() else value
    return tensors


def _verify(file: Path) -> None:
    """Check the CRC-32 of every entry, which torch.load does not do."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > file.stat().st_size:
                raise InputError(f"{file} has entries that overlap; expected a file as torch.save writes it")
            if len({entry.filename for entry in entries}) != len(entries):
                raise InputError(f"{file} names an entry twice; expected a file as torch.save writes it")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise InputError(f"{file} is compressed; expected a file as torch.save writes it")
            if not any(entry.CRC for entry in entries):
                return  # written without checksums
            for entry in entries:
                with archive.open(entry) as content:
                    while content.read(_CHUNK):
                        pass
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        OSError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise_if_machine(error, file)
        raise InputError(f"{file} is truncated, damaged or no torch checkpoint: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]
