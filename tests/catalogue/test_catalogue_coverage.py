from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from catalogue_helpers import BASE, CELL, DATE_LINE, SIDE, new_store, serving, some
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.catalogue import coverage, write_manifest
from tessera.catalogue._runs import runs_of
from tessera.embeddings import is_valid
from tessera.geo import Window, parse_area, to_lonlat
from tessera.store import Store, open_store

module = sys.modules["tessera.catalogue.counting"]
WRITTEN = Window(31, BASE.west - 30, BASE.north + 50, 200, 150)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = new_store(tmp_path_factory.mktemp("coverage") / "store")
    made.write(some(WRITTEN, 1, 0.3), 2023)
    made.write(some(BASE, 2), 2021)
    made.write(some(DATE_LINE, 3), 2021)
    write_manifest(made)
    return made


def polygon(seed: int, size: float = 80.0) -> shapely.Geometry:
    """A star with a hole about the cell, in degrees."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radius = rng.uniform(0.3, 1.2, 9) * size
    px = BASE.west + rng.uniform(0, SIDE) + radius * np.cos(angle)
    py = BASE.north - rng.uniform(0, SIDE) + radius * np.sin(angle)
    lon, lat = to_lonlat(px * 10, py * 10, 31)
    outer = shapely.make_valid(shapely.Polygon(np.column_stack([lon, lat])))
    middle = shapely.Point(float(np.mean(lon)), float(np.mean(lat)))
    return shapely.make_valid(outer.difference(middle.buffer(0.0007)))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_runs_are_the_mask_of_the_area(seed: int) -> None:
    area = polygon(seed)
    found, _ = runs_of(area)
    for part, run in zip(parse_area(area).parts(), found, strict=True):
        window = part.window
        mask = part.mask(window)
        assert run.pixels == mask.sum()
        assert np.array_equal(run.mask(window), mask)
        inner = Window(31, window.west + window.width // 3, window.north - 1, window.width // 2, window.height // 2)
        assert np.array_equal(run.mask(inner), mask[inner.slices_in(window)])
        assert run.inside(inner).pixels == mask[inner.slices_in(window)].sum()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_an_area_is_counted_pixel_by_pixel(store: Store, seed: int) -> None:
    area = polygon(seed, 150)
    found = coverage(store, area)
    assert (found.exact, found.how) == (True, "pixels")
    for year in found.years:
        expected = np.zeros(3, dtype=np.int64)
        for part in parse_area(area).parts():
            scales = store.read_window(part.window, year.year).scales[part.mask(part.window)]
            expected += [is_valid(scales).sum(), np.isnan(scales).sum(), np.isposinf(scales).sum()]
        assert [year.valid, year.no_data, year.not_written] == expected.tolist()
        assert year.share == pytest.approx(year.valid / expected.sum())
        assert year.area_km2 == pytest.approx(expected.sum() * 1e-4)
        # both are of the pixels with an embedding
        assert year.km2 == pytest.approx(year.share * year.area_km2)
        assert year.km2 == pytest.approx(year.valid * 1e-4)


@pytest.mark.parametrize("window", [BASE, WRITTEN, Window(31, BASE.west + 5, BASE.north - 7, 300, 200)])
def test_windows_agree_with_the_share_that_the_store_tells(store: Store, window: Window) -> None:
    for year in coverage(store, window).years:
        assert year.share == store.coverage(window, year.year)


def test_a_whole_cell_is_its_record(store: Store) -> None:
    record = store.commit(CELL, 2021)
    assert record is not None
    (year,) = coverage(store, BASE, 2021).years
    assert {"valid": year.valid, "no_data": year.no_data, "not_written": year.not_written} == record.pixels


def test_a_cell_whose_scales_are_gone_is_read_rather_than_believed(tmp_path: Path) -> None:
    made = new_store(tmp_path / "store")
    made.write(some(BASE), 2023)
    record = made.commit(CELL, 2023)
    assert record is not None
    (tmp_path / "store" / record.objects["scales"]["key"]).unlink()
    (year,) = coverage(open_store(tmp_path / "store"), BASE).years
    assert (year.valid, year.not_written) == (0, SIDE**2)


def test_everything(store: Store) -> None:
    found = coverage(store)
    assert (found.area, found.exact, found.how) == (None, True, "records")
    assert [year.year for year in found.years] == [2021, 2023]
    assert found.years[0].cells == 2
    assert found.years[0].pixels == 2 * SIDE**2
    assert coverage(store, year=2023).years == found.years[1:]
    with pytest.raises(InputError, match="no year 2022; it has 2023, 2021"):
        coverage(store, year=2022)


def test_over_the_date_line_and_where_nothing_is(store: Store) -> None:
    (year,) = coverage(store, (179.98, -17.01, -179.98, -16.99), 2021).years
    assert year.cells == 1
    assert 0 < year.valid < SIDE**2
    # pixels west of the line belong to zone 60, which the store lacks
    assert year.not_written > year.pixels / 2
    for each in coverage(store, (100, 10, 100.01, 10.01)).years:
        assert (each.cells, each.valid, each.share) == (0, 0, 0.0)
        assert each.not_written == each.pixels > 10_000


def test_over_http(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.objects.folder is not None
    area = polygon(3, 150)
    with serving(store.objects.folder) as (url, answers):
        there = open_store(url, cache=False)
        exact = coverage(there, area)
        assert (exact.exact, exact.years) == (True, coverage(store, area).years)
        assert not [one for one in answers if one.path.endswith("manifest.parquet")]
        whole = coverage(there)
        assert (whole.exact, whole.how, whole.years) == (False, "manifest", coverage(store).years)
        monkeypatch.setattr(module, "READ_PIXELS", 10)
        about = coverage(there, area)
        assert (about.exact, about.how) == (False, "manifest")
        for guess, truth in zip(about.years, exact.years, strict=True):
            assert guess.pixels == truth.pixels
            assert guess.valid == pytest.approx(truth.valid, rel=0.2)
        # cells that lie inside as a whole are as their records say
        inside = coverage(there, Window(31, WRITTEN.west - SIDE, WRITTEN.north + SIDE, 600, 600), 2021)
        assert inside.years[0].valid == coverage(store, BASE, 2021).years[0].valid


def test_a_large_area_over_http_needs_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_store(tmp_path / "store").write(some(BASE), 2023)
    monkeypatch.setattr(module, "READ_PIXELS", 10)
    with serving(tmp_path / "store") as (url, _), pytest.raises(InputError, match=r"has no manifest\.parquet"):
        coverage(open_store(url), polygon(1))


def test_a_continent_is_counted_without_its_pixels() -> None:
    found, _ = runs_of((-10, 35, 30, 60))
    # spherical area of the box, within the lattice's scale of 0.2 %
    expected = 6371.0072**2 * np.radians(40) * (np.sin(np.radians(60)) - np.sin(np.radians(35)))
    assert sum(run.pixels for run in found) * 1e-4 == pytest.approx(expected, rel=0.004)


def test_the_command(store: Store, run: Run, tmp_path: Path) -> None:
    root = store.objects.folder
    code, out, err = run("store", "coverage", root, "--bbox", "4.93,49.66,4.96,49.69", "--json")
    assert code == 0
    told = json.loads(out)
    assert told == coverage(store, (4.93, 49.66, 4.96, 49.69)).to_json()
    assert told["years"][0]["cells"] > 0
    code, out, _ = run("store", "coverage", root, "--year", 2021)
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["2021", "2"]
    assert "from the commit records" in out
    for words in (
        ("--year", 2022),
        ("--bbox", "1,2,3"),
        ("--bbox", "1,2,3,4", "--aoi", "x"),
        ("-o", tmp_path / "x.jpg"),
    ):
        code, _, err = run("store", "coverage", root, *words)
        assert code == 2
        assert err.splitlines()[-1].startswith("tessera: ")
        assert "Traceback" not in err


def test_the_catalogue_command(run: Run, tmp_path: Path) -> None:
    made = new_store(tmp_path / "store")
    made.write(some(BASE), 2023)
    code, out, _ = run("store", "catalogue", tmp_path / "store")
    assert code == 0
    assert "1 row, 1 record read" in out
    assert "1 item, 4 files changed" in out
    (tmp_path / "store" / "commits" / "2023" / f"{CELL.name}.json").write_text("{")
    code, out, err = run("store", "catalogue", tmp_path / "store", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == 0
    assert err.count("left out: ") == 1
    code, _, err = run("store", "catalogue", tmp_path / "nothing")
    assert (code, err.count("\n")) == (2, 1)
