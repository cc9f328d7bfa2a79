"""Documents of a store: `tessera.json` for our own readers, Zarr v3 metadata for all others.

The attributes follow the `geoemb:` convention of the published stores.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import InputError, check_format, parse_json, parsing
from tessera.embeddings import STREAMS, ModelIdentity
from tessera.geo import PIXEL_SIZE, parse_zone

from .layout import COUNTS, SCALES, ArraySpec, Layout, zone_name
from .nodes import (
    MOST_YEARS,
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FORMAT = "tessera-store"
VERSION = 1
DOCUMENT = "tessera.json"
DOCUMENT_LIMIT = 4096
"""Bytes of tessera.json: one small request opens a store."""
_GEOEMB = {
    "uuid": "61c12cc5-0e28-4056-999a-480cf3fb7e4c",
    "name": "geoemb:",
    "description": "Geospatial embeddings",
}
_NO_DATA = {"geotessera:mask_source": "source_nodata"}
"""A scale of NaN is no data, not water; the published client looks for it in the zone, others at the root."""


@dataclass(frozen=True)
class Header:
    """The content of `tessera.json`.

    Attributes
    ----------
    model : whose embeddings it holds
    layout : its geometry
    years : in order of arrival, the time axis
    zones : UTM zones that have arrays
    nan_is_water : whether a scale of NaN says water rather than no data; only in stores of others
    """

    model: ModelIdentity
    layout: Layout
    years: tuple[int, ...]
    zones: tuple[int, ...]
    nan_is_water: bool = False

    def year_index(self, year: object, where: str) -> int:
        """Position of a year on the time axis; `where` names the store in the message.

        Raises
        ------
        InputError
            It holds no such year.
        """
        wanted = parse_year(year)
        if wanted not in self.years:
            raise InputError(f"{where} has no year {wanted}; it has {', '.join(map(str, self.years)) or 'none yet'}")
        return self.years.index(wanted)

    def check_zone(self, zone: int, where: str) -> None:
        """Refuse a UTM zone that has no arrays.

        Raises
        ------
        InputError
            It has none.
        """
        if zone not in self.zones:
            raise InputError(f"{where} has no zone {zone}; it has {', '.join(map(str, self.zones))}")

    def codes(self, dims: int | None) -> tuple[ArraySpec, int]:
        """Choose the smallest array that holds the first `dims` codes (all where None), and the bands of it to keep.

        Raises
        ------
        InputError
            The model has no such prefix.
        """
        kept = self.layout.dims if dims is None else dims
        if kept not in self.model.prefix_dims:
            choices = ", ".join(map(str, self.model.prefix_dims))
            raise InputError(f"{kept} dims of {self.model.name}; expected one of {choices}")
        return next((spec for spec in self.layout.prefix_arrays if spec.bands >= kept), self.layout.codes), kept

    def encode(self) -> bytes:
        """The bytes of tessera.json."""
        value = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model.to_json(),
            "layout": self.layout.to_json(),
            "years": list(self.years),
            "zones": "all" if self.zones == tuple(range(1, 61)) else list(self.zones),
            "arrays": {
                spec.name: {"axis": spec.axis, "bands": spec.bands, "dtype": spec.dtype} for spec in self.layout.arrays
            },
        }
        data = json.dumps(value, indent=1).encode()
        if len(data) > DOCUMENT_LIMIT:
            raise InputError(f"{DOCUMENT} would have {len(data)} bytes; at most {DOCUMENT_LIMIT} are allowed")
        return data

    @classmethod
    def decode(cls, data: bytes, where: str) -> Header:
        """Read tessera.json.

        Raises
        ------
        InputError
            No JSON, another format or version, or a value that does not fit.
        """
        with parsing(f"{where} is no {DOCUMENT}"):
            value = parse_json(data, where, pairs=_once)
            check_format(value, FORMAT, VERSION, where)
            years = tuple(parse_year(year) for year in value["years"])
            zones = value["zones"]
            header = cls(
                ModelIdentity.from_json(value["model"]),
                Layout.from_json(value["layout"]),
                years,
                tuple(range(1, 61)) if zones == "all" else tuple(parse_zone(zone) for zone in zones),
            )
        if len(set(years)) != len(years) or len(years) > MOST_YEARS:
            raise InputError(f"{where} lists the years {years}; expected each once and at most {MOST_YEARS}")
        if len(set(header.zones)) != len(header.zones):
            raise InputError(f"{where} lists the zones {header.zones}; expected each once")
        if header.model.dims != header.layout.dims:
            raise InputError(f"{where}: a model of {header.model.dims} dims in a store of {header.layout.dims}")
        return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys come once: readers differ in which of two they take."""
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"it has the key {key!r} twice; expected once")
    return dict(pairs)


