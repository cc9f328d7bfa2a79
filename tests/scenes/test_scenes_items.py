"""Items of STAC in the shapes that providers give them, whole and hostile."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stac_helpers import BANDS, COGS, NAMES, ORIGINALS, RING, earth_search, planetary, radar

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.scenes import Scene, SceneTable, read_scenes
from tessera.scenes.sources.items import named, scene_of
from tessera.scenes.sources.stac_api import _address_of


def read(item: Any) -> Scene | None:
    return scene_of(item, "here", lambda what, href: _address_of(what, href, "https://here.example/items/"), 7)


def whole(item: Any) -> Scene:
    scene = read(item)
    assert scene is not None
    return scene


TILES = st.builds(
    lambda zone, band, square: f"{zone:02d}{band}{square}",
    st.integers(1, 60),
    st.sampled_from("CDEFGHJKLMNPQRSTUVWX"),
    st.text("ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=2, max_size=2),
)
STARTS = st.datetimes(dt.datetime(2015, 7, 1), dt.datetime(2039, 12, 31)).map(lambda at: at.strftime("%Y%m%dT%H%M%S"))
SATELLITES = st.sampled_from(["S2A", "S2B", "S2C"])
BASELINES = st.sampled_from(["02.14", "03.01", "04.00", "05.00", "05.11"])


# both providers


@given(TILES, STARTS, SATELLITES, BASELINES, BASELINES)
def test_one_acquisition_at_two_providers(tile: str, start: str, satellite: str, first: str, second: str) -> None:
    one = whole(planetary(tile, start, satellite, first))
    two = whole(earth_search(tile, start, satellite, second))
    assert one.tile == two.tile == tile
    assert one.acquisition == two.acquisition == ("S2", f"G{satellite}_{start}", tile)
    assert one.platform == two.platform == f"sentinel-2{satellite[2].lower()}"
    assert (one.baseline, two.baseline) == (first, second)
    assert set(one.assets) == set(two.assets) == {*S2_BANDS, "SCL"}
    assert one.footprint == two.footprint == tuple((lon, lat) for lon, lat in RING[:-1])
    assert one.key != two.key


@given(TILES, STARTS, SATELLITES, st.data())
def test_what_an_item_does_not_tell_is_in_the_name_of_its_product(
    tile: str, start: str, satellite: str, data: st.DataObject
) -> None:
    """Each source of tile and datatake alone gives the same."""
    for item, tiles in (
        (planetary(tile, start, satellite), ("s2:mgrs_tile",)),
        (earth_search(tile, start, satellite), ("grid:code", "mgrs:utm_zone")),
    ):
        expected = whole(item).acquisition
        about = item["properties"]
        for key in data.draw(st.sets(st.sampled_from(tiles))):
            del about[key]
        for key in data.draw(st.sampled_from([(), ("s2:datatake_id",)])):
            del about[key]
        assert whole(item).acquisition == expected


@given(TILES, STARTS)
def test_another_pass_tile_or_satellite_is_another_acquisition(tile: str, start: str) -> None:
    later = (dt.datetime.strptime(start, "%Y%m%dT%H%M%S") + dt.timedelta(seconds=5)).strftime("%Y%m%dT%H%M%S")
    other = tile[:-1] + ("A" if tile[-1] != "A" else "B")
    seen = [
        whole(earth_search(*args)).acquisition
        for args in ((tile, start, "S2A"), (tile, start, "S2B"), (tile, later, "S2A"), (other, start, "S2A"))
    ]
    assert len(set(seen)) == 4


def test_without_a_datatake_a_scene_is_an_acquisition_of_its_own() -> None:
    item = earth_search()
    del item["properties"]["s2:datatake_id"], item["properties"]["s2:product_uri"]
    scene = whole(item)
    assert (scene.datatake, scene.acquisition) == ("", scene.key)


# the offset, asset by asset


@given(
    BASELINES,
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["cogs", "originals", "https originals"])),
    st.sampled_from([None, True, False]),
)
def test_the_bucket_of_each_asset_decides_on_its_offset(
    baseline: str, where: dict[str, str], applied: bool | None
) -> None:
    item = earth_search(baseline=baseline, applied=applied)
    folders = {
        "cogs": COGS,
        "originals": ORIGINALS,
        "https originals": "https://sentinel-s2-l2a.s3.eu-central-1.amazonaws.com/tiles",
    }
    for key, folder in where.items():
        item["assets"][key]["href"] = f"{folders[folder]}/x/{key}"
    scene = whole(item)
    for key, band in zip(NAMES, BANDS, strict=True):
        raw = where.get(key, "cogs") != "cogs"
        assert scene.assets[band].offset == (raw and baseline >= "04.00" and band != "SCL"), band


@given(BASELINES)
def test_at_planetary_computer_the_baseline_decides(baseline: str) -> None:
    scene = whole(planetary(baseline=baseline))
    assert {band: asset.offset for band, asset in scene.assets.items()} == {
        band: baseline >= "04.00" and band != "SCL" for band in BANDS
    }


def test_addresses_of_public_buckets() -> None:
    item = earth_search()
    item["assets"]["red"]["href"] = "s3://sentinel-s2-l2a/tiles/31/U/FS/B04.jp2"
    item["assets"]["nir"]["href"] = "s3://sentinel-cogs/x/B08.tif"
    item["assets"]["blue"]["href"] = "../beside/B02.tif"
    scene = whole(item)
    assert scene.assets["B04"].href == "https://sentinel-s2-l2a.s3.eu-central-1.amazonaws.com/tiles/31/U/FS/B04.jp2"
    assert scene.assets["B08"].href == "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x/B08.tif"
    assert scene.assets["B02"].href == "https://here.example/beside/B02.tif"


# radar


@pytest.mark.parametrize("orbit", ["ascending", "descending"])
@pytest.mark.parametrize("held", [("vv", "vh"), ("vv",), ("vh",), ("VV", "VH")])
def test_radar(orbit: str, held: tuple[str, ...]) -> None:
    scene = whole(radar(held, orbit))
    assert list(scene.assets) == [key.upper() for key in held]
    assert (scene.orbit, scene.platform, scene.tile, scene.cloud_cover) == (orbit, "sentinel-1a", "", None)
    assert scene.acquisition == ("S1", "S1A_IW_GRDH_1SDV_20210601T172411_20210601T172436_038151_0480A5")


def test_what_is_no_scene_of_a_cube() -> None:
    assert read(radar(("hh", "hv"))) is None
    assert read(planetary() | {"collection": "landsat-c2-l2"}) is None
    assert read(planetary() | {"collection": ["sentinel-2-l2a"]}) is None
    assert read({}) is None


# outlines and moments


def test_outlines() -> None:
    item = planetary()
    part = [[179.0, 1.0], [180.0, 1.0], [180.0, 2.0], [179.0, 1.0]]
    item["geometry"] = {"type": "MultiPolygon", "coordinates": [[RING], [part]]}
    assert whole(item).footprint == tuple((lon, lat) for lon, lat in [*RING[:-1], *part[:-1]])
    item["geometry"] = {"type": "Polygon", "coordinates": [[[*corner, 120.0] for corner in RING]]}
    assert whole(item).footprint == tuple((lon, lat) for lon, lat in RING[:-1])
    item["geometry"] = None
    assert whole(item).footprint == ((5.0, 51.0), (6.5, 52.0))
    item["bbox"] = [5.0, 51.0, 0.0, 6.5, 52.0, 100.0]
    assert whole(item).footprint == ((5.0, 51.0), (6.5, 52.0))


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        [],
        "Polygon",
        5,
        {"type": "GeometryCollection", "geometries": []},
        {"coordinates": []},
        {"coordinates": "1 2 3 4"},
        {"coordinates": [[[5.0, None]]]},
        {"coordinates": [[[True, False]]]},
        {"coordinates": [[[float("nan"), 1.0]]]},
        {"coordinates": [[[1.0, float("inf")]]]},
        {"coordinates": [[[10**400, 1.0]]]},
        {"coordinates": [[[5.0, 91.0]]]},
        {"coordinates": [[[1e300, 5.0]]]},
        {"coordinates": [[[[[[[[[[[5.0, 51.0]]]]]]]]]]]},
        {"coordinates": [[[0.5, 0.5]] * 30_000]},
        {"coordinates": {"0": [5.0, 51.0]}},
    ],
)
def test_an_outline_that_is_none(geometry: Any) -> None:
    with pytest.raises(InputError, match="no readable geometry or bbox"):
        read(planetary() | {"geometry": geometry})


@pytest.mark.parametrize("box", [[], [1], [1, 2, 3], [1, 2, 3, 4, 5], "1234a", {}, [None] * 4, [10**400, 0, 1, 1], 4])
def test_a_box_that_is_none(box: Any) -> None:
    with pytest.raises(InputError, match="no readable geometry or bbox"):
        read(planetary() | {"geometry": None, "bbox": box})


def test_moments() -> None:
    item = planetary()
    for said in ("2021-06-01T10:50:31Z", "2021-06-01T12:50:31+02:00", "2021-06-01T10:50:31", "2021-06-01 10:50:31"):
        item["properties"]["datetime"] = said
        assert whole(item).moment == dt.datetime(2021, 6, 1, 10, 50, 31, tzinfo=dt.UTC)
    item["properties"] |= {"datetime": None, "start_datetime": "2021-06-01T10:50:31Z"}
    assert whole(item).moment.utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    "said",
    [None, "", 0, True, {}, "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "1850-01-01", "9" * 99],
)
def test_a_moment_that_is_none(said: Any) -> None:
    item = planetary()
    item["properties"]["datetime"] = said
    with pytest.raises(InputError, match="datetime"):
        read(item)


# hostile values

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 91, 1e308, float("nan"), float("inf"), 31, "31UFS", "05.00", "s3://", "http://["])
    | st.floats()
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ITEMS = [planetary(), earth_search(), radar()]


def paths(value: Any, depth: int = 0) -> list[tuple[Any, ...]]:
    """Every place in an item, the item itself left out."""
    found: list[tuple[Any, ...]] = []
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in parts:
        found.append((key,))
        found += [(key, *rest) for rest in paths(inner, depth + 1)]
    return found


PLACES = [(number, path) for number, item in enumerate(ITEMS) for path in paths(item)]
TOP = [(number, path) for number, path in PLACES if len(path) <= 2]


@settings(max_examples=400)
@given(st.sampled_from(TOP) | st.sampled_from(PLACES), JSON, st.booleans())
def test_no_value_anywhere_breaks_more_than_its_item(
    place: tuple[int, tuple[Any, ...]], value: Any, drop: bool
) -> None:
    item = copy.deepcopy(ITEMS[place[0]])
    *folders, last = place[1]
    holder: Any = item
    for key in folders:
        holder = holder[key]
    if drop:
        del holder[last]
    else:
        holder[last] = value
    scene, said = None, ""
    try:
        scene = read(item)
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    assert len(said) < 2000
    if scene is not None:
        json.dumps([scene.key, scene.footprint, scene.acquisition, scene.cloud_cover], allow_nan=False)


QUERY = {"box": [5.0, 50.0, 6.0, 51.0], "first": "2020-12-31", "last": "2022-01-01", "sources": ["here"]}
EDGES: list[tuple[str, list[Any]]] = [
    ("id", ["a\nb", "\ud800", "\x7f", "x" * 300, "x" * 301, "\u202e"]),
    (
        "geometry",
        [{"coordinates": [[x, y]]} for x in (-540.0, -361, -360, 181, 360, 361, 540) for y in (90, -90.0, 91)],
    ),
    ("geometry", [{"coordinates": [[5.0 + n / 1e5, 51.0] for n in range(count)]} for count in (2, 20_000, 20_001)]),
    ("properties.datetime", ["2000-01-01", "2013-12-31T23:59:59Z", "2013-12-31T23:59:59-01:00", "9999-12-31"]),
    ("properties.datetime", ["2100-12-31T23:59:59Z", "2100-12-31T23:59:59-01:00", "2101-01-01T00:00:00+01:00"]),
    ("properties.platform", ["a\0", "\ud800", "x" * 199, "x" * 200, "\t"]),
    ("properties.s2:datatake_id", ["a\nb", "x" * 199]),
    ("properties.eo:cloud_cover", [0, 100, 10**400, 1e-320, -0.0]),
    ("assets.red.href", ["HTTPS://h.example/x", "http:/x", "http:///x", "https:x", "//h.example/x"]),
    ("assets.red.href", [f"https://h/{end}" for end in ("x" * 8182, "x" * 8183, "\ud800", "\x7f")]),
]


@settings(max_examples=150)
@given(
    st.sampled_from([planetary(), earth_search()]),
    st.lists(st.sampled_from(EDGES).flatmap(lambda edge: st.tuples(st.just(edge[0]), st.sampled_from(edge[1])))),
    st.sampled_from(TOP) | st.sampled_from(PLACES),
    st.none() | JSON,
)
def test_what_is_a_scene_is_taken_by_a_table_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, item: Any, edges: list[tuple[str, Any]], place: Any, value: Any
) -> None:
    """One rule: one bad item is left out, and never stops the table of all others."""
    item = copy.deepcopy(item)
    changes = [(tuple(path.split(".")), edge) for path, edge in edges]
    if value is not None:
        changes.append((place[1], value))
    for (*folders, last), edge in changes:
        holder = item
        try:
            for key in folders:
                holder = holder[key]
            holder[last] = edge
        except (LookupError, TypeError):
            continue  # another change took it away
    scene, _ = tried(item)
    if scene is not None:
        table = SceneTable((scene,), QUERY)
        assert read_scenes(table.write(tmp_path_factory.getbasetemp() / "one.parquet")) == table


def tried(item: Any) -> tuple[Scene | None, str]:
    try:
        return read(item), ""
    except InputError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "a\nb"}, "id is 'a\\nb'"),
        ({"id": "x" * 301}, "expected 1 to 300"),
        ({"geometry": {"coordinates": [[5.0 + n / 1e5, 51.0] for n in range(20_001)]}}, "expected 1 to 20000 corners"),
        ({"properties": radar()["properties"] | {"datetime": "2013-12-31T23:59:59Z"}}, "datetime"),
        ({"properties": radar()["properties"] | {"platform": "a\0"}}, "platform"),
        ({"assets": {"vv": {"href": "https://h/" + "x" * 8183}}}, "asset VV"),
        ({"assets": {"vv": {"href": "HTTP:x"}}}, "asset VV"),
    ],
)
def test_what_no_table_takes_is_no_scene(change: dict[str, Any], said: str) -> None:
    item = radar() | change
    scene, line = tried(item)
    assert scene is None
    assert line.startswith(named(item))
    assert said in line.removeprefix(named(item))
    assert line.isprintable()


@given(st.dictionaries(st.sampled_from(["id", "properties", "assets", "geometry", "bbox", "links"]), JSON))
def test_items_of_nothing_but_noise(item: dict[str, Any]) -> None:
    for collection in ("sentinel-2-l2a", "sentinel-1-rtc"):
        with pytest.raises(InputError, match=r"^item "):
            read(item | {"collection": collection})


def test_a_name_of_many_lines() -> None:
    with pytest.raises(InputError) as caught:
        read(planetary() | {"id": "a\nb" * 1000, "assets": {}})
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


def test_a_line_holds_nothing_that_a_terminal_obeys() -> None:
    for item in (
        planetary() | {"id": "a\x1b[31mb", "assets": {}},
        planetary() | {"assets": {"a\x1b[31m\u202e": {"href": "x"}}},
        planetary() | {"assets": {f"\x07{number}": {} for number in range(9999)}},
    ):
        with pytest.raises(InputError) as caught:
            read(item)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 800
