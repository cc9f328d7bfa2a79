"""A cube on disk: a Zarr v3 group written by date and read by row block.

Every chunk is written, also one of zeros, and ends with its CRC-32C, so that a lost or damaged chunk is an error and
never observations.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, check_format, checked, exists, new_folder, raise_if_machine, read_json, silent
from tessera.geo import Grid, parse_crs

from ._stored import read_array
from ._zarr import DAYS, FORMAT, STACKS, VERSION, start_cube
from .cube import PixelCube
from .dpixel import is_dpixel, open_dpixel

if TYPE_CHECKING:
    from tessera.base import Progress

_EPSG = re.compile(r"EPSG:[0-9]+")
_DOCUMENT_LIMIT = 16 * 1024**2
_EMPTY_PIXELS = 16_384**2
"""Pixels of a cube without dates; a Sentinel-2 granule has 10,980 a side."""


@checked
def write_cube(cube: PixelCube, path: str | Path, *, progress: Progress = silent) -> PixelCube:
    """Write a cube to a new folder and open it. The folder appears whole or not at all.

    Parameters
    ----------
    cube : in memory or on disk
    path : a folder that does not exist yet
    progress : called as `progress(done, total)` after each date

    Raises
    ------
    InputError
        The path exists.

    Examples
    --------
    >>> import tessera
    >>> part = tessera.open_cube("cube.zarr").crop(0, 20, 0, 30)
    >>> tessera.write_cube(part, "part.zarr").shape
    (20, 30)
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


@checked
def open_cube(path: str | Path) -> PixelCube:
    """Open a cube store or a d-pixel folder. Observations are read when they are used.

    Parameters
    ----------
    path : the folder

    Raises
    ------
    InputError
        There is nothing, another format or version, an array or a chunk is missing, or bands are in another order. A
        damaged chunk is found when it is read.

    Examples
    --------
    >>> import tessera
    >>> cube = tessera.open_cube("cube.zarr")
    >>> cube.window(0, 10).shape
    (10, 59)
    """
    folder = Path(path)
    if not exists(folder):
        raise InputError(f"cube not found: {folder}")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; expected the folder of a cube, such as tessera cube build writes")
    if is_dpixel(folder):
        return open_dpixel(folder)
    if (folder / "tessera.json").exists():
        raise InputError(f"{folder} is a store of embeddings; expected a cube")
    return _open_zarr(folder)


def _open_zarr(folder: Path) -> PixelCube:
    try:
        root = read_json(folder / "zarr.json", what="document of a cube", limit=_DOCUMENT_LIMIT)
    except InputError as error:
        if (folder / "zarr.json").exists():
            raise
        raise InputError(f"{folder} is neither a cube store nor a d-pixel folder") from error
    except NotADirectoryError:
        raise InputError(f"{folder} is neither a cube store nor a d-pixel folder") from None
    except OSError as error:
        raise_if_machine(error, folder)
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from None
    about = root.get("attributes")
    if root.get("zarr_format") != 3 or root.get("node_type") != "group" or not isinstance(about, dict):
        raise InputError(f"{folder} is neither a cube store nor a d-pixel folder")
    check_format(about, FORMAT, VERSION, str(folder))
    arrays: dict[str, Any] = {}
    for name in (*STACKS, *DAYS):
        what = f"cube {folder}, array {name}"
        try:
            arrays[name] = read_array(folder, name, what)
            arrays[name].check_chunks()
        except OSError as error:
            raise_if_machine(error, what)
            raise InputError(f"{what} cannot be read: {error.strerror or error}") from None
    for name in DAYS:
        length, dates = arrays[name].shape[0], arrays[name.removesuffix("_doy")].shape[0]
        if length != dates:
            raise InputError(f"cube {folder}: {name} of {length} days for {dates} dates")
    sides = arrays["s2"].shape[1:3]
    # each date's chunks vouch for the sides; without any date nothing does
    if math.prod(sides) > _EMPTY_PIXELS and not any(arrays[name].shape[0] for name in DAYS):
        raise InputError(
            f"cube {folder} has {sides[0]} x {sides[1]} pixels and no date; expected at most {_EMPTY_PIXELS:,} pixels"
        )
    days = {name: np.asarray(arrays[name]) for name in DAYS}
    transform = about.get("transform")
    bands: dict[str, Any] = {key: about.get(key) or () for key in ("s2_bands", "s1_bands")}
    provenance = about.get("provenance")
    try:
        height, width = arrays["s2"].shape[1:3]
        crs = str(about.get("crs"))
        if transform is not None and not _EPSG.fullmatch(crs):
            parse_crs(crs, "it")
        grid = None if transform is None else Grid(crs, _transform(transform), height, width)
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
