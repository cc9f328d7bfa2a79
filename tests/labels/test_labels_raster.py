"""Labels from rasters: which pixels, what their classes are called, what is no data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from label_files import WINDOW, read_labels, write_classes

from tessera.base import InputError
from tessera.geo import points_in_zones, to_lonlat
from tessera.rasters import sample_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def land(seed: int = 0, shape: tuple[int, int] = WINDOW.shape, classes: int = 4) -> NDArray[np.uint8]:
    """Classes in squares of 5 pixels, class 0 the rarest."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(classes, (shape[0] // 5 + 1, shape[1] // 5 + 1), p=[0.02, 0.18, 0.3, 0.5][:classes])
    return np.asarray(np.kron(coarse, np.ones((5, 5)))[: shape[0], : shape[1]], dtype=np.uint8)


def at_pixels(labels: Any) -> list[tuple[int, int]]:
    ((_, index, px, py),) = points_in_zones(labels.lonlat)
    order = np.argsort(index)
    return list(zip((WINDOW.north - 1 - py[order]).tolist(), (px[order] - WINDOW.west).tolist(), strict=True))


@pytest.mark.parametrize("tiles", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 32}, {"compress": "deflate"}])
def test_a_stratified_sample_of_classes(tmp_path: Path, tiles: dict[str, Any]) -> None:
    values = land()
    path = write_classes(tmp_path / "land.tif", values, **tiles)
    labels = read_labels(path, per_class=300)
    totals = np.bincount(values.ravel())
    assert labels.classes == ("0", "1", "2", "3")
    assert [int((labels.values == name).sum()) for name in labels.classes] == np.minimum(totals, 300).tolist()
    assert [str(values[place]) for place in at_pixels(labels)] == labels.values.tolist()
    assert labels.groups is None
    assert labels.column == "class"
    # blocks change nothing, nor does what is drawn of other classes
    other = read_labels(write_classes(tmp_path / "other.tif", values), per_class=300)
    assert at_pixels(other) == at_pixels(labels)


def test_the_sample_is_spread_over_the_raster(tmp_path: Path) -> None:
    values = np.ones((400, 400), dtype=np.uint8)
    values[:, 200:] = 2
    labels = read_labels(write_classes(tmp_path / "two.tif", values), per_class=1000)
    rows = np.array(at_pixels(labels))[:, 0]
    assert np.abs(np.histogram(rows, 4, (0, 400))[0] - 500).max() < 80


def test_windows_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_classes(tmp_path / "a.tif", land(), tiled=True, blockxsize=16, blockysize=16)
    heights = write_classes(tmp_path / "b.tif", np.random.default_rng(0).normal(size=(120, 160)).astype(np.float32))
    whole = [read_labels(path, per_class=50), read_labels(heights, per_class=50)]
    assert whole[1].kind == "regression"
    assert len(whole[1]) == 500
    monkeypatch.setattr("tessera.rasters.samples._WINDOW", 700)
    parts = [read_labels(path, per_class=50), read_labels(heights, per_class=50)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.lonlat, other.lonlat)


def test_nodata_of_every_kind_is_left_out(tmp_path: Path) -> None:
    values = land()
    values[:40] = 255
    labels = read_labels(write_classes(tmp_path / "tag.tif", values, nodata=255))
    assert "255" not in labels.classes
    assert labels.counts["nodata"] == 40 * 160
    assert labels.notes == ()
    guess = read_labels(write_classes(tmp_path / "no.tif", values))
    assert "255" in guess.classes
    assert any("value 255 is 33% of" in note and "--missing 255" in note for note in guess.notes)
    assert "255" not in read_labels(tmp_path / "no.tif", missing=["255"]).classes
    low = np.where(values == 255, -9999, values.astype(np.int16)).astype(np.int16)
    noted = read_labels(write_classes(tmp_path / "low.tif", low))
    assert any("value -9999 is 33%" in note for note in noted.notes)
    heights = np.random.default_rng(0).uniform(2, 30, values.shape).astype(np.float32)
    heights[:40], heights[40:60] = np.nan, -9999
    labels = read_labels(write_classes(tmp_path / "h.tif", heights, nodata=-9999))
    assert (labels.kind, labels.column) == ("regression", "value")
    assert labels.values.min() >= 2
    assert labels.counts["nodata"] == 60 * 160
    # heights are neither ranks nor cut to whole numbers
    assert [float(heights[place]) for place in at_pixels(labels)] == labels.values.tolist()
    assert any("-9999 stands in" in note for note in read_labels(write_classes(tmp_path / "n.tif", heights)).notes)


