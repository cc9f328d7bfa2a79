"""What labels hold, whether it is enough, the file and the picture of it, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from label_files import WINDOW, Source, box_at, collection, lonlat_at, point_at, read_labels, write_classes, write_json

from tessera.base import InputError, silent
from tessera.geo import Window
from tessera.labels import Labels, _picture, describe_labels, label_codes, write_labels
from tessera.testing import random_embeddings, small_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


def many(places: dict[str, int], per_place: int = 1) -> Labels:
    """Labels of so many places of each class, far apart, each of some pixels."""
    rng = np.random.default_rng(0)
    names = [name for name, count in places.items() for _ in range(count)]
    centres = np.column_stack([rng.uniform(0, 20, len(names)), rng.uniform(40, 55, len(names))])
    lonlat = np.repeat(centres, per_place, axis=0) + np.tile(np.arange(per_place)[:, None] * 2e-4, (len(names), 2))
    values = np.empty(len(lonlat), dtype=object)
    values[:] = np.repeat(names, per_place)
    return Labels(values, groups=np.repeat(np.arange(len(names)), per_place), lonlat=lonlat)


def test_verdicts_count_places_and_not_pixels() -> None:
    counts = {"a": 4, "b": 5, "c": 19, "d": 20, "e": 49, "f": 50}
    for per_place in (1, 30):
        report = describe_labels(many(counts, per_place))
        assert {row.name: row.places for row in report.rows} == counts
        verdicts = {row.name: row.verdict for row in report.rows}
        assert verdicts == {"a": "too few", "b": "few", "c": "few", "d": "fair", "e": "fair", "f": "enough"}
        assert [row.labels for row in report.rows] == [count * per_place for count in counts.values()]
        said = "\n".join(report.advice)
        assert "label more places of a (+16), or merge such a class with a similar one" in said
        assert "b (+15), c (+1): below 20 scores rise quickly" in said
        assert ("more pixels of the same places will not help (30 a place now)" in said) == (per_place == 30)
    report = describe_labels(many({"a": 60, "b": 70}))
    assert report.advice == ()
    assert "more places of a still help" in describe_labels(many({"a": 30, "b": 70})).advice[0]


def test_labels_in_one_block_are_told() -> None:
    rng = np.random.default_rng(0)
    names = np.array(["near"] * 30 + ["far"] * 60, dtype=object)
    lonlat = np.concatenate([5 + rng.uniform(0, 1e-3, (30, 2)), rng.uniform(10, 40, (60, 2))])
    report = describe_labels(Labels(names, lonlat=lonlat))
    assert {row.name: row.blocks for row in report.rows} == {"near": 1, "far": 60}
    assert any("all of near lie in one block, so that a spatial split cannot test it" in one for one in report.advice)


def test_numbers_are_described_by_ranges() -> None:
    rng = np.random.default_rng(0)
    lonlat = np.column_stack([rng.uniform(0, 20, 100), rng.uniform(40, 55, 100)])
    report = describe_labels(Labels(np.linspace(1.5, 40, 100), "regression", lonlat=lonlat))
    assert [row.labels for row in report.rows] == [20] * 5
    assert report.to_json()["range"] == [1.5, 40.0]
    assert "100 have a number, errors fall quickly up to about 150" in report.advice[0]
    flat = describe_labels(Labels(np.full(10, 2.0), "regression", lonlat=lonlat[:10]))
    assert [row.name for row in flat.rows] == ["2 to 2"]


def test_a_store_tells_what_lies_outside_and_on_no_data() -> None:
    store = Source(empty=slice(100, 160))
    shapes = [point_at(10.5, 10.5), point_at(120.5, 10.5), point_at(300.5, 10.5), point_at(20.5, 20.5)]
    report = describe_labels(read_labels(collection(shapes, ["a", "a", "b", "b"]), "crop"), store, 2022)
    assert (report.outside, report.no_data, report.usable.tolist()) == (1, 1, [True, False, False, True])
    assert "2 labels have data in 2022; 1 lie outside the store, 1 on pixels without data" in report.text()
    assert json.loads(json.dumps(report.to_json()))["outside"] == 1
    with pytest.raises(InputError, match="no year 1999"):
        describe_labels(report.labels, store, 1999)
    with pytest.raises(InputError, match="2021, 2022"):
        describe_labels(report.labels, store)
    gone = describe_labels(read_labels(collection(shapes, ["a", "b", "b", "a"]), "crop"), store, 2022)
    assert "b cannot be learnt: no label lies on a pixel with data" in gone.advice[0]


def test_labels_are_looked_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tessera.labels.source._PART", 100)
    store = Source(empty=slice(0, 10))
    lonlat = lonlat_at(np.arange(1000) % 160 + 0.5, np.arange(1000) // 160 + 0.5)
    told: list[int] = []
    usable, gone = label_codes(store, lonlat, 2021, "x", progress=lambda done, _: told.append(done))
    assert store.asked == 100
    assert told[-1] == 1000
    assert usable.tolist() == [at % 160 >= 10 for at in range(1000)]
    assert not gone.any()


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg", ".fgb", ".geojson"])
def test_written_labels_are_read_back_as_the_same(tmp_path: Path, suffix: str) -> None:
    shapes = [box_at(0, 0, 12, 12), box_at(20, 0, 32, 12), point_at(50.5, 50.5), box_at(60, 60, 70, 70)]
    source = collection(shapes, ["01", "1", "01", "h\u00eatre"], site=["s", "s", "t", None], land=["n", "n", "s", "s"])
    labels = read_labels(source, "crop", group="site", region="land")
    path = write_labels(labels, tmp_path / f"a{suffix}")
    again = read_labels(path, "crop")
    if suffix == ".fgb":
        # written in the order of its index
        order = np.argsort([np.flatnonzero((labels.lonlat == place).all(axis=1))[0] for place in again.lonlat])
        keep = {name: getattr(again, name)[order] for name in ("values", "lonlat", "groups", "regions")}
        again = replace(again, **keep)
    assert again.values.tolist() == labels.values.tolist()
    assert again.classes == ("01", "1", "h\u00eatre")
    np.testing.assert_allclose(again.lonlat, labels.lonlat, atol=1e-12 if suffix != ".geojson" else 1e-6)
    assert again.regions.tolist() == labels.regions.tolist()
    same = labels.groups[:, None] == labels.groups[None]
    assert np.array_equal(again.groups[:, None] == again.groups[None], same)
    assert again.counts == {}
    write_labels(labels, path)
    (tmp_path / "mine.parquet").write_text("x")
    with pytest.raises(InputError, match="exists and is no earlier labels"):
        write_labels(labels, tmp_path / "mine.parquet")


def is_picture(path: Path, *, colours: int) -> bool:
    """A PNG with more than so many colours."""
    from matplotlib.image import imread

    image = np.asarray(imread(path))
    return len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > colours


@pytest.mark.parametrize("spread", ["near", "zone", "wide", "one", "line"])
def test_pictures_of_every_spread(tmp_path: Path, spread: str) -> None:
    rng = np.random.default_rng(0)
    near = lonlat_at(rng.uniform(5, 155, 40), rng.uniform(5, 115, 40))
    others = {
        "near": near[:5],
        "zone": np.column_stack([rng.uniform(4, 6, 30), rng.uniform(49, 52, 30)]),
        "wide": np.column_stack([rng.uniform(-30, 60, 30), rng.uniform(-40, 70, 30)]),
        "one": near[:1],
        "line": lonlat_at(np.linspace(1, 159, 30), np.full(30, 60.0)),
    }
    lonlat = np.concatenate([near if spread in ("near", "zone", "wide") else near[:0], others[spread]])
    values = np.array([f"_{at % 3} <&$" for at in range(len(lonlat))], dtype=object)
    labels = Labels(values, lonlat=lonlat)
    store = Source()
    store.years = (2021,)
    report = describe_labels(labels)
    plain = report.draw(tmp_path / "plain.png")
    assert is_picture(plain, colours=10)
    seen = describe_labels(labels, store)
    drawn = seen.draw(tmp_path / "land.png", store)
    assert is_picture(drawn, colours=200 if spread in ("near", "line") else 10)
    assert drawn.read_bytes() == seen.draw(tmp_path / "again.png", store).read_bytes()
    with pytest.raises(InputError, match="described without one"):
        report.draw(tmp_path / "x.png", store)
    with pytest.raises(InputError, match=r"ends in \.png"):
        report.draw(tmp_path / "x.jpg")


def test_numbers_are_drawn_too(tmp_path: Path) -> None:
    labels = Labels(np.linspace(0, 9, 20), "regression", lonlat=lonlat_at(np.arange(20) * 5.0, np.arange(20) * 3.0))
    assert is_picture(describe_labels(labels).draw(tmp_path / "a.png"), colours=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of 128 x 128 pixels, and labels on it and beside it."""
    window = Window(31, 64000, 561024, 128, 128)
    store = small_store(tmp_path / "store.zarr")
    store.write(random_embeddings(window, no_data=0.0), 2024)
    shapes = [box_at(at, at, at + 6, at + 6) for at in range(0, 60, 6)] + [box_at(900, 0, 910, 10)]
    write_json(tmp_path / "plots.geojson", collection(shapes, [*"ababababab", "a"], site=[at // 2 for at in range(11)]))
    return tmp_path


def test_the_command(folder: Path, run: Run) -> None:
    png, out = folder / "labels.png", folder / "labels.parquet"
    plots, store = folder / "plots.geojson", folder / "store.zarr"
    given: list[Any] = ["labels", plots, "--column", "crop", "--store", store, "--group", "site"]
    code, text, _ = run(*given, "--png", png, "-o", out)
    assert code == 0
    assert "2 classes (classification), in 6 places" in text
    assert "lie outside the store" in text
    assert f"saved: {out}, {png}" in text
    assert png.is_file()
    code, text, _ = run("labels", "file", out, "--column", "crop", "--json")
    about = json.loads(text)
    assert (code, about["kind"], about["places"]) == (0, "classification", 6)
    code, text, _ = run(*given, "--json", "--edges", "keep", "--per-polygon", 5)
    assert json.loads(text)["counts"] == {"capped": 11}
    code, _, err = run("labels", plots)
    assert code == 2
    assert "needs a column of classes or numbers (--column); it has crop, site" in err
    code, _, err = run("labels", plots, "--column", "crop", "-o", plots)
    assert code == 2
    assert "is, or lies in, the input" in err
    code, _, err = run("labels", plots, "--column", "crop", "--png", folder / "x.jpg")
    assert code == 2
    raster = write_classes(folder / "land.tif", np.arange(20_000).reshape(100, 200).astype(np.uint8) % 3)
    code, text, _ = run("labels", raster, "--per-class", 50)
    assert code == 0
    assert "150 labels of column 'class', 3 classes" in text


@pytest.mark.parametrize("most", [10, 1400])
def test_the_land_lies_where_it_is(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("tessera.labels._picture.MAX_SIDE", most)
    store = Source()
    store.codes[:] = 100
    store.codes[:, 80:] = [-50, 20, 90, 0]
    store.codes[60:, 80:] = [-50, -120, 10, 80]
    lonlat = lonlat_at([0.5, 159.5], [0.5, 119.5])
    frame, x, y = _picture._frame(lonlat, np.ones(2, dtype=np.bool_))
    image, (left, right, bottom, top) = _picture._land(store, 2021, frame, silent)
    rows, columns = image.shape[:2]

    def colour(col: float, row: float) -> tuple[int, ...]:
        """The colour of a place in pixel units of the store's window."""
        east, north = (WINDOW.west + col) / 100, (WINDOW.north - row) / 100
        at = int((top - north) / (top - bottom) * rows), int((east - left) / (right - left) * columns)
        return tuple(image[at].tolist())

    west, north_east, south_east = colour(40, 60), colour(120, 30), colour(120, 90)
    assert len({west, north_east, south_east, (255, 255, 255)}) == 4
    assert colour(77, 10) == colour(5, 115) == west
    assert colour(83, 5) == colour(155, 57) == north_east
    assert colour(83, 63) == colour(155, 115) == south_east
    assert colour(-4, 60) == colour(163, 60) == (255, 255, 255)
    assert x.min() > left
    assert y.max() < top


@pytest.mark.parametrize("size", [(0.01, 0.008), (0.003, 0.03), (0.09, 0.004), (9.0, 6.0)])
def test_the_scale_bar_and_the_arrow_hide_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[float, float]
) -> None:
    """Labels along all edges: none lies under the bar, its letters, or the arrow."""
    kept: list[Any] = []

    def save(figure: Any, path: Path, *_: Any, **__: Any) -> Path:
        figure.draw_without_rendering()
        kept.append(figure)
        return path

    monkeypatch.setattr(_picture, "save_figure", save)
    steps = np.linspace(0, 1, 60)
    ends = np.repeat([0.0, 1.0], 60)
    unit = np.concatenate([np.column_stack([np.tile(steps, 2), ends]), np.column_stack([ends, np.tile(steps, 2)])])
    labels = Labels(np.array(["a", "b"] * 120, dtype=object), lonlat=np.array([5.0, 50.6]) + unit * size)
    describe_labels(labels).draw(tmp_path / "a.png")
    (axes,) = kept[0].axes
    bar, *dots = sorted(axes.lines, key=lambda one: one.get_marker() == "o")
    boxes = [one.get_window_extent() for one in axes.texts if one.get_text() and not one.get_text().startswith("note")]
    assert len(boxes) == 2
    ends_ = axes.transData.transform(np.column_stack(bar.get_data()))
    boxes.append(type(boxes[0])([ends_.min(axis=0) - 4, ends_.max(axis=0) + 4]))
    places = np.concatenate([axes.transData.transform(np.column_stack(one.get_data())) for one in dots])
    assert len(places) == 240
    half = 3.5 / 72 * kept[0].dpi
    for box in boxes:
        near = (places[:, 0] > box.x0 - half) & (places[:, 0] < box.x1 + half)
        assert not (near & (places[:, 1] > box.y0 - half) & (places[:, 1] < box.y1 + half)).any()
