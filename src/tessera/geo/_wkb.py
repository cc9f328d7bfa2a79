"""Untrusted well-known binary: its nesting depth is checked before a library parses it recursively."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_DEPTH = 32
_SAFE = 9 * MAX_DEPTH
"""Bytes too few for deeper nesting: each nested collection takes nine."""
_CONTAINERS = frozenset((4, 5, 6, 7, 9, 10, 11, 12, 15, 16))
_RINGS = frozenset((3, 17))
_LINES = frozenset((2, 8, 13))


def from_wkb(blobs: Sequence[bytes | None] | NDArray[Any], source: str) -> NDArray[np.object_]:
    """Geometries (N,) from well-known binary, None where there is none."""
    import shapely

    data = np.empty(len(blobs), dtype=object)
    data[:] = blobs
    for index, blob in enumerate(data):
        if blob is not None and len(blob) > _SAFE:
            _check_depth(blob, f"{source}, feature {index}")
    try:
        return np.asarray(shapely.from_wkb(data), dtype=object).reshape(-1)
    except (shapely.errors.ShapelyError, TypeError, ValueError) as error:
        raise InputError(f"{source}: geometry cannot be read ({error!r}); expected WKB") from None


def _check_depth(blob: bytes, source: str) -> None:
    """Check the nesting depth of one geometry, without recursion."""
    if blob[1:5] in (b"\3\0\0\0", b"\2\0\0\0", b"\1\0\0\0", b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\3"):
        return
    left = [1]
    at = 0
    try:
        while left:
            if not left[-1]:
                left.pop()
                continue
            left[-1] -= 1
            # for any other number the library would keep the previous byte order
            if blob[at] > 1:
                raise InputError(f"{source} has the byte order {blob[at]}; expected 0 or 1, as in WKB")
            order = "<" if blob[at] else ">"
            (code,) = struct.unpack_from(f"{order}I", blob, at + 1)
            at += 5
            flat, has_srid, size = _form(code)
            at += 4 * has_srid
            if flat in _CONTAINERS:
                (count,) = struct.unpack_from(f"{order}I", blob, at)
                at += 4
                left.append(count)
                if len(left) > MAX_DEPTH:
                    raise InputError(f"{source} is nested deeper than {MAX_DEPTH} collections; expected plain shapes")
            elif flat in _RINGS:
                (rings,) = struct.unpack_from(f"{order}I", blob, at)
                at += 4
                for _ in range(rings):
                    (points,) = struct.unpack_from(f"{order}I", blob, at)
                    at += 4 + points * size
            elif flat in _LINES:
                (points,) = struct.unpack_from(f"{order}I", blob, at)
                at += 4 + points * size
            elif flat == 1:
                at += size
            else:
                return  # unknown geometry type: the library reports it
    except (struct.error, IndexError):
        return  # truncated: the library reports it


def _form(code: int) -> tuple[int, bool, int]:
    """Decode an ISO or EWKB type: its number without dimensions, whether an SRID follows, and the bytes of a point."""
    iso = (code & 0xFFFF) // 1000
    flat = (code & 0xFFFF) % 1000
    z = bool(code & 0x80000000) or iso in (1, 3)
    m = bool(code & 0x40000000) or iso in (2, 3)
    return flat, bool(code & 0x20000000), 8 * (2 + z + m)


def depth_checked(value: Any, source: str) -> Any:
    """Return a GeoJSON geometry, or raise InputError if its collections are nested deeper than `MAX_DEPTH`."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for item in level
            if isinstance(item, dict) and isinstance(item.get("geometries"), list)
            for part in item["geometries"]
        ]
        if not level:
            return value
    raise InputError(f"{source} is nested deeper than {MAX_DEPTH} collections; expected plain shapes")
