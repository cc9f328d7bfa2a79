from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from maps_helpers import COLOURS, NAMES, WINDOW, YEAR, FakeApplicability, FakeTrust, make_head, make_store, stacked

from tessera.base import InputError
from tessera.geo import Window
from tessera.maps import _picture, read_map_classes
from tessera.rasters import mode_of_valid
from tessera.testing import random_embeddings
from tessera.validation import Calibration, Trust, fit_applicability

if TYPE_CHECKING:
    from pathlib import Path

    from tessera.heads import Head
    from tessera.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store") / "s.zarr")


@pytest.fixture
def head() -> Head:
    return make_head(trust=FakeTrust(), applicability=FakeApplicability())


def bands(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as raster:
        return dict(zip(raster.descriptions, raster.read(), strict=True))


def test_probabilities_and_uncertainty_are_those_of_the_head(head: Head, store: Store, tmp_path: Path) -> None:
    path = head.map(store, WINDOW, out=tmp_path / "map.tif", probabilities=True, uncertainty=True)
    vectors = stacked(store, WINDOW)
    raw = head.probabilities_codes(vectors)
    good = vectors.valid
    p = np.full(raw.shape, np.nan, np.float32)
    p[good] = FakeTrust().probabilities(raw[good])
    found = bands(path)["class"]
    np.testing.assert_array_equal(found, head.predict_codes(vectors))
    assert (~good).mean() > 0.1
    percent = bands(tmp_path / "map.probabilities.tif")
    assert tuple(percent) == NAMES
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(percent[name][good], np.rint(100 * p[..., index][good]))
        assert (percent[name][~good] == 255).all()
    more = bands(tmp_path / "map.uncertainty.tif")
    assert tuple(more) == ("probability", "set_size", "abstained", "applicability")
    order = np.argsort(head.values)
    predicted = order[np.searchsorted(np.asarray(head.values)[order], found[good])]
    np.testing.assert_array_equal(more["probability"][good], np.take_along_axis(p[good], predicted[:, None], 1)[:, 0])
    np.testing.assert_array_equal(more["set_size"][good], (p[good] >= 0.2).sum(axis=1))
    np.testing.assert_array_equal(more["abstained"][good], p[good].max(axis=1) < 0.5)
    np.testing.assert_array_equal(more["applicability"][good], vectors[good].values().mean(axis=1))
    assert all(np.isnan(band[~good]).all() for band in more.values())
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("map.classes.csv", "map.png", "map.probabilities.tif", "map.qml", "map.tif", "map.tif.aux.xml"),
        *("map.uncertainty.png", "map.uncertainty.tif"),
    ]


def test_bounds_of_numbers_and_no_truncation(store: Store, tmp_path: Path) -> None:
    head = make_head(numbers=True, trust=FakeTrust(numbers=True))
    path = head.map(store, WINDOW, out=tmp_path / "map.tif", uncertainty=True)
    want = head.predict_codes(stacked(store, WINDOW))
    found = bands(path)["height"]
    assert found.dtype == np.float32
    # sums of float32 depend on how many rows are multiplied at once
    np.testing.assert_allclose(found, want, atol=1e-5)
    assert (found[np.isfinite(found)] % 1 != 0).mean() > 0.99
    more = bands(tmp_path / "map.uncertainty.tif")
    assert tuple(more) == ("lower", "upper", "width")
    np.testing.assert_array_equal(more["lower"], found - np.float32(0.5))
    np.testing.assert_array_equal(more["upper"], found + np.float32(1.5))
    np.testing.assert_array_equal(more["width"], more["upper"] - more["lower"])


def test_a_head_abstains_only_when_asked_and_with_a_value_of_its_own(head: Head, store: Store, tmp_path: Path) -> None:
    plain = bands(head.map(store, WINDOW, out=tmp_path / "a.tif", uncertainty=True, png=False))["class"]
    abstains = bands(tmp_path / "a.uncertainty.tif")["abstained"] == 1
    assert 0.01 < abstains.mean() < 0.9
    path = head.map(store, WINDOW, out=tmp_path / "b.tif", abstain=True, probabilities=True)
    np.testing.assert_array_equal(bands(path)["class"], np.where(abstains, 254, plain))
    legend = read_map_classes(path)
    assert [(one.value, one.name) for one in legend][-1] == (254, "uncertain")
    assert legend[-1].pixels == abstains.sum()
    with rasterio.open(path) as raster:
        assert raster.tags()["TESSERA_ABSTAINED"] == "254"
        assert 254 in raster.colormap(1)
    assert "254" in (tmp_path / "b.qml").read_text()