def test_whole_floats_are_classes_and_many_whole_numbers_are_refused_or_told(tmp_path: Path) -> None:
    labels = read_labels(write_classes(tmp_path / "f.tif", land().astype(np.float32)))
    assert labels.classes == ("0", "1", "2", "3")
    years = np.arange(120 * 160).reshape(120, 160).astype(np.int16)
    path = write_classes(tmp_path / "y.tif", years)
    with pytest.raises(InputError, match="more than 255 distinct values; expected classes, or kind='regression'"):
        read_labels(path)
    assert read_labels(path, kind="regression").values.max() > 19_000
    ages = read_labels(write_classes(tmp_path / "a.tif", (years % 40).astype(np.int16)))
    assert any("40 whole numbers taken as classes" in note for note in ages.notes)
    with pytest.raises(InputError, match="holds numbers with a fraction; expected whole numbers"):
        read_labels(write_classes(tmp_path / "h.tif", land() + np.float32(0.5)), kind="classification")


def test_names_of_classes(tmp_path: Path) -> None:
    values = land()
    path = write_classes(tmp_path / "land.tif", values)
    names = "<Category/><Category>water</Category><Category>forest &amp; heath</Category>"
    band = '<PAMRasterBand band="1">{}</PAMRasterBand>'
    aux = tmp_path / "land.tif.aux.xml"
    aux.write_text(f"<PAMDataset>{band.format(f'<CategoryNames>{names}</CategoryNames>')}</PAMDataset>")
    assert read_labels(path).classes == ("0", "3", "forest & heath", "water")
    fields = "".join(
        f"<FieldDefn><Name>{name}</Name><Usage>{usage}</Usage></FieldDefn>" for name, usage in (("v", 5), ("n", 2))
    )
    rows = "".join(f"<Row><F>{value}</F><F>{name}</F></Row>" for value, name in ((1, "lake"), (3, "town")))
    table = f"<GDALRasterAttributeTable>{fields}{rows}</GDALRasterAttributeTable>"
    aux.write_text(f"<PAMDataset>{band.format(table)}</PAMDataset>")
    assert read_labels(path).classes == ("0", "2", "lake", "town")
    (tmp_path / "land.classes.csv").write_text("value,name,colour,pixels,hectares\n2,wood,#000000,1,0.01\n")
    assert read_labels(path).classes == ("0", "1", "3", "wood")
    # as tables are written, so that a spreadsheet runs no name
    (tmp_path / "land.classes.csv").write_text("value,name\n1,'=bog\n2,wood\n")
    assert read_labels(path).classes == ("0", "3", "=bog", "wood")
    import rasterio

    with rasterio.open(path, "r+") as file:
        file.update_tags(TESSERA_CLASSES=json.dumps(["a", "b"]), TESSERA_VALUES="[0, 1]")
    assert read_labels(path).classes == ("2", "3", "a", "b")
    (tmp_path / "land.classes.csv").unlink()
    aux.write_text("<PAMDataset><!-- broken")
    assert read_labels(path).classes == ("2", "3", "a", "b")


