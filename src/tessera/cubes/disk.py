"""A cube on disk: a Zarr v3 group written by date and read by row block.

Every chunk is written, also one of zeros, and ends with its CRC-32C, so that a lost or damaged chunk is an error and
never observations.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, new_folder, silent
from tessera.geo import Grid

from ._zarr import DAYS, FORMAT, STACKS, VERSION, chunks_of, start_cube
from .cube import PixelCube
from .dpixel import is_dpixel, open_dpixel

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray

    from tessera.base import Progress


@dataclass(frozen=True)
class _Stored:
    """An array of a cube on disk; what cannot be read is one line."""

    array: zarr.Array[Any]
    what: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    def __getitem__(self, key: Any, /) -> Any:
        try:
            return self.array[key]
        except IndexError:
            raise
        except Exception as error:  # codecs fail in whichever way the damaged bytes say
            raise InputError(f"{self.what} cannot be read: {str(error) or type(error).__name__}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{self.what} lies on disk; reading it makes a copy")
        return np.asarray(self[:], dtype=dtype)


def write_cube(cube: PixelCube, path: str | Path, *, progress: Progress = silent) -> PixelCube:
    """Write a cube to a new folder, which appears whole or not at all, and open it.

    Parameters
    ----------
    cube : in memory or on disk
    path : folder that does not exist yet
    progress : called with dates done and their total

    Raises
    ------
    InputError
        The path exists.
    """
    target = Path(path)
    with new_folder(target, "the cube") as part:
        total = sum(int(getattr(cube, name).shape[0]) for name in STACKS)
        done = 0
        for name, array in start_cube(part, cube).items():
            stack = getattr(cube, name)
            for index in range(stack.shape[0]):
                array[index] = np.asarray(stack[index])
                done += 1
                progress(done, total)
    return open_cube(target)


def open_cube(path: str | Path) -> PixelCube:
    """Open a cube store or a d-pixel folder; observations are read when they are asked for.

    Raises
    ------
    InputError
        Nothing there, another format or version, a missing or short array, a missing chunk, bands in another order. A
        damaged chunk is found when it is read.
    """
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"cube not found: {folder}")
    if is_dpixel(folder):
        return open_dpixel(folder)
    if (folder / "tessera.json").exists():
        raise InputError(f"{folder} is a store of embeddings; expected a cube")
    return _open_zarr(folder)


def _open_zarr(folder: Path) -> PixelCube:
    import zarr

    try:
        root = zarr.open_group(folder, mode="r", zarr_format=3)
    except Exception:  # whichever way a damaged zarr.json says
        raise InputError(f"{folder} is neither a cube store nor a d-pixel folder") from None
    about = dict(root.attrs)
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise InputError(
            f"{folder} has format {about.get('format')!r} {about.get('version')!r}; expected {FORMAT!r} {VERSION}"
        )
    arrays: dict[str, Any] = {}
    for name in (*STACKS, *DAYS):
        try:
            arrays[name] = _array(root, name, folder)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"cube {folder} lacks a readable array {name} ({type(error).__name__})") from None
    for name in DAYS:
        length, dates = arrays[name].shape[0], arrays[name.removesuffix("_doy")].shape[0]
        if length != dates:
            raise InputError(f"cube {folder}: {name} of {length} days for {dates} dates")
    days = {name: np.asarray(arrays[name]) for name in DAYS}
    transform = about.get("transform")
    bands: dict[str, Any] = {key: about.get(key) or () for key in ("s2_bands", "s1_bands")}
    provenance = about.get("provenance")
    try:
        height, width = arrays["s2"].shape[1:3]
        grid = None if transform is None else Grid(str(about["crs"]), _transform(transform), height, width)
        return PixelCube(
            **{name: arrays[name] for name in STACKS},
            **days,
            grid=grid,
            provenance=dict(provenance) if isinstance(provenance, dict) else {},
            s2_bands=tuple(bands["s2_bands"]),
            s1_bands=tuple(bands["s1_bands"]),
        )
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"cube {folder}: {error}") from None


def _transform(value: Any) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = (float(v) for v in value)
    return a, b, c, d, e, f


def _array(root: zarr.Group, name: str, folder: Path) -> _Stored:
    """An array of the form that `write_cube` gives it, with every chunk there; no chunk is read."""
    import zarr
    from zarr.codecs import Crc32cCodec

    what = f"cube {folder}, array {name}"
    array = root[name]
    if not isinstance(array, zarr.Array):
        raise InputError(f"{what} is a group; expected an array")
    rank = len((STACKS | DAYS)[name].split())
    if array.ndim != rank or array.chunks != chunks_of(array.shape) or array.shards is not None:
        raise InputError(f"{what} of shape {array.shape} has chunks {array.chunks}; expected those of write_cube")
    if not any(isinstance(codec, Crc32cCodec) for codec in array.compressors):
        raise InputError(f"{what} has no checksums; expected the codec crc32c")
    _check_chunks(array, folder / name, what)
    return _Stored(array, what)


def _check_chunks(array: zarr.Array[Any], folder: Path, what: str) -> None:
    counts = [-(-size // side) for size, side in zip(array.shape, array.chunks, strict=True)]
    stored = sum(len(files) for _, _, files in os.walk(folder)) - 1
    lost = f"{what} of shape {array.shape} lacks chunk"
    if stored < array.nchunks:
        raise InputError(f"{lost}s: {stored} of {array.nchunks} are there")
    for place in itertools.product(*map(range, counts)):
        key = array.metadata.encode_chunk_key(place)
        if not (folder / key).is_file():
            raise InputError(f"{lost} {key}")
