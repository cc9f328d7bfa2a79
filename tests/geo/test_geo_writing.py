"""Features written and read back, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.geo import VECTOR_SUFFIXES, check_vector, read_vector, write_vector

HOLE = shapely.box(5, 50, 5.1, 50.1).difference(shapely.box(5.02, 50.02, 5.04, 50.04))
SHAPES = np.array([HOLE, shapely.MultiPolygon([shapely.box(6, 50, 6.1, 50.1)])], dtype=object)
COLUMNS = {"class": np.array(["forest", None], dtype=object), "id": np.array([10, 2**40]), "width": np.array([1.5, 2])}


@pytest.mark.parametrize("suffix", VECTOR_SUFFIXES)
def test_features_come_back(suffix: str, tmp_path: Path) -> None:
    path = check_vector(tmp_path / f"a{suffix}", "labels")
    write_vector(path, SHAPES, COLUMNS, kind="labels", notes={"licence": "ODbL 1.0"})
    table = read_vector(path)
    # FlatGeobuf sorts features by place
    order = np.argsort(table.column("id"))
    assert shapely.equals(table.geometries[order], SHAPES).all()
    for name, values in COLUMNS.items():
        assert table.column(name)[order].tolist() == values.tolist()
    assert list(tmp_path.iterdir()) == [path]
    assert check_vector(path, "labels") == path
    with pytest.raises(InputError, match="exists and is no earlier polygons"):
        check_vector(path, "polygons")


def test_geoparquet_has_boxes_to_skip_by_and_its_licence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_vector(path, SHAPES, COLUMNS, kind="labels", crs="EPSG:32631", notes={"licence": "ODbL 1.0"})
    table = pq.read_table(path)
    assert table["bbox"][0].as_py() == {"xmin": 5.0, "ymin": 50.0, "xmax": 5.1, "ymax": 50.1}
    assert table.schema.metadata[b"licence"] == b"ODbL 1.0"
    about = json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]
    assert about["crs"]["id"] == {"authority": "EPSG", "code": 32631}
    assert about["geometry_types"] == ["MultiPolygon", "Polygon"]


@given(st.lists(st.tuples(st.floats(-179, 179), st.floats(-79, 83), st.text(max_size=5)), max_size=20))
def test_any_points_come_back_from_geoparquet(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:  # type: ignore[type-arg]
    names = np.empty(len(rows), dtype=object)
    names[:] = [text.encode("utf-8", "ignore").decode() for *_, text in rows]
    shapes = np.empty(len(rows), dtype=object)
    shapes[:] = [shapely.Point(x, y) for x, y, _ in rows]
    path = tmp_path_factory.mktemp("points") / "p.parquet"
    write_vector(path, shapes, {"name": names}, kind="labels")
    table = read_vector(path)
    assert table.geometries.tolist() == shapes.tolist()
    assert table.column("name").tolist() == names.tolist()


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a path that ends in \.parquet"):
        check_vector(tmp_path / "a.shp", "labels")
    with pytest.raises(InputError, match="holds degrees"):
        write_vector(tmp_path / "a.geojson", SHAPES, {}, kind="labels", crs="EPSG:32631")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_vector(tmp_path / "file" / "a.parquet", SHAPES, {}, kind="labels")
