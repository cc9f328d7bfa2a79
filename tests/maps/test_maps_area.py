"""Maps with a minimum mapping unit and polygons, as files."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from maps_helpers import COLOURS, NAMES, WINDOW, YEAR, FakeTrust, make_head, stacked
from rasterio.features import rasterize
from test_maps_sieve import by_hand

from tessera.base import InputError
from tessera.embeddings import Embeddings
from tessera.geo import read_vector
from tessera.maps import _strips as strips_module
from tessera.maps import read_map_classes
from tessera.testing import SMALL_MODEL, small_store

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Fields of 15 pixels with noise, and a hole without data."""
    rng = np.random.default_rng(2)
    rows, cols = np.indices(WINDOW.shape)
    fields = rng.integers(-90, 90, (20, 20, 8))[rows // 15, cols // 15]
    codes = np.clip(fields + rng.normal(0, 45, (*WINDOW.shape, 8)), -127, 127).astype(np.int8)
    scales = np.full(WINDOW.shape, 0.5, dtype=np.float32)
    scales[40:70, 100:140] = np.nan
    codes[40:70, 100:140] = 0
    store = small_store(tmp_path_factory.mktemp("store") / "s.zarr")
    counts = np.ones((*WINDOW.shape, 3), dtype=np.uint16)
    store.write(Embeddings(codes, scales, counts, SMALL_MODEL, WINDOW.grid, {}), YEAR)
    return store


@pytest.fixture(autouse=True)
def _thin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips_module, "ROWS", 32)


def read(path: Path) -> Any:
    with rasterio.open(path) as raster:
        return raster.read(1)


def sizes(values: Any) -> Any:
    patches = by_hand(values)
    return np.bincount(patches[patches >= 0])


def test_no_patch_of_a_map_is_smaller_than_the_minimum(store: Store, tmp_path: Path) -> None:
    head = make_head()
    plain = read(head.map(store, WINDOW, out=tmp_path / "a.tif", png=False))
    path = head.map(store, WINDOW, out=tmp_path / "b.tif", png=False, min_area_ha=0.3)
    found = read(path)
    assert (sizes(plain) < 30).sum() > 100
    assert sizes(found).min() >= 30
    np.testing.assert_array_equal(found == 255, plain == 255)
    assert sum(one.pixels for one in read_map_classes(path)) == (found != 255).sum()
    with rasterio.open(path) as raster:
        assert raster.tags()["TESSERA_MIN_AREA_HA"] == "0.3"
    with pytest.raises(InputError, match=r"minimum area 1 ha of a map of numbers; expected a head of classes"):
        make_head(numbers=True).map(store, WINDOW, out=tmp_path / "c.tif", min_area_ha=1)


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet", ".fgb"])
def test_polygons_hold_class_value_area_and_mean_probability(store: Store, tmp_path: Path, suffix: str) -> None:
    head = make_head(trust=FakeTrust())
    target = tmp_path / f"fields{suffix}"
    path = head.map(
        store, WINDOW, out=tmp_path / "map.tif", png=False, min_area_ha=0.1, polygons=target, tolerance=0, abstain=True
    )
    assert not (tmp_path / "map.probabilities.tif").exists()
    found, table = read(path), read_vector(target)
    shapes = table.geometries
    if suffix == ".parquet":
        import geopandas

        shapes = geopandas.read_parquet(target).geometry.to_numpy()
    else:
        about, _, geometries, _ = pyogrio.raw.read(target, layer=target.stem)
        assert about["crs"] == "EPSG:32631"
        shapes = shapely.from_wkb(geometries)
    assert shapely.coverage_is_valid(np.asarray(shapes, dtype=object))
    values = table.column("value")
    burnt = rasterize(
        zip(shapes, values.astype(int), strict=True), found.shape, fill=255, transform=WINDOW.grid.transform
    )
    np.testing.assert_array_equal(burnt, found)
    np.testing.assert_array_equal(np.sort(table.column("area_ha")), np.sort(sizes(found) / 100))
    np.testing.assert_allclose(table.column("area_ha").astype(float), shapely.area(shapes) / 10_000)
    names = dict(zip([*head.values, 254], [*NAMES, "uncertain"], strict=True))
    assert [names[value] for value in values] == list(table.column("class"))
    # the mean of what the probabilities say of the class, not of what was predicted before patches were merged
    p = np.full((*found.shape, len(NAMES)), np.nan)
    vectors = stacked(store, WINDOW)
    good = vectors.valid
    p[good] = np.rint(100 * FakeTrust().probabilities(head.probabilities_codes(vectors)[good])) / 100
    for shape, value, mean in list(zip(shapes, values, table.column("probability"), strict=True))[::7]:
        if value == 254:
            assert mean is None or np.isnan(mean)
            continue
        inside = rasterize([shape], found.shape, transform=WINDOW.grid.transform) == 1
        assert mean == pytest.approx(p[inside][:, head.values.index(value)].mean())
    style = (tmp_path / "fields.qml").read_text()
    assert all(f'value="{name}"' in style for name in NAMES)
    assert all(",".join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5)) in style for colour in COLOURS)
    if suffix == ".gpkg":
        with sqlite3.connect(target) as base:
            rows = base.execute("SELECT f_table_name, styleQML, useAsDefault FROM layer_styles").fetchall()
        assert rows == [("fields", style, 1)]
    # again, over the earlier ones
    head.map(store, WINDOW, out=tmp_path / "map.tif", png=False, polygons=target)
    assert len(read_vector(target)) > len(table)


