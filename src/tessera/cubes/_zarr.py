"""The form of a cube on disk: its arrays, their chunks and codecs, and its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import zarr

    from .cube import PixelCube

FORMAT = "tessera-cube"
VERSION = 1
ROWS, COLS = 128, 1024
"""Chunk sides: a date of 128 rows is one chunk, so writing by date and reading by row block both touch whole chunks."""
STACKS = {"s2": "T Y X S2_BAND", "s2_mask": "T Y X", "s1_asc": "TA Y X S1_BAND", "s1_desc": "TD Y X S1_BAND"}
"""Observations and the names of their axes."""
DTYPES = {
    "s2": "uint16",
    "s2_mask": "uint8",
    "s1_asc": "int16",
    "s1_desc": "int16",
    "s2_doy": "int16",
    "s1_asc_doy": "int16",
    "s1_desc_doy": "int16",
}
DAYS = {"s2_doy": "T", "s1_asc_doy": "TA", "s1_desc_doy": "TD"}


def start_cube(path: Path, cube: PixelCube) -> dict[str, zarr.Array[Any]]:
    """Write all of a cube but its observations to a folder: attributes, days, and stacks without chunks.

    Returns
    -------
    name -> array of each stack, to be filled; the same cube gives the same bytes
    """
    import zarr

    root = zarr.create_group(path, zarr_format=3, attributes=_attributes(cube))
    for name, dims in DAYS.items():
        days = np.asarray(getattr(cube, name))
        create_array(root, name, days.shape, days.dtype, dims)[:] = days
    arrays = {}
    for name, dims in STACKS.items():
        stack = getattr(cube, name)
        arrays[name] = create_array(root, name, tuple(stack.shape), stack.dtype, dims)
    return arrays


def create_array(root: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any, dims: str) -> zarr.Array[Any]:
    """A new array, of which every chunk is stored, also one of zeros, with its CRC-32C."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    return root.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks_of(shape),
        dimension_names=dims.split(),
        compressors=(BloscCodec(cname="zstd", clevel=2, shuffle="shuffle"), Crc32cCodec()),
        config={"write_empty_chunks": True},
    )


def chunks_of(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sides of the chunks: a block of rows of one date; a list of days is one chunk."""
    if len(shape) == 1:
        return (max(1, shape[0]),)
    return (1, max(1, min(ROWS, shape[1])), max(1, min(COLS, shape[2])), *shape[3:])


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