def parse_year(year: object) -> int:
    """Check a year, 1972 to 2200.

    Raises
    ------
    InputError
        It is no whole number in that range.
    """
    if isinstance(year, (int, np.integer)) and not isinstance(year, bool) and 1972 <= int(year) <= 2200:
        return int(year)
    raise InputError(f"year {year!r}; expected a whole number from 1972 to 2200")


def store_documents(header: Header) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of every metadata document and coordinate chunk; the root's consolidated zarr.json comes last."""
    for zone in header.zones:
        for name, chunk in _coordinate_chunks(header.layout).items():
            yield f"{zone_name(zone)}/{name}/c/0", chunk
    yield from year_documents(header)


def year_documents(header: Header) -> Iterator[tuple[str, bytes]]:
    """Key and bytes of what a new year changes, in the order of writing: time, arrays, tessera.json, root."""
    years = pack_years(header.years)
    for zone in header.zones:
        yield f"{zone_name(zone)}/time/c/0", years
    consolidated: dict[str, Any] = {}
    for zone in header.zones:
        nodes = _zone_nodes(header, zone)
        consolidated.update(nodes)
        for path, node in nodes.items():
            yield f"{path}/zarr.json", node_bytes(node)
    yield DOCUMENT, header.encode()
    yield "zarr.json", node_bytes(_root(header, consolidated))


def _root(header: Header, consolidated: dict[str, Any]) -> dict[str, Any]:
    layout, model = header.layout, header.model
    attributes: dict[str, Any] = {
        "zarr_conventions": [_GEOEMB],
        "geoemb:type": "pixel",
        "geoemb:dimensions": layout.dims,
        "geoemb:model": f"urn:tessera:model:{model.name}:{model.sha256}",
        "geoemb:source_data": ["sentinel-2-l2a", "sentinel-1-rtc"],
        "geoemb:data_type": "int8",
        "geoemb:gsd": float(PIXEL_SIZE),
        "geoemb:spatial_layout": "utm_zones",
        "geoemb:build_version": __version__,
        "geoemb:landmask": False,
        "geoemb:quantization": {
            "method": "per_pixel_scale",
            "original_dtype": "float32",
            "quantized_dtype": "int8",
            "scale": {"type": "array", "array_name": SCALES.name, "nodata": "+inf"},
        },
        **_NO_DATA,
        "tessera:inner_order": "C",
        "tessera:years": list(header.years),
    }
    if layout.prefixes:
        attributes["geoemb:depths"] = [
            {"dimensions": spec.bands, "array": spec.name} for spec in (*layout.prefix_arrays, layout.codes)
        ]
    return group_node(attributes, consolidated)


def _zone_nodes(header: Header, zone: int) -> dict[str, Any]:
    layout, years, group = header.layout, len(header.years), zone_name(zone)
    nodes: dict[str, Any] = {group: group_node({**lattice_attributes(zone), **_NO_DATA})}
    for spec in layout.arrays:
        node = sharded_node(spec, layout.format(spec), years, lattice_shape())
        if spec == COUNTS:
            node["attributes"] = {"streams": list(STREAMS)}
        nodes[f"{group}/{spec.name}"] = node
    nodes[f"{group}/time"] = coordinate_node("time", years, "int32", MOST_YEARS)
    for name, values in _coordinates(layout).items():
        nodes[f"{group}/{name}"] = coordinate_node(name, len(values), str(values.dtype))
    return nodes


@cache
def _coordinates(layout: Layout) -> dict[str, NDArray[Any]]:
    y, x = lattice_axes()
    bands = {str(spec.axis): np.arange(spec.bands, dtype=np.int32) for spec in (layout.codes, *layout.prefix_arrays)}
    return {"x": x, "y": y, **bands}


@cache
def _coordinate_chunks(layout: Layout) -> dict[str, bytes]:
    return {name: pack_coordinate(values) for name, values in _coordinates(layout).items()}
