"""Open `geoemb:` stores that others wrote: their metadata, checked, as formats for our own reader."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, parse_json, parsing
from tessera.embeddings import ModelIdentity
from tessera.geo import CELL_SIDES, PIXEL_SIZE
from tessera.net import MissingError
from tessera.shards import (
    CHUNK,
    MOST_CHUNK_BYTES,
    MOST_DIMS,
    MOST_YEARS,
    PUBLISHED_SHARD,
    SCALES,
    ArraySpec,
    Extent,
    Header,
    Layout,
    Reading,
    ShardedSource,
    ShardFormat,
    parse_year,
    unpack,
)

from .datasets import dataset_identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tessera.net import DiskCache, Objects
    from tessera.shards import Compressor

    from .datasets import Dataset

ROOT_BYTES = 8 * 1024**2
"""Most bytes of a root's metadata; consolidated over 60 zones it has about 1 MB."""
_COMPRESSORS: dict[str, Compressor] = {"blosc": "blosc", "zstd": "zstd", "gzip": "gzip"}
_MOST_SIDE = 16384
_MOST_PIXELS = 10**7
"""Sides of shards and of zones, pixels, beyond which metadata is not believed."""
_FALSE_NORTHING = 10_000_000
"""Metres that southern UTM adds to northings."""


class UnknownLayoutError(InputError):
    """An array that our reader of shards does not know; zarr-python may."""


@dataclass(frozen=True)
class ForeignSource(ShardedSource):
    """A `ShardedSource` whose zones have their own corners and time axes."""

    times: Mapping[str, Mapping[str, Any]] | None = None  # group -> metadata of its time array
    years: tuple[int, ...] = ()  # those of the store

    @cached_property
    def _known(self) -> dict[str, tuple[int, ...]]:
        return {}

    def time_index(self, extent: Extent, year_index: int) -> int | None:
        """See `ShardedSource.time_index`; a zone's own axis is read when it is first needed."""
        group = extent.group
        if group not in self._known:
            assert self.times is not None  # noqa: S101 - given by open_foreign
            self._known[group] = read_years(self.reading.objects, group, self.times[group])
        year = self.years[year_index]
        return self._known[group].index(year) if year in self._known[group] else None


def open_foreign(objects: Objects, dataset: Dataset | None, cache: DiskCache | None) -> tuple[Header, ForeignSource]:
    """Header and source of a `geoemb:` store; two requests. `UnknownLayoutError` for a hierarchy of another layout."""
    where = f"{objects.root}/zarr.json"
    root = parse_root(objects.read("zarr.json", limit=ROOT_BYTES), where)
    nodes, attributes = root
    groups = sorted(name for name in nodes if re.fullmatch(r"utm\d\d", name))
    if not groups:
        raise UnknownLayoutError(f"{where} lists no groups utm01 to utm60 in consolidated metadata")
    dims, prefixes = _dims_of(attributes, where)
    specs = _specs(dims, prefixes)
    extents: dict[int, tuple[Extent, ...]] = {}
    forms: dict[str, ShardFormat] = {}
    for group in groups:
        zone = int(group[3:])
        if not 1 <= zone <= 60:
            raise InputError(f"{where} has the group {group}; expected utm01 to utm60")
        for spec in specs:
            node = nodes.get(f"{group}/{spec.name}")
            if node is None:
                raise UnknownLayoutError(f"{where}: {group} has no array {spec.name}")
            form = parse_format(node, spec, f"{where}, {group}/{spec.name}")
            if forms.setdefault(spec.name, form) != form:
                raise UnknownLayoutError(f"{where}: {group}/{spec.name} is laid out as in no other zone")
        extents[zone] = (_extent(nodes[group], nodes[f"{group}/{SCALES.name}"], zone, group, where),)
    if len({form.shard for form in forms.values()}) > 1:
        raise UnknownLayoutError(f"{where}: arrays have shards of different sides")
    times = {group: nodes.get(f"{group}/time", {}) for group in groups}
    years = read_years(objects, groups[0], times[groups[0]])
    shard = forms[SCALES.name].shard
    chunk = forms[specs[0].name].chunk
    sides = (shard, chunk) if shard in CELL_SIDES else (PUBLISHED_SHARD, CHUNK)
    layout = Layout(dims, prefixes, *sides, "published")
    masked = [attributes, *(nodes[group].get("attributes", {}) for group in groups)]
    nan_is_water = all(values.get("geotessera:mask_source") != "source_nodata" for values in masked)
    header = Header(
        identify(dataset, attributes, dims, prefixes, objects.root), layout, years, tuple(sorted(extents)), nan_is_water
    )
    reading = Reading(objects, cache)
    return header, ForeignSource(reading, specs, forms, extents, clean=False, times=times, years=years)


