"""A tiny extract of OpenStreetMap where the examples look: a forest with a clearing, another, a wood and roads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


def write_town(path: Path) -> None:
    """Write the extract; skip the test where pyosmium is not installed."""
    osmium: Any = pytest.importorskip("osmium")
    mutable: Any = pytest.importorskip("osmium.osm.mutable")
    rings = [(5.2510, 50.6898, 0.0024), (5.2520, 50.6910, 0.0003), (5.2470, 50.6905, 0.0015), (5.2385, 50.6985, 0.002)]
    with osmium.SimpleWriter(str(path), overwrite=True) as writer:
        ways: list[list[int]] = []
        for west, south, side in rings:
            first = 4 * len(ways) + 1
            for at, (right, up) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
                writer.add_node(mutable.Node(id=first + at, location=(west + right * side, south + up * side)))
            ways.append([first, first + 1, first + 2, first + 3, first])
        roads = [(101, 5.246, 50.6924), (102, 5.254, 50.6924), (103, 5.237, 50.7012), (104, 5.245, 50.7012)]
        for number, lon, lat in roads:
            writer.add_node(mutable.Node(id=number, location=(lon, lat)))
        tags: list[dict[str, str]] = [{}, {}, {"natural": "wood"}, {"landuse": "forest"}]
        for number, (nodes, own) in enumerate(zip(ways, tags, strict=True), start=1):
            writer.add_way(mutable.Way(id=number, nodes=nodes, tags=own))
        for number, nodes in ((5, [101, 102]), (6, [103, 104])):
            writer.add_way(mutable.Way(id=number, nodes=nodes, tags={"highway": "primary", "width": "25"}))
        members = [("w", 1, "outer"), ("w", 2, "inner")]
        forest = {"type": "multipolygon", "landuse": "forest"}
        writer.add_relation(mutable.Relation(id=1, members=members, tags=forest))
