"""A change from the store to the files: the same as by hand, whatever the blocks, and after a stop."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from changes_made import NAMES, WINDOW, embeddings, fake_head, number_head, truth, years_store

from tessera.base import InputError, TesseraError
from tessera.changes import Change, _blocks, change, changing, cosine_distance
from tessera.embeddings import CodedVectors
from tessera.geo import to_lonlat
from tessera.labels import Labels
from tessera.store import Store

rasterio: Any = pytest.importorskip("rasterio")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return years_store(tmp_path_factory.mktemp("years") / "store.zarr", (2021, 2022, 2023))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "SIDE", 64)
    monkeypatch.setattr(changing, "SIDE", 64)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path, driver="GTiff") as raster:
        return np.asarray(raster.read())


def by_hand(years: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    parts = [CodedVectors(made.codes, made.scales) for made in map(embeddings, years)]
    head = fake_head()
    return cosine_distance(*parts), [head.predict_codes(part) for part in parts]


def in_degrees(box: tuple[int, int, int, int]) -> Any:
    """A polygon of rows and columns of the window."""
    top, bottom, left, right = box
    left_m, _, _, top_m = WINDOW.bounds
    ring = shapely.box(left_m + 10 * left, top_m - 10 * bottom, left_m + 10 * right, top_m - 10 * top)
    return shapely.transform(shapely.segmentize(ring, 50), lambda p: np.column_stack(to_lonlat(p[:, 0], p[:, 1], 31)))


def collection(boxes: list[tuple[int, int, int, int]], **columns: list[str]) -> dict[str, Any]:
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {name: values[row] for name, values in columns.items()},
            "geometry": shapely.geometry.mapping(in_degrees(box)),
        }
        for row, box in enumerate(boxes)
    ]
    return {"type": "FeatureCollection", "features": features}


def test_the_files_hold_what_is_computed_by_hand(store: Store, tmp_path: Path) -> None:
    found = change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", head=fake_head())
    distance, classes = by_hand((2021, 2022))
    bands = read(tmp_path / "c.tif")
    assert np.array_equal(bands[0], distance, equal_nan=True)
    threshold = found.moved[0].threshold
    assert threshold.source == "same class"
    flag = np.where(np.isnan(distance), np.nan, distance > np.float32(threshold.distance))
    assert np.array_equal(bands[1], flag, equal_nan=True)
    assert np.array_equal(read(tmp_path / "c.classes.tif"), np.stack(classes))
    same = np.isfinite(distance) & (classes[0] == classes[1])
    assert threshold.pixels == same.sum()
    assert (distance[same] > threshold.distance).mean() == pytest.approx(0.01, abs=0.002)
    assert found.moved[0].pixels == np.isfinite(distance).sum()
    assert found.moved[0].changed == np.nansum(flag)
    (transition,) = found.transitions
    index = {value: number for number, value in enumerate(fake_head().values)}
    for one, source in index.items():
        for other, target in index.items():
            pixels = ((classes[0] == one) & (classes[1] == other) & np.isfinite(distance)).sum()
            assert transition.mapped[source, target] == pytest.approx(pixels / 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "c.classes.tif",
        "c.png",
        "c.tif",
        "c.transitions.csv",
        "c.transitions.png",
    ]
    assert sorted(found.files) == sorted(tmp_path.iterdir())
    with (tmp_path / "c.transitions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[3]["mapped_ha"]) == pytest.approx(transition.mapped[1, 0])
    assert rows[3]["from"] == "7"
    # the made change is found
    changed = (truth(2021) != truth(2022)) & np.isfinite(distance)
    assert flag[changed].mean() > 0.95
    assert transition.low[1, 0] - 0.02 <= changed.sum() / 100 <= transition.high[1, 0]


def test_the_geotiff_is_a_cog_that_says_what_it_is(store: Store, tmp_path: Path) -> None:
    change(store, WINDOW, (2021, 2022, 2023), tmp_path / "c.tif", png=False)
    with rasterio.open(tmp_path / "c.tif", driver="GTiff") as raster:
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.descriptions == (
            "distance 2021 to 2022",
            "changed 2021 to 2022",
            "distance 2022 to 2023",
            "changed 2022 to 2023",
        )
        assert raster.tags()["TESSERA_YEARS"] == "2021, 2022, 2023"
        assert "cosine distance of" in raster.tags()["THRESHOLDS"]
        assert raster.crs.to_epsg() == 32631
        assert np.isnan(raster.nodata)
    assert [path.name for path in tmp_path.iterdir()] == ["c.tif"]


def test_blocks_do_not_change_a_byte(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["c.tif", "c.classes.tif", "t.csv"]
    polygons = collection([(5, 50, 20, 90), (60, 90, 100, 150)], name=["a", "b"])
    options: dict[str, Any] = {"head": fake_head(), "polygons": polygons, "name": "name", "png": False}
    seen = []
    for number, side in enumerate((32, 160)):
        monkeypatch.setattr(_blocks, "SIDE", side)
        folder = tmp_path / str(number)
        change(store, WINDOW, (2021, 2022), folder / "c.tif", table=folder / "t.csv", **options)
        seen.append([(folder / name).read_bytes() for name in names])
    assert seen[0] == seen[1]


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(store: Store, tmp_path: Path) -> None:
    whole = change(store, WINDOW, (2021, 2022), tmp_path / "whole" / "c.tif", head=fake_head())
    target = tmp_path / "stopped" / "c.tif"

    def stop(done: int, total: int) -> None:
        assert total == 6
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change(store, WINDOW, (2021, 2022), target, head=fake_head(), progress=stop)
    assert not target.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in target.parent.glob(".c.tif.spool/*.part")}
    assert len(kept) == 3
    read_again: list[int] = []
    original = store.iter_codes

    class Watched(type(store)):  # type: ignore[misc]
        def iter_codes(self, *args: Any, **options: Any) -> Any:
            read_again.append(1)
            return original(*args, **options)

    watched = Watched(store.objects, store.header, store.source)
    change(watched, WINDOW, (2021, 2022), target, head=fake_head())
    assert len(read_again) == 2 * 3
    for path in whole.files:
        assert path.read_bytes() == (target.parent / path.name).read_bytes()
    assert sorted(path.name for path in target.parent.iterdir()) == sorted(path.name for path in whole.files)


def test_an_area_is_cut_at_its_border(store: Store, tmp_path: Path) -> None:
    area = in_degrees((10, 60, 20, 120))
    change(store, area, (2021, 2022), tmp_path / "c.tif", png=False)
    distance, _ = by_hand((2021, 2022))
    with rasterio.open(tmp_path / "c.tif", driver="GTiff") as raster:
        assert (raster.height, raster.width) == (50, 100)
        assert np.array_equal(raster.read(1), distance[10:60, 20:120], equal_nan=True)
    slanted = shapely.Polygon([area.exterior.coords[0], area.exterior.coords[20], area.exterior.coords[40]])
    found = change(store, slanted, (2021, 2022), tmp_path / "d.tif", png=False)
    assert 0 < found.moved[0].pixels < 50 * 100


def test_stable_places_set_the_threshold_and_show_drift(tmp_path: Path) -> None:
    store = years_store(tmp_path / "drifted.zarr", shift=0)
    store.write(embeddings(2023, shift=30), 2023)
    stable = collection([(50, 96, 0, 40), (0, 40, 80, 160)])
    found = change(store, WINDOW, (2022, 2023), tmp_path / "c.tif", stable=stable, false_alarms=0.05, png=False)
    distance = cosine_distance(
        *(CodedVectors(made.codes, made.scales) for made in (embeddings(2022), embeddings(2023, shift=30)))
    )
    inside = np.zeros(WINDOW.shape, dtype=bool)
    inside[50:96, :40] = inside[:40, 80:] = True
    held = distance[inside & np.isfinite(distance)]
    threshold = found.moved[0].threshold
    assert (threshold.source, threshold.pixels) == ("stable", len(held))
    assert (held > threshold.distance).mean() == pytest.approx(0.05, abs=0.002)
    (drift,) = found.drift
    assert drift.source == "stable"
    with_head = change(store, WINDOW, (2022, 2023), tmp_path / "h.tif", head=fake_head(), png=False)
    # codes 30 x scale over a spread of 6 x scale in 8 dims, whose scale varies
    assert with_head.drift[0].shift > 1
    assert len(with_head.warnings) == 1
    assert "fit one on labels of both years" in with_head.report()
    calm = change(store, WINDOW, (2021, 2022), tmp_path / "n.tif", head=fake_head(), png=False)
    assert calm.drift[0].shift < 0.2
    assert calm.warnings == ()


def test_polygons_are_followed_year_by_year(store: Store, tmp_path: Path) -> None:
    boxes = [(10, 30, 45, 75), (50, 90, 10, 30), (0, 10, 0, 160), (60, 70, 150, 160)]
    polygons = collection(boxes, name=["felled", "field", "strip", "pond"])
    years = (2021, 2022, 2023)
    found = change(
        store,
        None,
        years,
        tmp_path / "c.tif",
        head=fake_head(),
        polygons=polygons,
        name="name",
        table=tmp_path / "t.parquet",
    )
    line = found.timeline
    assert line is not None
    assert line.names == ("felled", "field", "strip", "pond")
    pairs = [by_hand((2021, 2022)), by_hand((2022, 2023))]
    maps = [*pairs[0][1], pairs[1][1][1]]
    for row, (top, bottom, left, right) in enumerate(boxes):
        place = slice(top, bottom), slice(left, right)
        for year, classes in enumerate(maps):
            for kind, value in enumerate(fake_head().values):
                assert line.pixels[row, year, kind] == (classes[place] == value).sum()
        for pair, (distance, _) in enumerate(pairs):
            assert line.distance[row, pair + 1] == pytest.approx(np.nanmean(distance[place].astype(float)))
    assert line.changed.tolist() == [True, False, False, False]
    assert np.isnan(line.distance[:, 0]).all()
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "t.parquet")
    assert table.column_names == [
        "polygon",
        "year",
        "pixels",
        "distance",
        "compared",
        *(f"share {name}" for name in NAMES),
    ]
    assert table.num_rows == 12
    assert table["distance"][0].as_py() is None
    assert table["share 7"][0].as_py() > 0.9
    assert (tmp_path / "t.png").is_file()


def test_numbers_have_a_difference_and_a_mean(store: Store, tmp_path: Path) -> None:
    polygons = collection([(10, 30, 45, 75)])
    found = change(
        store, WINDOW, (2021, 2022), tmp_path / "c.tif", head=number_head(), polygons=polygons, table=tmp_path / "t.csv"
    )
    one, other = (
        number_head().predict_codes(CodedVectors(made.codes, made.scales))
        for made in (embeddings(2021), embeddings(2022))
    )
    assert np.array_equal(read(tmp_path / "c.tif")[2], other - one, equal_nan=True)
    assert found.transitions == ()
    assert found.timeline is not None
    place = slice(10, 30), slice(45, 75)
    assert found.timeline.means[0].tolist() == pytest.approx(
        [np.nanmean(part[place].astype(float)) for part in (one, other)]
    )
    assert (tmp_path / "t.csv").read_text().splitlines()[0] == '"polygon","year","pixels","distance","compared","mean"'
    assert not (tmp_path / "c.classes.tif").exists()


def test_a_reference_sample_gives_areas_with_intervals(store: Store, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, WINDOW.height, 400), rng.integers(0, WINDOW.width, 400)
    lon, lat = to_lonlat((WINDOW.west + cols + 0.5) * 10, (WINDOW.north - rows - 0.5) * 10, 31)
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"was": NAMES[truth(2021)[row, col]], "is": NAMES[truth(2022)[row, col]]},
            "geometry": {"type": "Point", "coordinates": [float(x), float(y)]},
        }
        for row, col, x, y in zip(rows, cols, lon, lat, strict=True)
    ]
    options: dict[str, Any] = {
        "head": fake_head(),
        "png": False,
        "design": "random",
        "reference_columns": ("was", "is"),
    }
    points = {"type": "FeatureCollection", "features": features}
    found = change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", reference=points, **options)
    (transition,) = found.transitions
    assert transition.source == "sample"
    with_data = np.isfinite(by_hand((2021, 2022))[0])
    felled = (with_data & (truth(2021) == 1) & (truth(2022) == 0)).sum() / 100
    assert transition.low[1, 0] <= felled <= transition.high[1, 0]
    assert any("points of the reference sample have no data" in note for note in found.notes)
    features[0]["properties"]["is"] = "town"
    with pytest.raises(InputError, match="row 1: 'town' is no class of the head; it has crop, 7, water"):
        change(store, WINDOW, (2021, 2022), tmp_path / "d.tif", reference=points, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"years": (2021,)}, "expected 2 to 40 years"),
        ({"years": (2022, 2021)}, "rising"),
        ({"years": (2021, 2030)}, "no year 2030"),
        ({"out": "c.png"}, r"ends in \.tif"),
        ({"false_alarms": 0.6}, "false alarms 0.6"),
        ({"threshold": 3.0}, "threshold 3"),
        ({"head": fake_head(), "labels": "a.csv"}, "expected one of them"),
        ({"labels": {"type": "FeatureCollection", "features": []}}, "labels without a column"),
        ({"table": "t.csv"}, "a table without polygons"),
        ({"reference": {}}, "go together"),
        ({"area": None}, "neither an area nor polygons"),
        ({"area": (20.0, 50.0, 20.1, 50.1)}, "holds nothing of 2021 2022"),
        ({"polygons": {"type": "LineString", "coordinates": [[5, 50], [5, 51]]}}, "expected polygons or points"),
    ],
)
def test_bad_calls_are_one_line(
    options: dict[str, Any], said: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given: dict[str, Any] = {"area": WINDOW, "years": (2021, 2022), "out": "c.tif", **options}
    with pytest.raises(TesseraError, match=said):
        change(store, given.pop("area"), given.pop("years"), given.pop("out"), **given)
    assert list(tmp_path.iterdir()) == []


def test_labels_give_one_head_for_all_years(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(1)
    same = np.argwhere(truth(2021) == truth(2022))
    rows, cols = same[rng.choice(len(same), 200, replace=False)].T
    lon, lat = to_lonlat((WINDOW.west + cols + 0.5) * 10, (WINDOW.north - rows - 0.5) * 10, 31)
    names = np.array([NAMES[kind] for kind in truth(2021)[rows, cols]], dtype=object)
    labels = Labels(names, lonlat=np.column_stack([lon, lat]), column="cover")
    found = change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", labels=labels, png=False)
    (transition,) = found.transitions
    assert transition.source == "confusion"
    felled = transition.classes.index("7"), transition.classes.index("crop")
    assert transition.area[felled] == pytest.approx(5.46, abs=0.6)
    assert found.warnings == ()


def test_files_of_others_stay(store: Store, tmp_path: Path) -> None:
    for name in ("c.tif", "c.classes.tif", "c.transitions.csv", "c.png", "c.transitions.png"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="exists"):
            change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", head=fake_head())
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    for _ in range(2):  # an earlier change is replaced
        found = change(
            store,
            WINDOW,
            (2021, 2022),
            tmp_path / "c.tif",
            head=fake_head(),
            polygons=collection([(0, 9, 0, 9)]),
            table=tmp_path / "t.csv",
        )
    assert isinstance(found, Change)
    assert isinstance(found.to_json()["moved"][0]["changed_hectares"], float)
    first = found.moved[0]
    expected = None if first.threshold.source == "given" else first.pixels * first.threshold.false_alarms / 100
    assert found.to_json()["moved"][0]["expected_by_chance_hectares"] == expected
    assert ("by chance alone" in found.report()) == (expected is not None)


def test_files_of_an_earlier_change_that_this_one_lacks_go(store: Store, tmp_path: Path) -> None:
    change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", head=fake_head())
    (tmp_path / "c.transitions.png").write_text("mine")
    change(store, WINDOW, (2022, 2023), tmp_path / "c.tif", png=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "c.transitions.png"]
    assert (tmp_path / "c.transitions.png").read_text() == "mine"


@pytest.mark.parametrize(
    "held",
    [
        {"classes": 3, "counts": [[9, 1, 0], [1, 9, 0], [0, 0, 9]]},
        {"classes": list(NAMES), "counts": [[9, -4, 0], [1, 9, 0], [0, 0, 9]]},
        {"classes": list(NAMES), "counts": [[9, 1], [1, 9, 0], [0, 0, 9]]},
        {"classes": list(NAMES), "counts": [[9, 2**63, 0], [1, 9, 0], [0, 0, 9]]},
        {"classes": list(NAMES), "counts": [[9, 0.5, 0], [1, 9, 0], [0, 0, 9]]},
    ],
)
def test_a_confusion_of_a_stranger_is_no_confusion(store: Store, tmp_path: Path, held: dict[str, Any]) -> None:
    head = fake_head()
    good = {"classes": list(NAMES), "counts": [[9, 1, 0], [1, 9, 0], [0, 0, 9]]}
    for confusion, source in ((good, "confusion"), (held, "pixels")):
        made = replace(head, metrics={**head.metrics, "confusion": confusion})
        found = change(store, WINDOW, (2021, 2022), tmp_path / "c.tif", head=made, png=False)
        assert found.transitions[0].source == source
