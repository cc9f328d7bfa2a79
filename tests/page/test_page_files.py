"""Files that the page writes, opened by rasterio and shapely."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from page_node import vitest

NAMES = ["wood & <meadow>", 'say "hi"', "Äcker 耕地"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    vitest("exports/geotiff.test.ts", TESSERA_PAGE_OUT=str(folder))
    return folder


def test_a_map_opens_with_its_place_colours_and_classes(written: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    from tessera.geo import NORTH, WEST

    with rasterio.open(written / "map.tif") as file:
        assert file.crs.to_epsg() == 32631
        assert file.transform[:6] == (10, 0, (WEST + 50_000) * 10, 0, -10, (NORTH - 377_000) * 10)
        assert (file.height, file.width, file.nodata, file.dtypes[0]) == (600, 37, 255, "uint8")
        assert file.colormap(1)[3] == (255, 128, 0, 255)
        assert file.colormap(1)[7] == (0, 255, 128, 255)
        assert json.loads(file.tags()["TESSERA_CLASSES"]) == NAMES
        assert file.tags()["TESSERA_YEAR"] == "2023"
        assert file.descriptions == ("class",)
        values = file.read(1)
    assert np.array_equal(values.ravel(), np.fromfile(written / "index.bin", np.uint8))
    names = (written / "map.tif.aux.xml").read_text(encoding="utf-8")
    assert names.count("<Category>") == 8
    assert "wood &amp; &lt;meadow&gt;" in names


def test_a_map_of_scores_opens(written: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    with rasterio.open(written / "scores.tif") as file:
        assert np.isnan(file.nodata)
        values = file.read(1).ravel()
    expected = np.arange(600 * 37, dtype=np.float64) / 1000
    expected[::5] = np.nan
    assert np.array_equal(values, expected.astype(np.float32), equal_nan=True)


def test_polygons_are_valid_and_cover_the_map(written: Path) -> None:
    import shapely

    features = json.loads((written / "map.geojson").read_text(encoding="utf-8"))["features"]
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in features]
    assert all(shape.is_valid for shape in shapes)
    assert all(isinstance(shape, shapely.Polygon) and shape.exterior.is_ccw for shape in shapes)
    values = np.fromfile(written / "index.bin", np.uint8)
    for name, value in zip(NAMES, (0, 3, 7), strict=True):
        hectares = sum(f["properties"]["hectares"] for f in features if f["properties"]["class"] == name)
        assert hectares == pytest.approx((values == value).sum() / 100)
