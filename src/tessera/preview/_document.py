"""The documents of what is derived: overviews.json for our readers, Zarr v3 metadata for everyone's."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import Folder, InputError, parse_json
from tessera.embeddings import ModelIdentity
from tessera.geo import EAST, NORTH, PIXEL_SIZE, SOUTH, WEST, parse_zone, zone_crs
from tessera.net import MissingError
from tessera.shards import pack, parse_year

from ._levels import FOLDER, FULL, LEVELS, Level, layers_of, rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.store import Store

    from ._levels import Layer

FORMAT = "tessera-overviews"
VERSION = 1
DOCUMENT = f"{FOLDER}/overviews.json"
_LIMIT = 64 * 1024
_GEOMETRY = {
    "lattice": [WEST, SOUTH, EAST, NORTH],
    "levels": {level.name: {"shard": level.shard, "chunk": 32} for level in LEVELS},
}


@dataclass(frozen=True)
class Overviews:
    """What overviews.json says.

    Attributes
    ----------
    model : of the store that they were made from
    years : whose overviews were made, in any order
    zones : UTM zones that have arrays
    full : whether the colours of 10 m pixels are kept up as well
    """

    model: ModelIdentity
    years: tuple[int, ...] = ()
    zones: tuple[int, ...] = ()
    full: bool = False

    def encode(self) -> bytes:
        """The bytes of the document."""
        value = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model.to_json(),
            "geometry": _GEOMETRY,
            "years": list(self.years),
            "zones": list(self.zones),
            "full": self.full,
        }
        return json.dumps(value, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes, where: str) -> Overviews:
        """Read the document.

        Raises
        ------
        InputError
            No JSON, another format, version or geometry, or a value that does not fit.
        """
        try:
            value = parse_json(data, where)
            given = value.get("format"), value.get("version")
            if given != (FORMAT, VERSION):
                raise InputError(f"{where} has format {given[0]!r} {given[1]!r}; expected {FORMAT!r} {VERSION}")
            if value["geometry"] != _GEOMETRY:
                raise InputError(f"{where} has the geometry {value['geometry']}; expected {_GEOMETRY}")
            years = tuple(parse_year(year) for year in value["years"])
            zones = tuple(parse_zone(zone) for zone in value["zones"])
            return cls(ModelIdentity.from_json(value["model"]), years, zones, value["full"] is True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} is no overviews.json: {error!r}") from None


def read_overviews(store: Store) -> Overviews | None:
    """What a store has; None where no overview was made.

    Raises
    ------
    InputError
        The overviews are of another model or geometry.
    """
    try:
        data = store.objects.read(DOCUMENT, limit=_LIMIT)
    except MissingError:
        return None
    where = f"{store.objects.root}/{DOCUMENT}"
    found = Overviews.decode(data, where)
    if (found.model.sha256, found.model.dims) != (store.model.sha256, store.dims):
        raise InputError(
            f"{where} is of {found.model.dims} dims of {found.model.name} ({found.model.sha256[:12]}), the store of "
            f"{store.dims} of {store.model.name} ({store.model.sha256[:12]}); remove {FOLDER} and make it anew"
        )
    return found


def declare(store: Store, folder: Path, held: Overviews, years: tuple[int, ...], zones: tuple[int, ...]) -> Overviews:
    """Write the documents that say that these years and zones have overviews; those that are right stay.

    The arrays come first and overviews.json, which readers open, comes last.
    """
    new = replace(
        held,
        years=tuple(sorted({*held.years, *years})),
        zones=tuple(sorted({*held.zones, *zones})),
    )
    for key, data in (*_documents(store, new), (DOCUMENT, new.encode())):
        Folder(folder).settle(key, data)
    return new


def _documents(store: Store, about: Overviews) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of every Zarr document and coordinate chunk; the consolidated group comes last."""
    nodes: dict[str, Any] = {}
    years = np.zeros(_MOST_YEARS, dtype=np.int32)
    years[: len(store.years)] = store.years
    for zone in about.zones:
        group = f"utm{zone:02d}"
        nodes[group] = node_of_group({"proj:code": zone_crs(zone)})
        for level in (*LEVELS, *([FULL] if about.full else [])):
            layers = () if level is FULL else layers_of(level, store.dims)
            if level is not LEVELS[1]:
                layers = (*layers, rgb_of(level))
            inside = f"{group}/{level.name}"
            nodes[inside] = node_of_group(_attributes(store, zone, level))
            for layer in layers:
                nodes[f"{inside}/{layer.name}"] = _sharded(layer, len(store.years))
            nodes[f"{inside}/time"] = _plain("time", len(store.years), _MOST_YEARS, "int32")
            yield f"{FOLDER}/{inside}/time/c/0", _packed(years)
            for name, size in zip(("y", "x"), level.shape, strict=True):
                nodes[f"{inside}/{name}"] = _plain(name, size, size, "float64")
                yield f"{FOLDER}/{inside}/{name}/c/0", _coordinate(level, name)
            if level is not FULL:
                nodes[f"{inside}/band"] = _plain("band", store.dims, store.dims, "int32")
                yield f"{FOLDER}/{inside}/band/c/0", _packed(np.arange(store.dims, dtype=np.int32))
    for path, node in nodes.items():
        yield f"{FOLDER}/{path}/zarr.json", dump(node)
    root = node_of_group(
        {
            "tessera:overviews": VERSION,
            "geoemb:model": f"urn:tessera:model:{store.model.name}:{store.model.sha256}",
            "geoemb:build_version": __version__,
            "tessera:years": list(about.years),
        }
    )
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": nodes}
    yield f"{FOLDER}/zarr.json", dump(root)


