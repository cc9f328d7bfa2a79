"""Each way in which catalogues differ: what the copy says, its pixels, and that nothing else has changed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pystac_client
import pytest
import rasterio
from numpy.typing import NDArray
from provider_helpers import WINDOW, ask, scenes
from shapely.geometry import Polygon, shape

from tessera.base import InputError
from tessera.geo import Window, from_lonlat
from tessera.scenes import remove_offset, search_scenes
from tessera.simulator import simulate
from tessera.testing import serve_scenes
from tessera.testing.provider import _layouts as layouts
from tessera.testing.provider._items import Held, read_items
from tessera.testing.provider._rewrite import move_numbers, read_pixels, write_pixels
from tessera.testing.provider._styles import mgrs_square, mgrs_tile, show

OVER = Window(1, 16 * 1024 + 1739, -190 * 1024, 64, 64)
"""In Fiji; the date line crosses it."""


@pytest.fixture(scope="module")
def folder() -> Path:
    return scenes()


@pytest.fixture(scope="module")
def fiji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("fiji") / "scenes", OVER, 2021, s2_dates=1, s1_dates=1).path


def pixels(file: Path) -> NDArray[Any]:
    with rasterio.open(file) as source:
        image: NDArray[Any] = source.read(1)
        return image


def by_name(folder: Path, collection: str = "") -> dict[str, Held]:
    return {one.item["id"]: one for one in read_items(folder) if collection in one.item["collection"]}


def assert_others_unchanged(folder: Path, out: Path, changed: set[str]) -> None:
    """Items that are not of `changed` are as they were, to the byte."""
    before, after = by_name(folder), by_name(out)
    kept = set(before) - changed
    assert kept
    for name in kept:
        assert before[name].item == after[name].item
        for key, file in before[name].files.items():
            assert file.read_bytes() == after[name].files[key].read_bytes()


@pytest.mark.parametrize(
    ("place", "tile"),
    [
        ((-0.12, 51.5), "30UXC"),
        ((2.35, 48.85), "31UDQ"),
        ((-46.63, -23.55), "23KLP"),
        ((-73.97, 40.78), "18TWL"),
    ],
)
def test_tiles_of_known_cities(place: tuple[float, float], tile: str) -> None:
    """London, Paris, Sao Paulo and New York, as the tiles of Sentinel-2 are listed."""
    lon, lat = place
    ring = [[lon + dx, lat + dy] for dx, dy in ((-0.01, -0.01), (0.01, -0.01), (0.01, 0.01), (-0.01, -0.01))]
    item = {"id": "x", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    assert mgrs_square(Held(item, Path(), Path(), {})) == tile


@pytest.mark.parametrize(("step", "expected"), [(1000, [0, 1001, 1500, 65535]), (-1000, [0, 1, 1, 64000])])
def test_no_data_stays_and_nothing_becomes_it(folder: Path, tmp_path: Path, step: int, expected: list[int]) -> None:
    source = next(one.files["B04"] for one in read_items(folder) if "B04" in one.files)
    _, about = read_pixels(source)
    file = tmp_path / "B04.tif"
    write_pixels(file, np.tile(np.array([0, 1, 500, 65000], dtype=np.uint16), (16, 4)), about)
    item = {"id": "x", "properties": {}}
    move_numbers(Held(item, Path(), Path(), {"B04": file, "SCL": tmp_path / "none.tif"}), step)
    assert pixels(file)[0, :4].tolist() == expected


def test_duplicates_are_of_the_same_datatake_and_show_the_same_ground(folder: Path, tmp_path: Path) -> None:
    out = layouts.duplicates(folder, tmp_path / "out", brighter=7, seconds=9.0)
    items, originals = by_name(out, "sentinel-2"), by_name(folder, "sentinel-2")
    assert set(items) == set(originals) | {f"{name}_1" for name in originals}
    assert_others_unchanged(folder, out, set(items) - set(originals))
    for name, first in originals.items():
        second = items[f"{name}_1"]
        assert second.properties["s2:processing_baseline"] == "05.10"
        take = first.properties["s2:datatake_id"].split("_N")[0]
        assert second.properties["s2:datatake_id"] == f"{take}_N05.10"
        assert (second.moment - first.moment).total_seconds() == 9.0
        assert mgrs_tile(second) == mgrs_tile(first) == "31UFS"
        ground = remove_offset(pixels(first.files["B04"]), first.properties["s2:processing_baseline"] >= "04.00")
        again = pixels(second.files["B04"]).astype(int)
        clear = ground > 1
        assert clear.any()
        np.testing.assert_array_equal(again[clear], ground[clear].astype(int) + 1000 + 7)
        np.testing.assert_array_equal(again == 0, ground == 0)
        np.testing.assert_array_equal(pixels(second.files["SCL"]), pixels(first.files["SCL"]))
    with serve_scenes(out, style="earth-search") as provider:
        names = sorted(item["id"] for item in provider.items)
        assert sum(name.endswith("_1_L2A") for name in names) == 4
        assert sum(name.endswith("_0_L2A") for name in names) == 4
    with serve_scenes(out, style="mpc") as provider:
        assert len({item["id"] for item in provider.items}) == 12


TILES = {
    "stac": {"s2:mgrs_tile": "31UFS"},
    "mpc": {"s2:mgrs_tile": "31UFS"},
    "earth-search": {
        "grid:code": "MGRS-31UFS",
        "mgrs:utm_zone": 31,
        "mgrs:latitude_band": "U",
        "mgrs:grid_square": "FS",
    },
}
"""What each provider writes a tile as."""


@pytest.mark.parametrize("style", TILES)
def test_copies_are_one_acquisition_at_every_provider(folder: Path, tmp_path: Path, style: str) -> None:
    out = layouts.duplicates(folder, tmp_path / "out")
    with serve_scenes(out, style=style) as provider:
        for item in provider.items:
            if item["collection"] != "sentinel-2-l2a":
                continue
            told = {key: value for key, value in item["properties"].items() if re.search("mgrs|grid", key)}
            assert told == TILES[style]
        table = search_scenes(WINDOW, 2021, f"stac:{provider.url}")
    acquisitions = [scene.acquisition for scene in table.scenes if scene.optical]
    assert len(acquisitions) == 8
    assert len(set(acquisitions)) == 4
    assert {acquisition[2] for acquisition in acquisitions} == {"31UFS"}


def test_mixed_baselines_hold_the_same_ground(folder: Path, tmp_path: Path) -> None:
    out = layouts.mixed_baselines(folder, tmp_path / "out")
    items = by_name(out, "sentinel-2")
    assert len(items) == 8
    for name, old in items.items():
        if name.endswith("_N0500"):
            continue
        new = items[f"{name}_N0500"]
        assert (old.properties["s2:processing_baseline"], new.properties["s2:processing_baseline"]) == (
            "02.14",
            "05.00",
        )
        assert mgrs_tile(old) != mgrs_tile(new)
        for key in ("B04", "B12"):
            a, b = pixels(old.files[key]).astype(int), pixels(new.files[key]).astype(int)
            assert (a > 0).any()
            np.testing.assert_array_equal(b, np.where(a == 0, 0, a + 1000))
    same = layouts.mixed_baselines(folder, tmp_path / "same", which="20210124", other_tile=False)
    assert len(by_name(same, "sentinel-2")) == 5
    assert {mgrs_tile(one) for one in by_name(same, "sentinel-2").values()} == {"31UFS"}


def test_harmonised_numbers_have_no_offset(folder: Path, tmp_path: Path) -> None:
    out = layouts.harmonise(folder, tmp_path / "out")
    for name, before in by_name(folder, "sentinel-2").items():
        after = by_name(out)[name]
        assert after.properties["earthsearch:boa_offset_applied"] is True
        baseline = before.properties["s2:processing_baseline"]
        assert after.properties["s2:processing_baseline"] == baseline
        expected = remove_offset(pixels(before.files["B08"]), baseline >= "04.00")
        np.testing.assert_array_equal(pixels(after.files["B08"]), expected)
    with serve_scenes(out, style="earth-search") as provider:
        assert all("/sentinel-cogs/" in item["assets"]["nir"]["href"] for item in provider.items)
        assert all(item["properties"]["earthsearch:boa_offset_applied"] for item in provider.items)


def test_a_missing_polarisation(folder: Path, tmp_path: Path) -> None:
    out = layouts.drop_polarisation(folder, tmp_path / "out", which="_A_SIM")
    changed = {name for name in by_name(folder) if "_A_SIM" in name}
    assert len(changed) == 2
    assert_others_unchanged(folder, out, changed)
    for name in changed:
        one = by_name(out)[name]
        assert set(one.item["assets"]) == {"vv"}
        assert one.properties["sar:polarizations"] == ["VV"]
        assert [file.name for file in one.path.parent.glob("*.tif")] == ["vv.tif"]
    with pytest.raises(InputError, match="has no asset 'hh'"):
        layouts.drop_polarisation(folder, tmp_path / "other", key="hh")


@pytest.mark.parametrize("null", [False, True])
def test_unknown_cloud_cover(folder: Path, tmp_path: Path, null: bool) -> None:
    out = layouts.unknown_cloud(folder, tmp_path / "out", which="20210124", null=null)
    (name,) = (name for name in by_name(folder) if "20210124" in name)
    assert_others_unchanged(folder, out, {name})
    about = by_name(out)[name].properties
    assert ("eo:cloud_cover" in about) == null
    assert about.get("eo:cloud_cover") is None
    with serve_scenes(out) as provider:
        query = {"query": {"eo:cloud_cover": {"lte": 100}}, "collections": ["sentinel-2-l2a"], "limit": 10}
        found = ask(f"{provider.url}/search", "POST", body=query).json["features"]
        assert {item["id"] for item in found} == set(by_name(folder, "sentinel-2")) - {name}


def test_a_transform_that_lies(folder: Path, tmp_path: Path) -> None:
    out = layouts.wrong_transform(folder, tmp_path / "out", shift=(500.0, 30.0))
    assert_others_unchanged(folder, out, set(by_name(folder, "sentinel-1")))
    for one in by_name(out, "sentinel-1").values():
        for key, file in one.files.items():
            told = one.item["assets"][key]["proj:transform"]
            with rasterio.open(file) as source:
                assert told[2] - source.transform.c == 500.0
                assert told[5] - source.transform.f == 30.0
                assert (told[0], told[4]) == (source.transform.a, source.transform.e)


def test_huge_footprints_are_the_same_outline(folder: Path, tmp_path: Path) -> None:
    out = layouts.huge_footprints(folder, tmp_path / "out")
    for name, before in by_name(folder, "sentinel-2").items():
        after = by_name(out)[name]
        ring = after.item["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        assert len(ring) >= 2500
        assert len(json.dumps(after.item["geometry"])) > 80_000
        a, b = shape(before.item["geometry"]), shape(after.item["geometry"])
        assert a.symmetric_difference(b).area < 1e-9 * a.area
        assert before.item["bbox"] == after.item["bbox"]


def test_the_next_zone_shows_the_same_ground(folder: Path, tmp_path: Path) -> None:
    out = layouts.second_zone(folder, tmp_path / "out", which="20210124")
    (name,) = (name for name in by_name(folder) if "20210124" in name)
    assert_others_unchanged(folder, out, set())
    first, second = by_name(out)[name], by_name(out)[f"{name}_Z32"]
    assert second.properties["proj:epsg"] == 32632
    assert mgrs_tile(second).startswith("32U")
    corners = set()
    for key, file in second.files.items():
        with rasterio.open(first.files[key]) as a, rasterio.open(file) as b:
            assert b.crs.to_epsg() == 32632
            assert b.res == a.res
            assert b.dtypes == a.dtypes
            assert (b.bounds.left % 20, b.bounds.top % 20) == (0, 0)
            corners.add((b.bounds.left, b.bounds.top, b.bounds.right, b.bounds.bottom))
            assert second.item["assets"][key]["proj:transform"] == list(b.transform)[:6]
            assert second.item["assets"][key]["proj:shape"] == list(b.shape)
            # a pixel in the middle lies within one pixel of where its value came from
            image, other = a.read(1), b.read(1)
            row, col = other.shape[0] // 2, other.shape[1] // 2
            from rasterio.warp import transform

            x, y = b.xy(row, col)
            (x,), (y,) = transform(b.crs, a.crs, [x], [y])
            at = a.index(x, y)
            assert other[row, col] in image[at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2]
            assert other[row, col] == image[at] or key != "B04"
    assert len(corners) == 1
    for style in ("mpc", "earth-search"):
        assert any("_T32U" in one.item["id"] or "_32U" in one.item["id"] for one in show(read_items(out), style))
    alone = layouts.second_zone(folder, tmp_path / "alone", keep=False)
    assert {one.properties["proj:epsg"] for one in by_name(alone, "sentinel-2").values()} == {32632}
    assert len(by_name(alone, "sentinel-2")) == 4
    radar = layouts.second_zone(folder, tmp_path / "radar", collection="sentinel-1-rtc", step=-1)
    assert {one.properties["proj:epsg"] for one in by_name(radar, "sentinel-1").values()} == {32631, 32630}


def test_over_the_date_line(fiji: Path, tmp_path: Path) -> None:
    x, _ = from_lonlat([-180.0], [next(iter(by_name(fiji).values())).item["bbox"][1]], 1)
    assert OVER.bounds[0] < x[0] < OVER.bounds[2]
    found = {how: layouts.date_line(fiji, tmp_path / how, how=how) for how in ("multipolygon", "beyond", "naive")}
    for how, out in found.items():
        for name, one in by_name(out).items():
            geometry, box = one.item["geometry"], one.item["bbox"]
            assert mgrs_tile(one)[:2] == "01"
            whole = shape(geometry)
            assert whole.is_valid or how == "naive"
            original = by_name(fiji)[name].item["geometry"]["coordinates"][0]
            truth = Polygon([(lon % 360, lat) for lon, lat in original])
            if how == "multipolygon":
                assert geometry["type"] == "MultiPolygon"
                assert len(geometry["coordinates"]) == 2
                assert 179 < box[0] < 180
                assert -180 < box[2] < -179
                assert abs(whole.area - truth.area) < 1e-9
                assert whole.bounds[0] == -180.0
                assert whole.bounds[2] == 180.0
            elif how == "beyond":
                assert 179 < box[0] < 180 < box[2] < 181
                assert abs(whole.area - truth.area) < 1e-12
            else:
                assert box[0] < -179
                assert box[2] > 179
                assert whole.bounds[2] - whole.bounds[0] > 359
    with serve_scenes(found["multipolygon"]) as provider:
        client = pystac_client.Client.open(provider.url)
        south, north = -18.0, -17.0
        for box in ((179.9, south, 180.0, north), (-180.0, south, -179.9, north), (179.9, south, -179.9, north)):
            assert len(list(client.search(bbox=box).items())) == 3, box
        assert not list(client.search(bbox=(-10.0, south, 10.0, north)).items())
    with serve_scenes(found["naive"]) as provider:
        assert ask(f"{provider.url}/search?bbox=-10,-18,10,-17").json["numberReturned"] == 3
    with serve_scenes(found["beyond"], style="mpc") as provider:
        assert ask(f"{provider.url}/search?bbox=179.9,-18,180,-17").json["numberReturned"] == 3
        assert ask(f"{provider.url}/search?bbox=-180,-18,-179.9,-17").json["numberReturned"] == 0


def test_the_date_line_needs_scenes_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no item crosses 180 degrees"):
        layouts.date_line(folder, tmp_path / "out", how="beyond")
    with pytest.raises(InputError, match="how 'twice'"):
        layouts.date_line(folder, tmp_path / "other", how="twice")


def test_a_shuffled_catalogue_has_the_same_items(folder: Path, tmp_path: Path) -> None:
    one, two = (layouts.shuffled(folder, tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert sorted(by_name(one)) == sorted(by_name(two)) == sorted(by_name(folder))
    assert list(by_name(one)) != list(by_name(two))
    again = layouts.shuffled(folder, tmp_path / "again", seed=1)
    assert list(by_name(again)) == list(by_name(one))


def test_layouts_can_follow_each_other(folder: Path, tmp_path: Path) -> None:
    out = layouts.duplicates(layouts.harmonise(folder, tmp_path / "a"), tmp_path / "b")
    assert len(by_name(out, "sentinel-2")) == 8
    # harmonised stays harmonised: a newer baseline adds nothing to its numbers
    for name, before in by_name(tmp_path / "a", "sentinel-2").items():
        np.testing.assert_array_equal(pixels(by_name(out)[f"{name}_1"].files["B02"]), pixels(before.files["B02"]))


def test_nothing_is_written_over_and_no_folder_is_changed(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    layouts.unknown_cloud(folder, tmp_path / "out")
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="exists"):
        layouts.unknown_cloud(folder, tmp_path / "out")
    with pytest.raises(InputError, match="no item of sentinel-2-l2a has '1999'"):
        layouts.duplicates(folder, tmp_path / "none", which="1999")
