"""Arrays in JSON: dtype, shape and base64 of the bytes, checked against each other before anything is made of them."""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DTYPES: dict[str, np.dtype[Any]] = {
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
}
"""Little-endian, in C order."""
AXES = 4
"""Of an array, at most."""
_SIDE = 2**31 - 1
_ARRAYS = 256
"""Of one object, at most."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Plain values for `unpack`."""
    return {name: pack_one(array) for name, array in arrays.items()}


def pack_one(array: NDArray[Any]) -> dict[str, Any]:
    """Plain values of one array."""
    name = array.dtype.name
    data = np.ascontiguousarray(array, dtype=DTYPES[name]).tobytes()
    return {"dtype": name, "shape": list(array.shape), "data": base64.b64encode(data).decode()}


def unpack(value: Any, what: str) -> dict[str, NDArray[Any]]:
    """The arrays that `pack` made plain.

    Raises
    ------
    InputError
        Not an object of arrays, or an array whose shape and bytes do not belong together.
    """
    if not isinstance(value, dict) or len(value) > _ARRAYS:
        count = f" of {len(value)}" if isinstance(value, dict) else ""
        raise InputError(f"{what} are a {type(value).__name__}{count}; expected an object of at most {_ARRAYS} arrays")
    return {name: _unpacked(name, packed) for name, packed in value.items()}


def _unpacked(name: str, value: Any) -> NDArray[Any]:
    what = f"array {shown(name, 40)}"
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data"}:
        raise InputError(f"{what} is no object of dtype, shape and data")
    dtype, shape, text = value["dtype"], value["shape"], value["data"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise InputError(f"{what} of {shown(dtype)}; expected one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not 1 <= len(shape) <= AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(f"{what} of shape {shown(shape)}; expected one to {AXES} whole numbers")
    # before anything is decoded; beside a side of 0 any other one has no bytes
    size = math.prod(shape) * DTYPES[dtype].itemsize
    letters = len(text) if isinstance(text, str) else -1
    if max(shape) > _SIDE or letters != 4 * -(-size // 3):
        told = f"{letters:,} letters of base64" if letters >= 0 else f"data that are a {type(text).__name__}"
        raise InputError(f"{what} of {dtype} {shown(shape)} with {told}")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise InputError(f"{what} holds data that are no base64") from None
    if len(data) != size:
        raise InputError(f"{what} of {dtype} {shown(shape)} with {len(data):,} bytes")
    out: NDArray[Any] = np.frombuffer(data, dtype=DTYPES[dtype]).reshape(shape).astype(dtype)
    return out
