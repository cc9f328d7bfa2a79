"""Zarr v3 metadata of groups, arrays and coordinates: one writer for stores, overviews and pyramids."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, zone_crs

from .packing import pack

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layout import ArraySpec, ShardFormat

MOST_YEARS = 64
"""Years a chunk of the time axis holds: it never needs a second one."""
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def node_bytes(node: dict[str, Any]) -> bytes:
    """The bytes of a metadata document."""
    return json.dumps(node, separators=(",", ":")).encode()


def group_node(attributes: dict[str, Any], inside: dict[str, Any] | None = None) -> dict[str, Any]:
    """A group's metadata.

    Parameters
    ----------
    inside : path -> metadata of every node below it, for the consolidated metadata; None for none
    """
    node = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    if inside is not None:
        node["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": inside}
    return node


def array_node(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str, fill: object, dims: tuple[str, ...], codecs: list[Any]
) -> dict[str, Any]:
    """An array's metadata."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(dims),
        "storage_transformers": [],
    }


def sharded_node(spec: ArraySpec, form: ShardFormat, years: int, shape: tuple[int, int]) -> dict[str, Any]:
    """Metadata of a sharded array of so many years and (rows, columns)."""
    itemsize = np.dtype(spec.dtype).itemsize
    codecs: list[dict[str, Any]] = [_LITTLE if itemsize > 1 else {"name": "bytes"}]
    if form.pixel_major and spec.axis is not None and not spec.bands_last:
        codecs.insert(0, {"name": "transpose", "configuration": {"order": [0, 2, 3, 1]}})
    if form.compressor is not None:
        codecs.append(_blosc_codec(itemsize, 3, "bitshuffle" if itemsize == 1 else "shuffle"))
    if form.chunk_crc:
        codecs.append({"name": "crc32c"})
    sharding = {
        "chunk_shape": list(spec.sizes(1, form.chunk, form.chunk)),
        "codecs": codecs,
        "index_codecs": [_LITTLE, {"name": "crc32c"}],
        "index_location": "end" if form.index_at_end else "start",
    }
    fill = "Infinity" if np.isinf(spec.fill) else int(spec.fill)
    chunks = spec.sizes(1, form.shard, form.shard)
    codec = {"name": "sharding_indexed", "configuration": sharding}
    return array_node(spec.sizes(years, *shape), chunks, spec.dtype, fill, spec.dims, [codec])


def coordinate_node(name: str, length: int, dtype: str, chunk: int | None = None) -> dict[str, Any]:
    """Metadata of a coordinate that `pack_coordinate` writes as one chunk, of `length` values where `chunk` is None."""
    size, fill = np.dtype(dtype).itemsize, 0 if dtype.startswith("int") else 0.0
    codecs = [_LITTLE, _blosc_codec(size, 9, "bitshuffle")]
    return array_node((length,), (chunk or length,), dtype, fill, (name,), codecs)


def pack_coordinate(values: NDArray[Any]) -> bytes:
    """The bytes of a coordinate's only chunk."""
    return pack(values, 9, "bit")


def pack_years(years: tuple[int, ...]) -> bytes:
    """The bytes of the time axis' only chunk, padded with zeros."""
    chunk = np.zeros(MOST_YEARS, dtype=np.int32)
    chunk[: len(years)] = years
    return pack_coordinate(chunk)


def _blosc_codec(typesize: int, level: int, shuffle: str) -> dict[str, Any]:
    configuration = {"typesize": typesize, "cname": "zstd", "clevel": level, "shuffle": shuffle, "blocksize": 0}
    return {"name": "blosc", "configuration": configuration}


def lattice_shape(side: int = PIXEL_SIZE) -> tuple[int, int]:
    """Rows and columns of a zone's lattice in pixels of `side` metres, a multiple of 10."""
    return (NORTH - SOUTH) * PIXEL_SIZE // side, (EAST - WEST) * PIXEL_SIZE // side


def lattice_axes(side: int = PIXEL_SIZE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel centres of a zone, metres: y from north to south and x, for pixels of `side` metres."""
    y, x = (np.arange(count, dtype=np.float64) + 0.5 for count in lattice_shape(side))
    return NORTH * PIXEL_SIZE - y * side, WEST * PIXEL_SIZE + x * side


def lattice_attributes(zone: int, side: int = PIXEL_SIZE) -> dict[str, Any]:
    """Georeferencing attributes of a group whose pixels have `side` metres: CRS, transform, bounds, shape."""
    west, south, east, north = (float(edge * PIXEL_SIZE) for edge in (WEST, SOUTH, EAST, NORTH))
    return {
        "proj:code": zone_crs(zone),
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": [float(side), 0.0, west, 0.0, -float(side), north],
        "spatial:transform_type": "affine",
        "spatial:bbox": [west, south, east, north],
        "spatial:shape": list(lattice_shape(side)),
        "spatial:registration": "pixel",
    }
