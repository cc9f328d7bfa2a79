"""Documents of the overviews: overviews.json for tessera, Zarr v3 metadata for other readers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import Folder, InputError, check_format, parse_json, parsing
from tessera.embeddings import ModelIdentity
from tessera.geo import EAST, NORTH, SOUTH, WEST, parse_zone, zone_crs
from tessera.net import MissingError
from tessera.shards import (
    MOST_YEARS,
    coordinate_node,
    group_node,
    lattice_attributes,
    lattice_axes,
    node_bytes,
    pack_coordinate,
    pack_years,
    parse_year,
    sharded_node,
    zone_name,
)

from ._levels import FOLDER, FULL, LEVELS, Level, layers_of, rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tessera.store import Store

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
    """What overviews.json says."""

    model: ModelIdentity  # of the store that they were made from
    years: tuple[int, ...] = ()  # whose overviews were made, in any order
    zones: tuple[int, ...] = ()  # UTM zones that have arrays
    full: bool = False  # whether the colours of 10 m pixels are kept up as well

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
        """Read the document."""
        with parsing(f"{where} is no overviews.json"):
            value = parse_json(data, where)
            check_format(value, FORMAT, VERSION, where)
            if value["geometry"] != _GEOMETRY:
                raise InputError(f"{where} has the geometry {value['geometry']}; expected {_GEOMETRY}")
            years = tuple(parse_year(year) for year in value["years"])
            zones = tuple(parse_zone(zone) for zone in value["zones"])
            return cls(ModelIdentity.from_json(value["model"]), years, zones, value["full"] is True)


def read_overviews(store: Store) -> Overviews | None:
    """Read overviews.json of a store, None if there is none."""
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
    """Add years and zones to the documents. Only files that change are written.

    overviews.json, which readers open, is written last.
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
    """Key and bytes of every Zarr document and coordinate chunk, the consolidated group last."""
    nodes: dict[str, Any] = {}
    years, bands = pack_years(store.years), pack_coordinate(np.arange(store.dims, dtype=np.int32))
    for zone in about.zones:
        group = zone_name(zone)
        nodes[group] = group_node({"proj:code": zone_crs(zone)})
        for level in (*LEVELS, *([FULL] if about.full else [])):
            layers = () if level is FULL else layers_of(level, store.dims)
            if level is not LEVELS[1]:
                layers = (*layers, rgb_of(level))
            inside = f"{group}/{level.name}"
            nodes[inside] = group_node(_attributes(store, zone, level))
            for layer in layers:
                nodes[f"{inside}/{layer.name}"] = sharded_node(layer.spec, layer.form, len(store.years), level.shape)
            nodes[f"{inside}/time"] = coordinate_node("time", len(store.years), "int32", MOST_YEARS)
            yield f"{FOLDER}/{inside}/time/c/0", years
            for (name, chunk), size in zip(_axes(level).items(), level.shape, strict=True):
                nodes[f"{inside}/{name}"] = coordinate_node(name, size, "float64")
                yield f"{FOLDER}/{inside}/{name}/c/0", chunk
            if level is not FULL:
                nodes[f"{inside}/band"] = coordinate_node("band", store.dims, "int32")
                yield f"{FOLDER}/{inside}/band/c/0", bands
    for path, node in nodes.items():
        yield f"{FOLDER}/{path}/zarr.json", node_bytes(node)
    attributes = {
        "tessera:overviews": VERSION,
        "geoemb:model": f"urn:tessera:model:{store.model.name}:{store.model.sha256}",
        "geoemb:build_version": __version__,
        "tessera:years": list(about.years),
    }
    yield f"{FOLDER}/zarr.json", node_bytes(group_node(attributes, nodes))


def _attributes(store: Store, zone: int, level: Level) -> dict[str, Any]:
    return {
        **lattice_attributes(zone, level.metres),
        "geoemb:gsd": float(level.metres),
        "tessera:statistic": "mean of the valid 10 m vectors",
        "tessera:pixels": level.factor**2,
        "tessera:model_sha256": store.model.sha256,
    }


@cache
def _axes(level: Level) -> dict[str, bytes]:
    """The coordinate chunks of y and x, the same in every zone."""
    return {name: pack_coordinate(axis) for name, axis in zip(("y", "x"), lattice_axes(level.metres), strict=True)}
