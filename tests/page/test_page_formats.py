"""Files of labels that the page reads, as geopandas wrote them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from page_node import vitest


def _zip(frame: Any, folder: Path, name: str) -> None:
    parts = folder / name
    parts.mkdir()
    frame.to_file(parts / f"{name}.shp")
    with zipfile.ZipFile(folder / "in" / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(parts.iterdir()):
            archive.write(path, path.name)


def test_shapefiles_are_read_as_python_reads_them(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    from shapely.geometry import MultiPolygon, Point, Polygon, mapping, shape

    square = Polygon([(5.0, 50.0), (5.1, 50.0), (5.1, 50.1), (5.0, 50.1)])
    hole = Polygon(square.exterior.coords, [[(5.02, 50.02), (5.02, 50.03), (5.03, 50.03)]])
    two = MultiPolygon([hole, Polygon([(6.0, 50.0), (6.1, 50.0), (6.1, 50.1)])])
    frame = geopandas.GeoDataFrame(
        {"class": ["Äcker", "wood", None], "n": [1.5, 2.0, 3.0]}, geometry=[square, hole, two], crs=4326
    )
    points = geopandas.GeoDataFrame({"kind": ["a", "b"]}, geometry=[Point(5.5, 50.5), Point(-3, -40)], crs=4326)
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    _zip(frame, tmp_path, "degrees")
    _zip(frame.to_crs(25831), tmp_path, "etrs")
    _zip(frame.to_crs(3857), tmp_path, "mercator")
    _zip(points.to_crs(32730), tmp_path, "south")
    vitest("formats/shapefile.test.ts", TESSERA_PAGE_IN=str(tmp_path / "in"), TESSERA_PAGE_OUT=str(tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "found.json").read_text(encoding="utf-8"))

    def shapes(row: dict[str, Any]) -> list[Any]:
        kinds = {"point": "Point", "polygon": "Polygon"}
        return [
            shape({"type": kinds[part["kind"]], "coordinates": part.get("at") or part.get("rings")})
            for part in row["shapes"]
        ]

    for name in ("degrees", "etrs", "mercator"):
        rows = found[f"{name}.zip"]["rows"]
        assert [row["values"]["class"] for row in rows] == ["Äcker", "wood", None]
        assert [row["values"]["n"] for row in rows] == [1.5, 2, 3]
        for row, expected in zip(rows, frame.geometry, strict=True):
            got = MultiPolygon(shapes(row)) if len(row["shapes"]) > 1 else shapes(row)[0]
            assert got.is_valid
            assert got.symmetric_difference(expected).area < 1e-9, (name, mapping(got))
    for row, expected in zip(found["south.zip"]["rows"], points.geometry, strict=True):
        assert shapes(row)[0].distance(expected) < 1e-7