_MOST_YEARS = 64
"""Years of a store's time axis, at most; one chunk."""


def _attributes(store: Store, zone: int, level: Level) -> dict[str, Any]:
    west, south, east, north = (float(edge * PIXEL_SIZE) for edge in (WEST, SOUTH, EAST, NORTH))
    size = float(level.metres)
    return {
        "proj:code": zone_crs(zone),
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": [size, 0.0, west, 0.0, -size, north],
        "spatial:transform_type": "affine",
        "spatial:bbox": [west, south, east, north],
        "spatial:shape": list(level.shape),
        "spatial:registration": "pixel",
        "geoemb:gsd": size,
        "tessera:statistic": "mean of the valid 10 m vectors",
        "tessera:pixels": level.factor**2,
        "tessera:model_sha256": store.model.sha256,
    }


def node_of_group(attributes: dict[str, Any]) -> dict[str, Any]:
    """A group's metadata."""
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def node_of_array(
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


def dump(node: dict[str, Any]) -> bytes:
    """The bytes of a metadata document."""
    return json.dumps(node, separators=(",", ":")).encode()


def _sharded(layer: Layer, years: int) -> dict[str, Any]:
    level = layer.level
    wide = np.dtype(layer.dtype).itemsize > 1
    codecs: list[Any] = [
        {"name": "bytes", **({"configuration": {"endian": "little"}} if wide else {})},
        {"name": "crc32c"},
    ]
    if layer.axis is not None and not layer.bands_last:
        codecs.insert(0, {"name": "transpose", "configuration": {"order": [0, 2, 3, 1]}})
    sharding = {
        "chunk_shape": list(layer.sizes(1, layer.chunk, layer.chunk)),
        "codecs": codecs,
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
        "index_location": "start",
    }
    return node_of_array(
        layer.sizes(years, *level.shape),
        layer.sizes(1, level.shard, level.shard),
        layer.dtype,
        "Infinity" if np.isinf(layer.fill) else int(layer.fill),
        layer.dims,
        [{"name": "sharding_indexed", "configuration": sharding}],
    )


def _plain(name: str, length: int, chunk: int, dtype: str) -> dict[str, Any]:
    blosc = {
        "typesize": np.dtype(dtype).itemsize,
        "cname": "zstd",
        "clevel": 9,
        "shuffle": "bitshuffle",
        "blocksize": 0,
    }
    codecs: list[Any] = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "blosc", "configuration": blosc},
    ]
    return node_of_array((length,), (chunk,), dtype, 0 if dtype == "int32" else 0.0, (name,), codecs)


def _packed(values: NDArray[Any]) -> bytes:
    return pack(values, 9, "bit")


@cache
def _coordinate(level: Level, name: str) -> bytes:
    rows, cols = level.shape
    if name == "y":
        return _packed(NORTH * PIXEL_SIZE - (np.arange(rows) + 0.5) * level.metres)
    return _packed(WEST * PIXEL_SIZE + (np.arange(cols) + 0.5) * level.metres)
