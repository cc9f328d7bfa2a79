"""Layout, documents, codec and reader of sharded arrays."""

from .codec import chunk_bitmap, encode_shard, unpack, unpack_within
from .documents import DOCUMENT, DOCUMENT_LIMIT, Header, parse_year, store_documents, year_documents
from .extent import Extent, ShardPosition
from .layout import (
    CHUNK,
    COUNTS,
    CRC_BYTES,
    MOST_CHUNK_BYTES,
    MOST_DIMS,
    PUBLISHED_SHARD,
    SCALES,
    ArraySpec,
    Compressor,
    Layout,
    ShardFormat,
    zone_name,
)
from .nodes import (
    MOST_YEARS,
    array_node,
    coordinate_node,
    group_node,
    lattice_attributes,
    lattice_axes,
    lattice_shape,
    node_bytes,
    pack_coordinate,
    pack_years,
    sharded_node,
)
from .packing import pack, unpack_blosc, zstd_length
from .reader import ShardedSource, drop_bad_scales, lattice_source, read_window
from .shard import Reading, open_shard
from .source import Source

__all__ = [
    "CHUNK",
    "COUNTS",
    "CRC_BYTES",
    "DOCUMENT",
    "DOCUMENT_LIMIT",
    "MOST_CHUNK_BYTES",
    "MOST_DIMS",
    "MOST_YEARS",
    "PUBLISHED_SHARD",
    "SCALES",
    "ArraySpec",
    "Compressor",
    "Extent",
    "Header",
    "Layout",
    "Reading",
    "ShardFormat",
    "ShardPosition",
    "ShardedSource",
    "Source",
    "array_node",
    "chunk_bitmap",
    "coordinate_node",
    "drop_bad_scales",
    "encode_shard",
    "group_node",
    "lattice_attributes",
    "lattice_axes",
    "lattice_shape",
    "lattice_source",
    "node_bytes",
    "open_shard",
    "pack",
    "pack_coordinate",
    "pack_years",
    "parse_year",
    "read_window",
    "sharded_node",
    "store_documents",
    "unpack",
    "unpack_blosc",
    "unpack_within",
    "year_documents",
    "zone_name",
    "zstd_length",
]