@pytest.mark.parametrize(("side", "said"), [(2.0, "has pixels of 2 m"), (30.0, "has pixels of 30 m")])
def test_each_pixel_is_given_to_the_lattice_pixel_at_its_centre(tmp_path: Path, side: float, said: str) -> None:
    rng = np.random.default_rng(0)
    values = np.kron(rng.integers(0, 2, (20, 20)), np.ones((10, 10))).astype(np.uint8)
    path = write_classes(tmp_path / "a.tif", values, side=side)
    labels = read_labels(path, per_class=100_000)
    assert any(said in note for note in labels.notes)
    for (row, col), name in zip(at_pixels(labels), labels.values.tolist(), strict=True):
        inside = values[int((row + 0.5) * 10 / side), int((col + 0.5) * 10 / side)]
        assert str(inside) == name
    assert labels.counts.get("duplicate", 0) == (values.size - 40 * 40 if side == 2.0 else 0)


def test_other_crs_and_none(tmp_path: Path) -> None:
    values = land(shape=(50, 50))
    lon, lat = (float(part[0]) for part in to_lonlat([640_000.0], [5_610_000.0], 31))
    path = write_classes(tmp_path / "deg.tif", values, side=0.0002, left=lon, top=lat, crs="EPSG:4326")
    labels = read_labels(path)
    col, row = (labels.lonlat[:, 0] - lon) / 0.0002, (lat - labels.lonlat[:, 1]) / 0.0002
    assert [str(values[int(r), int(c)]) for r, c in zip(row, col, strict=True)] == labels.values.tolist()
    bare = write_classes(tmp_path / "bare.tif", values, crs=None)
    with pytest.raises(InputError, match=r"has no CRS; give the one of its coordinates \(crs=, --crs EPSG:...\)"):
        read_labels(bare)
    assert len(read_labels(bare, crs="EPSG:32631")) == len(read_labels(write_classes(tmp_path / "utm.tif", values)))
    with pytest.raises(InputError, match="declares another CRS than EPSG:3035"):
        read_labels(tmp_path / "utm.tif", crs="EPSG:3035")
    pole = write_classes(tmp_path / "pole.tif", values, side=0.1, left=0, top=88, crs="EPSG:4326")
    assert read_labels(pole).counts["beyond"] > 0
    with pytest.raises(InputError, match="lies beyond 80 S or 84 N"):
        read_labels(write_classes(tmp_path / "p.tif", values, side=0.01, left=0, top=88, crs="EPSG:4326"))


def test_bands_are_chosen_by_number_or_description(tmp_path: Path) -> None:
    import rasterio

    bands = np.stack([land(0), land(1)])
    path = write_classes(tmp_path / "two.tif", bands)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("cover", "crop")
    by_name, by_number = read_labels(path, "crop"), read_labels(path, "2")
    np.testing.assert_array_equal(by_name.values, by_number.values)
    assert [str(bands[1][place]) for place in at_pixels(by_name)] == by_name.values.tolist()
    with pytest.raises(InputError, match="has no band 'soil': 1 'cover', 2 'crop'; give one as the column"):
        read_labels(path, "soil")
    with pytest.raises(InputError, match="has 2 bands: 1 'cover', 2 'crop'; give one as the column"):
        read_labels(path)
    with pytest.raises(InputError, match="is a raster, which has no column or layer for group"):
        read_labels(path, "crop", group="site")


def test_rasters_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    values = land()
    data = write_classes(tmp_path / "a.tif", values, compress="deflate").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cannot be read as a GeoTIFF") as caught:
        read_labels(tmp_path / "cut.tif")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="has no pixel with data in band 1"):
        read_labels(write_classes(tmp_path / "none.tif", np.zeros((20, 20), np.uint8), nodata=0))
    with pytest.raises(InputError, match="only the class '1'"):
        read_labels(write_classes(tmp_path / "one.tif", np.ones((20, 20), np.uint8)))
    assert not list(tmp_path.glob("*.xml"))


def test_progress_and_totals(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    values = land()
    path = write_classes(tmp_path / "a.tif", values)
    found = sample_raster(path, each=5, all_=5, most=255, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (120, 120)
    assert found.totals == dict(enumerate(np.bincount(values.ravel()).tolist()))
