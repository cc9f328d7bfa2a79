"""Tiny extracts of OpenStreetMap and tables as Overture writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

osmium: Any = pytest.importorskip("osmium")
from osmium.osm import mutable  # noqa: E402

AREA = "5.23,50.68,5.28,50.72"
RULES = "forest:landuse=forest,natural=wood;road:highway=*"


class Extract:
    """Writes objects with rising ids; rings and lines by their coordinates."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.ways: list[Any] = []
        self.relations: list[Any] = []

    def node(self, lon: float, lat: float, **tags: str) -> int:
        self.nodes.append(mutable.Node(id=len(self.nodes) + 1, location=(lon, lat), tags=tags))
        return len(self.nodes)

    def way(
        self, places: list[tuple[float, float]], tags: dict[str, str] | None = None, *, closed: bool = False
    ) -> int:
        ids = [self.node(*place) for place in places]
        return self.way_of([*ids, ids[0]] if closed else ids, tags)

    def way_of(self, nodes: list[int], tags: dict[str, str] | None = None) -> int:
        self.ways.append(mutable.Way(id=len(self.ways) + 1, nodes=nodes, tags=tags or {}))
        return len(self.ways)

    def box(self, west: float, south: float, side: float, tags: dict[str, str] | None = None) -> int:
        east, north = west + side, south + side
        return self.way([(west, south), (east, south), (east, north), (west, north)], tags, closed=True)

    def relation(self, members: list[tuple[int, str]], tags: dict[str, str], kind: str = "multipolygon") -> int:
        held = [("w", way, role) for way, role in members]
        self.relations.append(mutable.Relation(id=len(self.relations) + 1, members=held, tags={"type": kind, **tags}))
        return len(self.relations)

    def write(self, path: Path, box: tuple[float, float, float, float] | None = None) -> Path:
        header = osmium.io.Header()
        if box is not None:
            header.add_box(osmium.osm.Box(*box))
        with osmium.SimpleWriter(str(path), header=header) as writer:
            for node in self.nodes:
                writer.add_node(node)
            for way in self.ways:
                writer.add_way(way)
            for relation in self.relations:
                writer.add_relation(relation)
        return path


def town(path: Path) -> Path:
    """A forest with a hole, a wood, roads with and without widths, a tree, and relations that are broken."""
    made = Extract()
    outer, inner = made.box(5.24, 50.69, 0.01), made.box(5.243, 50.693, 0.002)
    made.relation([(outer, "outer"), (inner, "inner")], {"landuse": "forest"})
    made.box(5.26, 50.69, 0.004, {"natural": "wood"})
    made.way([(5.24, 50.70), (5.25, 50.70), (5.25, 50.71)], {"highway": "track", "width": "4 m"})
    made.way([(5.24, 50.7105), (5.26, 50.7105)], {"highway": "primary", "lanes": "4"})
    made.way([(5.24, 50.7115), (5.26, 50.7115)], {"highway": "residential"})
    made.way([(5.24, 50.7125), (5.26, 50.7125)], {"highway": "residential", "tunnel": "yes"})
    made.way([(5.24, 50.7130), (5.26, 50.7130)], {"highway": "proposed"})
    made.box(5.27, 50.70, 0.001, {"highway": "service"})
    made.node(5.255, 50.705, natural="wood")
    made.node(5.256, 50.705, natural="tree")
    made.relation([(999, "outer")], {"landuse": "forest"})
    open_ring = made.way([(5.265, 50.70), (5.266, 50.70), (5.266, 50.701)])
    made.relation([(open_ring, "outer")], {"landuse": "forest"})
    made.box(5.40, 50.90, 0.01, {"landuse": "forest"})
    return made.write(path)


def overture(path: Path, rows: list[dict[str, Any]], *, group: int = 4) -> Path:
    """Rows with `geometry` as shapely geometry, in row groups of a few; boxes are float32, rounded outwards."""
    shapes = [row["geometry"] for row in rows]
    boxes = shapely.bounds(np.array(shapes, dtype=object)).reshape(-1, 4)
    low = np.nextafter(boxes[:, :2].astype(np.float32), np.float32(-np.inf))
    high = np.nextafter(boxes[:, 2:].astype(np.float32), np.float32(np.inf))
    columns: dict[str, Any] = {
        name: pa.array([row.get(name) for row in rows])
        for name in ("id", "subtype", "class", "width_rules", "road_flags")
    }
    tags = [list(row.get("source_tags", {}).items()) for row in rows]
    columns["source_tags"] = pa.array(tags, pa.map_(pa.string(), pa.string()))
    columns["sources"] = pa.array([[{"dataset": "OpenStreetMap", "record_id": "w1"}] for _ in rows])
    sides = [low[:, 0], high[:, 0], low[:, 1], high[:, 1]]
    columns["bbox"] = pa.StructArray.from_arrays([pa.array(side) for side in sides], ["xmin", "xmax", "ymin", "ymax"])
    columns["geometry"] = pa.array(shapely.to_wkb(np.array(shapes, dtype=object)).tolist(), pa.binary())
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB"}}}
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group, compression="zstd")
    return path