def test_trust_and_applicability_of_this_package(store: Store, tmp_path: Path) -> None:
    vectors = stacked(store, WINDOW)
    good = vectors.valid
    near = fit_applicability(vectors[good].values()[:200], np.arange(200) % 4)
    trust = Trust(Calibration("temperature", 2.0), 0.9, 0.6, threshold=0.45)
    head = make_head(trust=trust, applicability=near)
    head.map(store, WINDOW, out=tmp_path / "map.tif", uncertainty=True, probabilities=True)
    p = trust.probabilities(head.probabilities_codes(vectors)[good])
    more = bands(tmp_path / "map.uncertainty.tif")
    np.testing.assert_array_equal(more["set_size"][good], trust.sets(p).sum(axis=1))
    np.testing.assert_array_equal(more["abstained"][good], trust.abstains(p))
    np.testing.assert_allclose(more["applicability"][good], near.distance(vectors[good].values()), rtol=1e-4, atol=1e-4)
    assert 0 < more["abstained"][good].mean() < 1
    found = np.stack(list(bands(tmp_path / "map.probabilities.tif").values()), axis=-1)
    np.testing.assert_array_equal(found[good], np.rint(100 * p))


def test_what_a_head_cannot_tell_is_refused(store: Store, tmp_path: Path) -> None:
    cases: tuple[tuple[Head, dict[str, Any], str], ...] = (
        (make_head(), {"abstain": True}, "no threshold to abstain below"),
        (make_head(numbers=True), {"probabilities": True}, "probabilities of a head of numbers"),
        (make_head(numbers=True), {"abstain": True}, "abstention of a head of numbers"),
        (make_head(numbers=True), {"uncertainty": True}, "knows no interval and no distance"),
    )
    for head, wanted, message in cases:
        with pytest.raises(InputError, match=message):
            head.map(store, WINDOW, out=tmp_path / "map.tif", **wanted)
    assert list(tmp_path.iterdir()) == []


def test_several_years_and_stores_are_read_in_the_order_of_the_inputs(store: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "o.zarr", seed=5)
    other.write(random_embeddings(WINDOW, 9), YEAR + 1)
    head = make_head(years=(YEAR, YEAR + 1))
    want = head.predict_codes(stacked(other, WINDOW, (YEAR, YEAR + 1)))
    assert (want != head.predict_codes(stacked(other, WINDOW, (YEAR + 1, YEAR)))).any()
    path = head.map(other, WINDOW, out=tmp_path / "a.tif", png=False)
    np.testing.assert_array_equal(bands(path)["class"], want)
    with rasterio.open(path) as raster:
        assert raster.tags()["TESSERA_YEAR"] == f"{YEAR}, {YEAR + 1}"
        assert raster.tags()["TESSERA_STORE"] == "o.zarr, o.zarr"
    found = bands(head.map([store, other], WINDOW, out=tmp_path / "b.tif", png=False, year=[YEAR, YEAR]))["class"]
    both = type(stacked(store, WINDOW))((*stacked(store, WINDOW).parts, *stacked(other, WINDOW).parts))
    np.testing.assert_array_equal(found, head.predict_codes(both))
    with pytest.raises(InputError, match=r"3 stores; the head reads 8 dims of test of 2024, 8 dims of test of 2025"):
        head.map([store] * 3, WINDOW, out=tmp_path / "c.tif")
    with pytest.raises(InputError, match=r"year 2024; the head reads .*: expected a year for each"):
        head.map(other, WINDOW, YEAR, out=tmp_path / "c.tif")
    # the years of the head are the default, and a store without one is refused
    with pytest.raises(InputError, match="the store has no year 2025; it has 2024"):
        head.map(store, WINDOW, out=tmp_path / "c.tif")


def test_values_are_those_of_the_head_whatever_the_order_of_its_classes(store: Store, tmp_path: Path) -> None:
    head = make_head()
    assert head.values == (0, 1, 2, 10)
    turn = [3, 0, 2, 1]
    learnt = replace(head.learnt, weights=head.learnt.weights[turn], bias=head.learnt.bias[turn])  # type: ignore[attr-defined, call-arg]
    other = replace(head, learnt=learnt, classes=tuple(NAMES[k] for k in turn), colours=tuple(COLOURS[k] for k in turn))
    assert other.values != head.values
    maps = [one.map(store, WINDOW, out=tmp_path / f"{k}.tif", png=False) for k, one in enumerate((head, other))]
    names = []
    for path in maps:
        legend = {one.value: one.name for one in read_map_classes(path)}
        with rasterio.open(path) as raster:
            tags = raster.tags()
            assert (
                dict(zip(json.loads(tags["TESSERA_VALUES"]), json.loads(tags["TESSERA_CLASSES"]), strict=True))
                == legend
            )
        names.append(np.vectorize(lambda value, legend=legend: legend.get(value, ""))(bands(path)["class"]))
    np.testing.assert_array_equal(*names)
    assert len(np.unique(names[0])) == 5


