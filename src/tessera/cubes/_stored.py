"""An array of a cube on disk: its document is believed only where it says what `write_cube` writes.

Chunks are read here and not by zarr-python: a chunk's length, its checksum and the length that it would unpack to are
compared with the shape before anything is unpacked, and a damaged chunk leaves no other reads behind.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, open_regular, raise_if_machine, read_json, shown

from ._zarr import DAYS, DTYPES, STACKS, chunks_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DOCUMENT_LIMIT = 1024**2
_SIDE_LIMIT = 2**21
"""Pixels; the lattice has 1,822,720 from north to south."""
_DATES_LIMIT = 100_000
_HEAD, _CRC = 16, 4
"""Bytes of blosc's header, which is also the most that it adds to what does not shrink, and of the checksum."""
_PACKERS = ("zstd", "lz4", "lz4hc", "zlib", "blosclz")


@dataclass(frozen=True)
class StoredArray:
    """An array of a cube on disk, read when it is indexed; what cannot be read is one line."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    what: str

    def __getitem__(self, key: Any, /) -> Any:
        taken, shifted = _taken(key, self.shape)
        try:
            box = np.empty([len(axis) for axis in taken], dtype=self.dtype)
            self._fill(box, taken)
            return box[shifted]
        except InputError as error:
            raise InputError(f"{self.what} cannot be read: {error}") from None
        except (OSError, MemoryError) as error:
            raise_if_machine(error, self.what)
            raise InputError(f"{self.what} cannot be read: {error}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self.what} lies on disk; reading it makes a copy")
        return np.asarray(self[:], dtype=dtype)

    def check_chunks(self) -> None:
        """Raise InputError where a chunk's file is missing; none is read."""
        counts = [-(-size // side) for size, side in zip(self.shape, chunks_of(self.shape), strict=True)]
        lost = f"{self.what} of shape {self.shape} lacks chunk"
        total = math.prod(counts)
        stored = sum(len(files) for _, _, files in os.walk(self.folder)) - 1
        if stored < total:
            raise InputError(f"{lost}s: {stored} of {total} are there")
        for place in itertools.product(*map(range, counts)):
            if not (self.folder / _key(place)).is_file():
                raise InputError(f"{lost} {_key(place)}")

    def _fill(self, box: NDArray[Any], taken: list[Any]) -> None:
        """Read the chunks that the wanted places of each axis lie in."""
        sides = chunks_of(self.shape)
        # of each axis: the chunk, the places in it, and where they go
        spans = []
        for axis, side in zip(taken, sides, strict=True):
            places = np.asarray(axis, dtype=np.int64)
            edges = np.flatnonzero(np.diff(places // side)) + 1
            starts = [0, *edges.tolist()] if len(places) else []
            stops = [*edges.tolist(), len(places)]
            spans.append(
                [(int(places[a]) // side, places[a:b] % side, slice(a, b)) for a, b in zip(starts, stops, strict=False)]
            )
        for parts in itertools.product(*spans):
            chunk = self._chunk(tuple(number for number, _, _ in parts))
            for number, (_, at, _) in enumerate(parts):
                first, last = int(at[0]), int(at[-1])
                inner = slice(first, last + 1) if last - first + 1 == len(at) else at
                chunk = chunk[(slice(None),) * number + (inner,)]
            box[tuple(to for _, _, to in parts)] = chunk

    def _chunk(self, place: tuple[int, ...]) -> NDArray[Any]:
        import google_crc32c
        from numcodecs import blosc

        key, sides = _key(place), chunks_of(self.shape)
        size = math.prod(sides) * self.dtype.itemsize
        most = size + _HEAD + _CRC
        try:
            with open_regular(self.folder / key, what="chunk") as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            raise InputError(f"chunk {key} is gone") from None
        if not _HEAD + _CRC <= len(data) <= most:
            raise InputError(f"chunk {key} has {len(data)} bytes or more; expected {_HEAD + _CRC} to {most}")
        body = data[:-_CRC]
        if int(google_crc32c.value(body)).to_bytes(_CRC, "little") != data[-_CRC:]:
            raise InputError(f"chunk {key} is damaged: its checksum does not fit")
        version, _, _, width, unpacked, block, packed = struct.unpack("<4B3I", body[:_HEAD])
        if (unpacked, packed) != (size, len(body)) or block > size or version not in (1, 2) or not width:
            raise InputError(f"chunk {key} claims {unpacked} bytes packed in {packed}; expected {size} in {len(body)}")
        out = np.empty(sides, dtype=self.dtype.newbyteorder("<"))
        try:
            blosc.decompress(body, out)
        except (RuntimeError, ValueError) as error:
            raise InputError(f"chunk {key} cannot be unpacked: {error}") from None
        return out


def _key(place: tuple[int, ...]) -> str:
    return "/".join(("c", *map(str, place)))


def _taken(key: Any, shape: tuple[int, ...]) -> tuple[list[Any], tuple[Any, ...]]:
    """Of each axis the places that are read, ascending, and the index that gives the result from them."""
    given = list(key) if isinstance(key, tuple) else [key]
    if sum(part is Ellipsis for part in given) > 1 or any(part is None for part in given):
        raise IndexError(f"index {key!r}; expected whole numbers, slices and arrays")
    if any(part is Ellipsis for part in given):
        at = next(index for index, part in enumerate(given) if part is Ellipsis)
        given[at : at + 1] = [slice(None)] * (len(shape) - len(given) + 1)
    if len(given) > len(shape):
        raise IndexError(f"{len(given)} indices of an array of {len(shape)} axes")
    given += [slice(None)] * (len(shape) - len(given))
    taken: list[Any] = []
    shifted: list[Any] = []
    for part, size in zip(given, shape, strict=True):
        if isinstance(part, slice):
            places = range(*part.indices(size))
            if places.step < 0:
                raise IndexError(f"step {places.step}; expected 1 or more")
            taken.append(range(places.start, places[-1] + 1) if len(places) else range(0))
            shifted.append(slice(None, None, places.step))
            continue
        chosen = np.asarray(part)
        if chosen.dtype == np.bool_:
            if chosen.shape != (size,):
                raise IndexError(f"mask of shape {chosen.shape} of an axis of {size}")
            chosen = np.flatnonzero(chosen)
        if chosen.size and chosen.dtype.kind not in "iu":
            raise IndexError(f"index {part!r}; expected whole numbers, slices and arrays")
        chosen = chosen.astype(np.int64)
        if chosen.size and (chosen.min() < -size or chosen.max() >= size):
            raise IndexError(f"index {part!r} of an axis of {size}")
        chosen = np.where(chosen < 0, chosen + size, chosen)
        # one after the other in a chunk, so that what lies between two is read and passed over, but no other chunk
        wanted = np.unique(chosen)
        taken.append(wanted)
        shifted.append(np.searchsorted(wanted, chosen) if chosen.ndim else int(np.searchsorted(wanted, chosen)))
    return taken, tuple(shifted)


def read_array(folder: Path, name: str, what: str) -> StoredArray:
    """An array of a cube's folder, in the form that `write_cube` gives it; any other is refused."""
    about = read_json(folder / name / "zarr.json", what=f"{what}: document", limit=_DOCUMENT_LIMIT)
    dtype, axes = np.dtype(DTYPES[name]), (STACKS | DAYS)[name].split()
    if (about.get("zarr_format"), about.get("node_type")) != (3, "array"):
        raise InputError(f"{what} is {shown(about.get('node_type'))}; expected an array of Zarr v3")
    if about.get("data_type") != dtype.name:
        raise InputError(f"{what} holds {shown(about.get('data_type'))}; expected {dtype.name}")
    shape = _shape(about.get("shape"), len(axes), what)
    wanted = {"name": "regular", "configuration": {"chunk_shape": list(chunks_of(shape))}}
    if about.get("chunk_grid") != wanted:
        raise InputError(
            f"{what} of shape {shape} has chunks {shown(about.get('chunk_grid'))}; expected those of write_cube"
        )
    encoding = about.get("chunk_key_encoding")
    plain = {"name": "default"}, {"name": "default", "configuration": {"separator": "/"}}
    if encoding not in plain or about.get("storage_transformers"):
        raise InputError(f"{what} names its chunks by {shown(encoding)}; expected those of write_cube")
    _check_codecs(about.get("codecs"), what)
    return StoredArray(folder / name, shape, dtype, what)


def _shape(value: Any, rank: int, what: str) -> tuple[int, ...]:
    limits = (_DATES_LIMIT, _SIDE_LIMIT, _SIDE_LIMIT, 64)[:rank]
    sides = value if isinstance(value, list) else []
    fits = len(sides) == rank and all(
        isinstance(side, int) and not isinstance(side, bool) and 0 <= side <= most
        for side, most in zip(sides, limits, strict=True)
    )
    if not fits:
        raise InputError(f"{what} has the shape {shown(value)}; expected {rank} sides of at most {limits}")
    return tuple(sides)


def _check_codecs(value: Any, what: str) -> None:
    """Refuse what `write_cube` does not write: another codec may unpack a few bytes to gigabytes."""
    codecs = value if isinstance(value, list) else []
    names = [codec.get("name") if isinstance(codec, dict) else None for codec in codecs]
    if "crc32c" not in names:
        raise InputError(f"{what} has no checksums; expected the codec crc32c")
    if names != ["bytes", "blosc", "crc32c"]:
        raise InputError(f"{what} has the codecs {shown(names)}; expected bytes, blosc, crc32c")
    order, packer = ((codec.get("configuration") or {}) for codec in codecs[:2])
    fits = isinstance(order, dict) and order.get("endian", "little") == "little"
    if not fits or not isinstance(packer, dict) or packer.get("cname") not in _PACKERS:
        raise InputError(f"{what} has the codecs {shown(codecs)}; expected little-endian values packed by blosc")
