"""A cube on disk: a Zarr v3 group written by date and read by row block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, new_folder, silent
from tessera.geo import Grid

from .cube import PixelCube
from .dpixel import is_dpixel, open_dpixel

if TYPE_CHECKING:
    import zarr

    from tessera.base import Progress

FORMAT = "tessera-cube"
VERSION = 1
_ROWS, _COLS = 128, 1024
"""Chunk sides: a date of 128 rows is one chunk, so writing by date and reading by row block both touch whole chunks."""
_STACKS = {"s2": "T Y X S2_BAND", "s2_mask": "T Y X", "s1_asc": "TA Y X S1_BAND", "s1_desc": "TD Y X S1_BAND"}
_DAYS = {"s2_doy": "T", "s1_asc_doy": "TA", "s1_desc_doy": "TD"}


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
    import zarr
    from zarr.codecs import BloscCodec

    target = Path(path)
    with new_folder(target, "the cube") as part:
        root = zarr.create_group(part, zarr_format=3, attributes=_attributes(cube))
        total = sum(int(getattr(cube, name).shape[0]) for name in _STACKS)
        done = 0
        for name, dims in _DAYS.items():
            root.create_array(name, data=np.asarray(getattr(cube, name)), dimension_names=dims.split())
        for name, dims in _STACKS.items():
            stack = getattr(cube, name)
            height, width = stack.shape[1:3]
            chunks = (1, min(_ROWS, height), min(_COLS, width), *stack.shape[3:])
            array = root.create_array(
                name,
                shape=tuple(stack.shape),
                dtype=stack.dtype,
                chunks=chunks,
                dimension_names=dims.split(),
                compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
            )
            for index in range(stack.shape[0]):
                array[index] = np.asarray(stack[index])
                done += 1
                progress(done, total)
    return open_cube(target)


def _attributes(cube: PixelCube) -> dict[str, Any]:
    grid = cube.grid
    return {
        "format": FORMAT,
        "version": VERSION,
        "s2_bands": list(cube.s2_bands),
        "s1_bands": list(cube.s1_bands),
        "crs": None if grid is None else grid.crs,
        "transform": None if grid is None else list(grid.transform),
        "provenance": cube.provenance,
    }


def open_cube(path: str | Path) -> PixelCube:
    """Open a cube store or a d-pixel folder; observations are read when they are asked for.

    Raises
    ------
    InputError
        Nothing there, another format or version, a missing or short array, bands in another order.
    """
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"cube not found: {folder}")
    if is_dpixel(folder):
        return open_dpixel(folder)
    return _open_zarr(folder)


def _open_zarr(folder: Path) -> PixelCube:
    import zarr
    from zarr.errors import BaseZarrError

    try:
        root = zarr.open_group(folder, mode="r", zarr_format=3)
    except (BaseZarrError, OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{folder} is neither a cube store nor a d-pixel folder") from None
    about = dict(root.attrs)
    if about.get("format") != FORMAT or about.get("version") != VERSION:
        raise InputError(
            f"{folder} has format {about.get('format')!r} {about.get('version')!r}; expected {FORMAT!r} {VERSION}"
        )
    arrays: dict[str, Any] = {}
    for name in (*_STACKS, *_DAYS):
        try:
            arrays[name] = _array(root, name)
        except (BaseZarrError, OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"cube {folder} lacks a readable array {name} ({type(error).__name__})") from None
    days = {name: np.asarray(arrays[name][:]).astype(np.int16) for name in _DAYS}
    transform = about.get("transform")
    bands: dict[str, Any] = {key: about.get(key) or () for key in ("s2_bands", "s1_bands")}
    provenance = about.get("provenance")
    try:
        height, width = arrays["s2"].shape[1:3]
        grid = None if transform is None else Grid(str(about["crs"]), _transform(transform), height, width)
        return PixelCube(
            **{name: arrays[name] for name in _STACKS},
            **days,
            grid=grid,
            provenance=dict(provenance) if isinstance(provenance, dict) else {},
            s2_bands=tuple(bands["s2_bands"]),
            s1_bands=tuple(bands["s1_bands"]),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"cube {folder}: {error}") from None


def _transform(value: Any) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = (float(v) for v in value)
    return a, b, c, d, e, f


def _array(root: zarr.Group, name: str) -> zarr.Array[Any]:
    import zarr

    array = root[name]
    if not isinstance(array, zarr.Array):
        raise InputError(f"{name} is a group; expected an array")
    return array