def test_polygons_of_numbers_are_their_ranges(store: Store, tmp_path: Path) -> None:
    head = make_head(numbers=True)
    path = head.map(store, WINDOW, out=tmp_path / "map.tif", png=False, polygons=tmp_path / "map.gpkg")
    found, table = read(path), read_vector(tmp_path / "map.gpkg")
    assert set(table.column("class")) <= {one.name for one in read_map_classes(path)}
    area, mean = table.column("area_ha").astype(float), table.column("mean").astype(float)
    assert area.sum() * 100 == pytest.approx(np.isfinite(found).sum())
    assert (area * 100 * mean).sum() == pytest.approx(np.nansum(found, dtype=np.float64), rel=1e-6)
    # the map's own style keeps its name
    assert "paletted" in (tmp_path / "map.qml").read_text() or "pseudocolor" in (tmp_path / "map.qml").read_text()
    assert "categorizedSymbol" in (tmp_path / "map.polygons.qml").read_text()


def test_wrong_polygons_are_refused_before_any_work(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.gpkg").write_bytes(b"mine")
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"polygons": tmp_path / "map.shp"}, r"map polygons .*map.shp.*; expected a path that ends in"),
        ({"polygons": tmp_path / "map.geojson"}, r"GeoJSON holds degrees, the map is in UTM"),
        ({"polygons": tmp_path / "mine.gpkg"}, r"mine.gpkg exists and is no earlier map polygons"),
        ({"polygons": tmp_path / "map.gpkg", "tolerance": -1}, r"tolerance -1 m; expected 0 to 1000"),
        ({"min_area_ha": float("nan")}, r"^minimum area nan ha; expected 0 to 1,000,000 hectares$"),
        ({"min_area_ha": float("inf")}, r"^minimum area inf ha; expected 0 to 1,000,000 hectares$"),
        ({"min_area_ha": 1e9}, r"^minimum area 1000000000\.0 ha; expected 0 to 1,000,000 hectares$"),
        ({"min_area_ha": 1e5}, r"^minimum area 100000 ha; the map has [\d.,]+ ha: expected less than that$"),
    )
    for wanted, message in cases:
        with pytest.raises(InputError, match=message):
            make_head().map(store, WINDOW, out=tmp_path / "map.tif", **wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.gpkg"]