def test_a_map_is_a_cloud_optimised_geotiff_with_provenance(tmp_path: Path) -> None:
    window = Window(31, 64400, 561100, 1100, 600)
    store = make_store(tmp_path / "s.zarr", window)
    head = make_head(provenance={"labels": {"sha256": "ef" * 32}})
    path = head.map(store, window, out=tmp_path / "map.tif", png=False)
    assert b"LAYOUT=IFDS_BEFORE_DATA" in path.read_bytes()[:300]
    with rasterio.open(path) as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.overviews(1) == [2, 4]
        assert raster.block_shapes == [(512, 512)]
        tags = raster.tags()
        whole = raster.read()
        assert (tags["TESSERA_MODEL"], tags["TESSERA_YEAR"], tags["TESSERA_STORE"]) == ("test", str(YEAR), "s.zarr")
        assert tags["TESSERA_LABELS_SHA256"] == "ef" * 32
        assert len(tags["TESSERA_HEAD_SHA256"]) == 64
        assert tags["TESSERA_VERSION"]
    with rasterio.open(path, overview_level=0) as half:
        np.testing.assert_array_equal(half.read()[0], mode_of_valid(255)(whole[0][..., None])[..., 0])
        assert half.colormap(1)[10][:3] == (0xAA, 0xAA, 0)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.sampled_from([0, 3, 255]))
)
def test_an_overview_shows_the_commonest_class(values: Any) -> None:
    found = mode_of_valid(255)(values[..., None])[..., 0]
    for row in range(found.shape[0]):
        for col in range(found.shape[1]):
            four = [v for v in values[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].reshape(-1).tolist() if v != 255]
            want = max(dict.fromkeys(four), key=four.count) if four else 255
            assert found[row, col] == want


@pytest.mark.parametrize(
    ("bands", "numbers", "want"),
    [
        (("width",), (44.22096, 44.22097), ("width of the interval", ["44.22 everywhere"])),
        (("width", "applicability"), (44.22096, 44.22097, 0.0, 9.0), ("distance to the labels (1 = threshold)", None)),
        (("width", "applicability"), (4.0, 9.0, 0.5, 1.2), ("width of the interval", None)),
    ],
)
def test_the_picture_of_uncertainty_shows_what_varies(
    bands: tuple[str, ...], numbers: tuple[float, ...], want: tuple[str, Any], monkeypatch: Any, tmp_path: Path
) -> None:
    layers = np.repeat(np.array(numbers, np.float32).reshape(len(bands), 1, 2), 3, axis=1)
    drawn: dict[str, Any] = {}

    def draw(path: Path, index: Any, entries: Any, **kwargs: Any) -> None:
        drawn.update(index=index, entries=entries, **kwargs)

    monkeypatch.setattr(_picture, "_small", lambda tiff, band, window: layers[band - 1])
    monkeypatch.setattr(_picture, "draw_map", draw)
    _picture.draw_uncertainty(tmp_path / "u.png", tmp_path / "u.tif", bands, "height", WINDOW)
    heading, names = want
    found = [name for name, _ in drawn["entries"]]
    assert drawn["heading"] == heading
    assert names is None or found == names
    assert drawn["index"].max() < len(found)
    if heading.startswith("distance"):
        # the threshold is a border of the legend, and beyond it the map is darker
        assert found[:3] == ["below 1", "1 to 2", "2 to 4"]
        light = [int(colour[1:3], 16) + int(colour[3:5], 16) for _, colour in drawn["entries"]]
        assert light == sorted(light, reverse=True)


def test_the_name_of_where_a_head_abstains_is_no_name_of_a_class(store: Store, tmp_path: Path) -> None:
    names = ("uncertain", "(uncertain)", "((uncertain))", "10")
    head = replace(make_head(trust=FakeTrust()), classes=names)
    path = head.map(store, WINDOW, out=tmp_path / "a.tif", abstain=True, polygons=tmp_path / "a.gpkg", png=False)
    assert [one.name for one in read_map_classes(path)][-1] == "(((uncertain)))"
    assert len({one.name for one in read_map_classes(path)}) == 5
