"""Arrays of a head in a safetensors file beside its JSON: large weights of networks, found by name and digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, check_output, open_regular, read_regular, require, sha256_hex, shown, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

LIMIT = 128 * 1024 * 1024
"""Bytes of a file: ten times a U-Net of the usual width."""
_HEADER_LIMIT = 64 * 1024
_MARK = {"format": "tessera-head"}
_TYPES = ("float32", "float64")


def tensors_path(head: Path) -> Path:
    """The file beside the JSON of a head."""
    return head.with_suffix(".safetensors")


def check_tensors(head: Path, *, inputs: Iterable[object] = (), overwrite: bool) -> None:
    """Raise InputError where the file beside the head may not be written, or is not an earlier one of a head."""
    check_output(tensors_path(head), "weights of a head", inputs=inputs, ours=_is_ours, overwrite=overwrite)


def write_tensors(head: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write the arrays beside a head; returns what its JSON says of the file."""
    numpy_format: Any = require("safetensors.numpy", extra="models", purpose="saving a head with a network")
    data: bytes = numpy_format.save(dict(arrays), metadata=_MARK)
    if len(data) > LIMIT:
        raise InputError(f"weights of {len(data) / 1e6:,.0f} MB; expected at most {LIMIT / 1e6:,.0f} MB")
    path = tensors_path(head)
    try:
        write_atomic(path, data)
    except OSError as error:
        raise InputError(f"cannot write the weights {path}: {error.strerror or error}") from None
    return {"file": path.name, "sha256": sha256_hex(data), "bytes": len(data)}


def read_tensors(folder: Path, about: Any) -> dict[str, NDArray[Any]]:
    """The arrays that `write_tensors` wrote, if they are still the same bytes.

    Raises
    ------
    InputError
        The JSON does not name a file in its own folder, or the file is missing, too large, another one or damaged.
    """
    if not isinstance(about, dict) or set(about) != {"file", "sha256", "bytes"}:
        raise InputError(f"arrays {shown(about)}; expected the file, sha256 and bytes of its weights")
    name, digest, size = about["file"], about["sha256"], about["bytes"]
    if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name or "\\" in name:
        raise InputError(f"weights in {shown(name)}; expected the name of a file beside the head")
    path = folder / name
    numpy_format: Any = require("safetensors.numpy", extra="models", purpose="reading a head with a network")
    from safetensors import SafetensorError

    try:
        data = read_regular(path, what="weights of the head", limit=LIMIT)
    except FileNotFoundError:
        raise InputError(f"its weights are missing: {path}; keep the two files together") from None
    except OSError as error:
        raise InputError(f"cannot read its weights {path}: {error.strerror or error}") from None
    found = sha256_hex(data)
    if found != digest:
        raise InputError(f"{path} has SHA-256 {found[:12]}; expected {shown(digest, 14)}: the weights of another head")
    if type(size) is not int or size != len(data):
        raise InputError(
            f"{path} has {len(data):,} bytes; the head's JSON says {shown(size, 20)}: expected its own weights"
        )
    if int.from_bytes(data[:8], "little") > min(_HEADER_LIMIT, len(data)):
        raise InputError(f"{path} is no safetensors file: its header claims more bytes than a head has")
    try:
        arrays: dict[str, NDArray[Any]] = numpy_format.load(data)
    except KeyError as error:
        raise InputError(f"{path} holds values of type {error}; expected {' or '.join(_TYPES)}") from None
    except (SafetensorError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged or no safetensors file: {error}") from None
    strange = next((key for key, array in arrays.items() if array.dtype.name not in _TYPES), None)
    if strange is not None:
        raise InputError(f"{path}: {shown(strange)} is {arrays[strange].dtype}; expected {' or '.join(_TYPES)}")
    return arrays


def _is_ours(path: Path) -> bool:
    with open_regular(path, what="weights of a head") as file:
        size = int.from_bytes(file.read(8), "little")
        return size <= _HEADER_LIMIT and b'"format":"tessera-head"' in file.read(size)