def _specs(dims: int, prefixes: tuple[int, ...]) -> tuple[ArraySpec, ...]:
    return tuple(spec for spec in Layout(dims, prefixes).arrays if spec.name.startswith("embeddings") or spec == SCALES)


def parse_root(data: bytes, where: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Consolidated nodes and attributes of a root group; `UnknownLayoutError` where it has no consolidated metadata."""
    with parsing(f"{where} is no metadata of a Zarr v3 group"):
        root = parse_json(data, where)
        if root["zarr_format"] != 3 or root["node_type"] != "group":
            raise InputError(f"{where} is no Zarr v3 group")
        attributes = dict(root.get("attributes") or {})
        consolidated = root.get("consolidated_metadata")
        nodes = {} if consolidated is None else dict(consolidated["metadata"])
        if not all(isinstance(node, dict) for node in nodes.values()):
            raise InputError(f"{where} has nodes that are no JSON objects")
    if not nodes:
        raise UnknownLayoutError(f"{where} has no consolidated metadata")
    return nodes, attributes


def _dims_of(attributes: dict[str, Any], where: str) -> tuple[int, tuple[int, ...]]:
    """Length of the vectors and the prefixes that have arrays of their own."""
    with parsing(f"{where}: geoemb:depths cannot be read"):
        dims = attributes.get("geoemb:dimensions", 128)
        depths = {(depth["dimensions"], depth["array"]) for depth in attributes.get("geoemb:depths", [])}
    if not isinstance(dims, int) or isinstance(dims, bool) or not 1 <= dims <= MOST_DIMS:
        raise InputError(f"{where}: geoemb:dimensions is {dims!r}; expected 1 to {MOST_DIMS}")
    prefixes = sorted(
        size for size, name in depths if isinstance(size, int) and 1 <= size < dims and name == f"embeddings_d{size}"
    )
    return dims, tuple(prefixes)


def identify(
    dataset: Dataset | None, attributes: dict[str, Any], dims: int, prefixes: tuple[int, ...], where: str
) -> ModelIdentity:
    """The model of a foreign store: the dataset that it was opened as, or what its root says.

    A root names a version but not the run, so that two stores of unknown runs are told apart by where they lie.
    """
    uri = str(attributes.get("geoemb:model", ""))[:300]
    if dataset is not None:
        said = re.search(r"/model/v?(\d+(?:\.\d+)*)$", uri)
        if said is not None and said[1] not in (dataset.version, dataset.version.removesuffix(".0")):
            raise InputError(f"{where} holds model {said[1]} by its root; expected {dataset.name}")
        return dataset_identity(dataset, dims, prefixes)
    ours = re.fullmatch(r"urn:tessera:model:([\w.+~-]+):([0-9a-f]{64})", uri)
    if ours is not None:
        return ModelIdentity(ours[1], ours[2], dims, prefixes)
    digest = hashlib.sha256(f"{uri}\n{where}".encode()).hexdigest()
    return ModelIdentity(f"unnamed run of {uri.rpartition('/')[2] or 'an unknown model'}", digest, dims, prefixes)


def parse_format(node: Mapping[str, Any], spec: ArraySpec, where: str) -> ShardFormat:
    """How the shards of an array are laid out, from its Zarr v3 metadata.

    `UnknownLayoutError`: another order of axes, no shards, or a codec that is none of ours. `InputError`: sizes that
    cannot be believed.
    """
    bands = () if spec.axis is None else (spec.bands,)
    with parsing(f"{where}: its metadata cannot be read"):
        if node["data_type"] != spec.dtype:
            raise InputError(f"{where} has the type {node['data_type']!r}; expected {spec.dtype}")
        names = list(node["dimension_names"])
        if names[0] != "time" or names[-2:] != ["y", "x"] or len(names) != len(bands) + 3:
            raise UnknownLayoutError(f"{where} has the axes {names}; expected {list(spec.dims)}")
        outer = [int(size) for size in node["chunk_grid"]["configuration"]["chunk_shape"]]
        codecs = node["codecs"]
        if len(codecs) != 1 or codecs[0]["name"] != "sharding_indexed" or not _is_default_key(node):
            raise UnknownLayoutError(f"{where} has no shards, or other keys than c/0/0/0")
        sharding = codecs[0]["configuration"]
        inner = [int(size) for size in sharding["chunk_shape"]]
        pixel_major, compressor, crc = _inner_codecs(sharding["codecs"], bool(bands), where)
        index = [codec["name"] for codec in sharding["index_codecs"]]
        if index not in (["bytes"], ["bytes", "crc32c"]) or sharding["index_location"] not in ("start", "end"):
            raise UnknownLayoutError(f"{where} has an index by {index}")
    if outer[:-2] != [1, *bands] or inner[:-2] != [1, *bands] or outer[-1] != outer[-2] or inner[-1] != inner[-2]:
        raise UnknownLayoutError(f"{where} has shards of {outer} and chunks of {inner}")
    shard, chunk = outer[-1], inner[-1]
    if not 1 <= chunk <= shard <= _MOST_SIDE or shard % chunk:
        raise InputError(f"{where} has shards of {shard} pixels and chunks of {chunk}; expected at most {_MOST_SIDE}")
    form = ShardFormat(
        shard,
        chunk,
        spec.bands,
        spec.dtype,
        spec.fill,
        pixel_major,
        compressor,
        crc,
        "crc32c" in index,
        sharding["index_location"] == "end",
    )
    if max(form.chunk_bytes, form.index_bytes) > MOST_CHUNK_BYTES:
        raise InputError(f"{where} has chunks of {form.chunk_bytes} bytes; expected at most {MOST_CHUNK_BYTES}")
    return form


def _is_default_key(node: Mapping[str, Any]) -> bool:
    encoding = node.get("chunk_key_encoding", {"name": "default"})
    separator = encoding.get("configuration", {}).get("separator", "/")
    return bool(encoding["name"] == "default" and separator == "/")


def _inner_codecs(codecs: Any, has_bands: bool, where: str) -> tuple[bool, Compressor | None, bool]:
    """Whether pixels lie together, what packs a chunk, and whether a CRC-32C follows it."""
    names = [codec["name"] for codec in codecs]
    pixel_major = False
    if names[:1] == ["transpose"]:
        if not has_bands or list(codecs[0]["configuration"]["order"]) != [0, 2, 3, 1]:
            raise UnknownLayoutError(f"{where} has its axes in another order in chunks")
        pixel_major, names, codecs = True, names[1:], codecs[1:]
    endian = codecs[0].get("configuration", {}).get("endian", "little") if codecs else None
    crc = names[-1:] == ["crc32c"]
    packing = names[1 : len(names) - crc]
    if names[:1] != ["bytes"] or endian != "little" or len(packing) > 1 or set(packing) - set(_COMPRESSORS):
        raise UnknownLayoutError(f"{where} has chunks by {names}")
    return pixel_major, _COMPRESSORS[packing[0]] if packing else None, crc


def _extent(group: Mapping[str, Any], scales: Mapping[str, Any], zone: int, name: str, where: str) -> Extent:
    with parsing(f"{where}: {name} does not say where it lies"):
        transform = [float(value) for value in group["attributes"]["spatial:transform"]]
        code = str(group["attributes"]["proj:code"]).upper()
        height, width = (int(size) for size in scales["shape"][-2:])
    return place_extent(transform, code, (height, width), zone, name, where)


def place_extent(transform: list[float], code: str, shape: tuple[int, int], zone: int, name: str, where: str) -> Extent:
    """What a group's arrays cover: north-up pixels of 10 m on the lattice of the zone."""
    south = code == f"EPSG:{32700 + zone}"
    if code != f"EPSG:{32600 + zone}" and not south:
        raise InputError(f"{where}: {name} has the CRS {code[:40]}; expected EPSG:{32600 + zone}")
    if len(transform) != 6 or not all(np.isfinite(transform)):
        raise InputError(f"{where}: {name} has the transform {transform}; expected six finite numbers")
    a, b, c, d, e, f = transform
    west, north = c / PIXEL_SIZE, (f - _FALSE_NORTHING * south) / PIXEL_SIZE
    on_grid = (a, b, d, e) == (PIXEL_SIZE, 0, 0, -PIXEL_SIZE) and west.is_integer() and north.is_integer()
    if not on_grid or max(abs(west), abs(north)) > _MOST_PIXELS:
        raise InputError(f"{where}: {name} has the transform {transform}; expected 10 m pixels at multiples of 10 m")
    if not all(1 <= side <= _MOST_PIXELS for side in shape):
        raise InputError(f"{where}: {name} has {shape[0]} x {shape[1]} pixels; expected at most {_MOST_PIXELS}")
    return Extent(zone, name, int(west), int(north), shape[1], shape[0])


def read_years(objects: Objects, group: str, node: Mapping[str, Any]) -> tuple[int, ...]:
    """The years of a group's time axis, one request a chunk of it."""
    where = f"{objects.root}/{group}/time"
    with parsing(f"{where}: its metadata cannot be read"):
        (length,) = (int(size) for size in node["shape"])
        (chunk,) = (int(size) for size in node["chunk_grid"]["configuration"]["chunk_shape"])
        dtype = np.dtype(str(node["data_type"])).newbyteorder("<")
        names = [codec["name"] for codec in node["codecs"]]
        packing = [name for name in names if name in _COMPRESSORS]
        known = set(names) <= {"bytes", *_COMPRESSORS} and len(packing) <= 1
    if not known or dtype.kind not in "iu" or not 1 <= length <= MOST_YEARS or not 1 <= chunk <= 1024:
        raise UnknownLayoutError(f"{where} has {length} values of {dtype} by {names}; expected whole years")
    form = ShardFormat(
        1, 1, chunk, dtype.name, 0, True, _COMPRESSORS[packing[0]] if packing else None, False, False, False
    )
    values: list[int] = []
    for number in range(-(-length // chunk)):
        try:
            data = objects.read(f"{group}/time/c/{number}", limit=64 * 1024)
        except MissingError:
            raise InputError(f"{where} lacks its chunk {number}") from None
        values += _numbers(data, form, where)
    return tuple(parse_year(year) for year in values[:length])


def _numbers(data: bytes, form: ShardFormat, where: str) -> list[int]:
    raw = data if form.compressor is None else unpack(data, form, where)
    if len(raw) != form.chunk_bytes:
        raise InputError(f"{where} has a chunk of {len(raw)} bytes; expected {form.chunk_bytes}")
    numbers: NDArray[Any] = np.frombuffer(raw, dtype=np.dtype(form.dtype).newbyteorder("<"))
    return [int(number) for number in numbers]
