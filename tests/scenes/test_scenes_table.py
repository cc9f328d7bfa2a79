"""The table of scenes: written and read back to the last bit, the same bytes in any order, strangers' files refused."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError, TesseraError
from tessera.geo import Window
from tessera.scenes import Asset, Scene, SceneTable, read_scenes
from tessera.scenes.records import _table_file
from tessera.scenes.records.check import BANDS

QUERY = {"box": [5.0, 50.0, 6.0, 51.0], "first": "2020-12-31", "last": "2022-01-01", "sources": ["mpc"]}
RING = ((5.0, 50.0), (6.0, 50.0), (6.0, 51.0), (5.0, 51.0), (5.0, 50.0))
WINDOW = Window(31, 64 * 1024, 548 * 1024, 1024, 1024)
"""At 5.2 E, 50.7 N."""


def scene(name: str = "a", **changes: Any) -> Scene:
    about: dict[str, Any] = {
        "id": name,
        "collection": "sentinel-2-l2a",
        "source": "mpc",
        "moment": dt.datetime(2021, 6, 1, 10, 50, 31, 24_001, dt.UTC),
        "footprint": RING,
        "cloud_cover": 12.5,
        "baseline": "05.00",
        "orbit": "",
        "platform": "sentinel-2a",
        "datatake": "GS2A_20210601T105031_031012_N05.00",
        "tile": "31UFS",
        "assets": {band: Asset(f"https://host.example/{name}/{band}.tif?x=1", True) for band in ("B02", "SCL")},
        "position": 7,
    }
    return Scene(**(about | changes))


def radar(name: str, **changes: Any) -> Scene:
    about = {
        "collection": "sentinel-1-rtc",
        "cloud_cover": None,
        "baseline": "",
        "datatake": "",
        "tile": "",
        "orbit": "descending",
        "assets": {"VV": Asset(f"https://host.example/{name}_vv.tif")},
    }
    return scene(name, **(about | changes))


numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), max_size=20)
scenes = st.builds(
    Scene,
    id=texts.filter(bool),
    collection=st.sampled_from(["sentinel-2-l2a", "sentinel-1-rtc", "opera-rtc-s1"]),
    source=st.sampled_from(["mpc", "earth-search", "/data/catalogue", "stac:https://host.example/api"]),
    moment=st.datetimes(
        dt.datetime(2014, 1, 2),
        dt.datetime(2100, 12, 30),
        timezones=st.sampled_from([dt.UTC, dt.timezone(dt.timedelta(hours=-7, minutes=30))]),
    ),
    footprint=st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=1, max_size=6).map(tuple),
    cloud_cover=st.none() | st.floats(0, 100),
    baseline=st.sampled_from(["", "02.14", "05.09"]),
    orbit=st.sampled_from(["", "ascending", "descending"]),
    platform=texts,
    datatake=texts,
    tile=texts,
    assets=st.dictionaries(
        st.sampled_from(BANDS),
        st.builds(Asset, href=texts.map(lambda end: f"https://host.example/{end}"), offset=st.booleans()),
        max_size=4,
    ),
    position=st.integers(0, 2**53 - 1),
)
tables = st.builds(
    SceneTable,
    st.lists(scenes, max_size=6, unique_by=lambda one: one.key).map(tuple),
    st.just(QUERY),
    st.dictionaries(texts.filter(bool), st.integers(0, 10**6), max_size=3),
)


@given(table=tables)
def test_what_is_written_is_read_back_exactly(table: SceneTable, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.parquet"
    found = read_scenes(table.write(path))
    assert found == table
    assert [one.position for one in found.scenes] == [one.position for one in table.scenes]
    assert [one.moment.isoformat() for one in found.scenes] == [one.moment.isoformat() for one in table.scenes]
    assert found.sha256 == table.sha256
    first = path.read_bytes()
    assert found.write(path).read_bytes() == first


@given(table=tables, seed=st.integers(0, 1000))
def test_the_order_of_an_answer_does_not_matter(
    table: SceneTable, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mixed = list(table.scenes)
    random.Random(seed).shuffle(mixed)
    other = SceneTable(tuple(mixed), table.query, dict(reversed(list(table.left_out.items()))))
    folder = tmp_path_factory.getbasetemp()
    one, two = table.write(folder / "one.parquet"), other.write(folder / "two.parquet")
    assert one.read_bytes() == two.read_bytes()
    moved = tuple(replace(one, position=place) for place, one in enumerate(mixed))
    assert replace(table, scenes=moved).sha256 == table.sha256


@given(table=tables.filter(len))
def test_every_change_of_a_scene_changes_the_digest(table: SceneTable) -> None:
    first = table.scenes[0]
    changes: list[dict[str, Any]] = [
        {"moment": first.moment + dt.timedelta(microseconds=1)},
        {"assets": {**first.assets, "SCL": Asset("https://host.example/other/x.tif", True)}},
        {"footprint": (*first.footprint, (1.5, 2.5))},
        {"cloud_cover": 50.125},
        {"tile": first.tile + "x"},
    ]
    for change in changes:
        changed = replace(first, **change)
        assert SceneTable((changed, *table.scenes[1:]), QUERY).sha256 != table.sha256


def test_a_moment_is_kept_in_utc_and_a_table_is_in_its_order() -> None:
    late = scene("late", moment=dt.datetime(2021, 6, 2, 1, 0, tzinfo=dt.timezone(dt.timedelta(hours=2))))
    early = scene("early", moment=dt.datetime(2021, 6, 1, 22, 59, tzinfo=dt.UTC))
    table = SceneTable((late, early), QUERY)
    assert [one.id for one in table.scenes] == ["early", "late"]
    assert table.scenes[1].moment.isoformat() == "2021-06-01T23:00:00+00:00"
    assert len(table) == 2


def test_geopandas_reads_it_with_outlines_cut_at_the_date_line(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    over = ((179.5, -17.0), (-179.5, -17.0), (-179.5, -16.0), (179.5, -16.0), (179.5, -17.0))
    box_only = ((5.0, 50.0), (6.0, 51.0))
    table = SceneTable(
        (scene("land"), scene("over", footprint=over), scene("box", footprint=box_only)), QUERY, {"no SCL": 3}
    )
    frame = geopandas.read_parquet(table.write(tmp_path / "t.parquet")).set_index("id")
    assert str(frame.crs).endswith(("CRS84", "4326"))
    assert frame.geometry["land"].equals(shapely.box(5, 50, 6, 51))
    assert frame.geometry["box"].equals(shapely.box(5, 50, 6, 51))
    cut = frame.geometry["over"]
    assert cut.geom_type == "MultiPolygon"
    assert cut.bounds == (-180.0, -17.0, 180.0, -16.0)
    assert cut.area == pytest.approx(1.0)
    assert frame["assets"]["land"]["B02"] == {"href": "https://host.example/land/B02.tif?x=1", "offset": True}
    assert frame["assets"]["land"]["VV"] is None
    west = geopandas.read_parquet(tmp_path / "t.parquet", bbox=(-179.9, -16.9, -179.6, -16.1))
    assert west["id"].tolist() == ["over"]
    about = pq.read_schema(tmp_path / "t.parquet").metadata
    geo = json.loads(about[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    own = json.loads(about[b"tessera"])
    assert own["query"] == QUERY
    assert own["left_out"] == {"no SCL": 3}


@given(
    corners=st.lists(
        st.tuples(st.integers(1700, 1900), st.integers(-600, 600)).map(lambda pair: (pair[0] / 10, pair[1] / 10)),
        min_size=1,
        max_size=8,
    ),
    turn=st.sampled_from([0.0, -180.0]),
)
def test_an_outline_holds_every_corner(corners: list[tuple[float, float]], turn: float) -> None:
    from tessera.scenes.records._table_file import _outline

    wrapped = tuple(((x + turn + 180) % 360 - 180, y) for x, y in corners)
    outline = _outline(wrapped)
    assert -180 <= outline.bounds[0] <= outline.bounds[2] <= 180
    for x, y in wrapped:
        point = shapely.Point(x, y)
        beyond = shapely.Point(x - 360 if x > 0 else x + 360, y)
        assert min(outline.distance(point), outline.distance(beyond)) < 1e-6


def test_near_keeps_what_may_touch_a_window_and_over_the_date_line() -> None:
    def named(found: tuple[Scene, ...]) -> set[str]:
        return {one.id for one in found}

    table = SceneTable(
        (
            scene("here"),
            scene("beside", footprint=tuple((x + 3, y) for x, y in RING)),
            scene("just beside", footprint=tuple((x - 0.89, y) for x, y in RING)),
            scene("above", footprint=tuple((x, y + 2) for x, y in RING)),
            scene("other side", footprint=tuple((x - 180, y) for x, y in RING)),
            scene("over", footprint=((179.5, 50.0), (-179.5, 51.0))),
        ),
        QUERY,
    )
    assert named(table.near(WINDOW)) == {"here", "just beside"}
    for zone, column in ((1, 30), (60, 71), (1, 27)):
        far = Window(zone, column * 1024, 548 * 1024, 1024, 1024)
        assert abs(far.lonlat_bounds[0]) > 179
        assert named(table.near(far)) == {"over"}
    assert SceneTable((), QUERY).near(WINDOW) == ()


@given(
    zone=st.integers(1, 60),
    column=st.integers(16, 81),
    row=st.integers(-800, 900),
    dx=st.floats(-2, 2),
    dy=st.floats(-1, 1),
)
def test_near_loses_no_scene_whose_outline_meets_the_window(
    zone: int, column: int, row: int, dx: float, dy: float
) -> None:
    window = Window(zone, column * 1024, row * 1024, 1024, 1024)
    west, south, east, north = window.lonlat_bounds
    here = (west + dx, min(max(south + dy, -89.0), 88.0))
    width, height = 1.0, 0.9
    corners = [here, (here[0] + width, here[1]), (here[0] + width, here[1] + height), (here[0], here[1] + height)]
    footprint = tuple(((x + 180) % 360 - 180, y) for x, y in corners)
    found = SceneTable((scene("x", footprint=footprint),), QUERY).near(window)
    span = (east - west) % 360
    start = (west - here[0] + 180) % 360 - 180
    meets_x = start <= width and start + span >= 0
    meets_y = here[1] <= north and here[1] + height >= south
    if meets_x and meets_y:
        assert len(found) == 1
    if start > width + 8 or start + span < -8 or here[1] > north + 0.2 or here[1] + height < south - 0.2:
        assert found == ()


BAD_SCENES: list[tuple[dict[str, Any], str]] = [
    ({"id": ""}, "id"),
    ({"id": "a\nb"}, "id"),
    ({"id": "\ud800"}, "id"),
    ({"collection": "sentinel-2-l1c"}, "collection"),
    ({"source": ""}, "source"),
    ({"moment": dt.datetime(2021, 6, 1)}, "time zone"),
    ({"moment": dt.datetime(1999, 6, 1, tzinfo=dt.UTC)}, "2014"),
    ({"orbit": "sideways"}, "orbit"),
    ({"cloud_cover": float("nan")}, "cloud cover"),
    ({"cloud_cover": -1.0}, "cloud cover"),
    ({"cloud_cover": True}, "cloud cover"),
    ({"position": -1}, "position"),
    ({"footprint": ()}, "footprint"),
    ({"footprint": ((0.0, 91.0),)}, "corner"),
    ({"footprint": ((float("inf"), 1.0),)}, "corner"),
    ({"assets": {"B99": Asset("https://h.example/x")}}, "band"),
    ({"assets": {"B02": Asset("")}}, "asset B02"),
    ({"assets": {"B02": Asset("../up.tif")}}, "absolute path"),
    ({"assets": {"B02": Asset("/vsicurl/x.tif")}}, "absolute path"),
    ({"assets": {"B02": Asset("<VRTDataset>")}}, "absolute path"),
    ({"assets": {"B02": Asset("file:///etc/x.tif")}}, "absolute path"),
    ({"assets": {"B02": Asset("https://h.example/x", 1)}}, "offset"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("change", "said"), BAD_SCENES)
def test_a_scene_that_cannot_be_is_refused_in_one_line(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        SceneTable((scene(**change) if "id" not in change else replace(scene(), **change),), QUERY)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"box": [1, 2, 3]},
        {"box": [1, 5, 3, 4]},
        {"box": [1, 2, 3, float("nan")]},
        {"box": [1, 2, 300, 4]},
        {"first": "2022-02-30"},
        {"first": "2023-01-01"},
        {"last": 2021},
        {"sources": "mpc"},
        {"sources": []},
        {"sources": [{"url": "x"}]},
        {"more": object()},
    ],
)
def test_a_query_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        SceneTable((), QUERY | change)


def test_twins_and_odd_counts_are_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        SceneTable((scene("a"), scene("a", tile="31UGS")), QUERY)
    SceneTable((scene("a"), scene("a", source="earth-search")), QUERY)
    for counts in ({"x": -1}, {"x": True}, {"": 1}, ["x"]):
        with pytest.raises(InputError):
            SceneTable((), QUERY, counts)  # type: ignore[arg-type]
    table = SceneTable((), {**QUERY, "sources": [{"name": "stac", "url": "https://host.example"}]})
    assert table.query["sources"][0]["url"] == "https://host.example"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return SceneTable((scene("a"), radar("b")), QUERY, {"GRD": 4}).write(tmp_path / "t.parquet")


def rewritten(path: Path, change: Any, own: Any = None) -> Path:
    """The file again, its table changed by `change`, its metadata by `own`."""
    table = pq.read_table(path)
    said = dict(table.schema.metadata)
    table = change(table)
    if own is not None:
        about = json.loads(said[b"tessera"])
        own(about)
        said[b"tessera"] = json.dumps(about).encode()
    pq.write_table(table.replace_schema_metadata(said), path, use_dictionary=False)
    return path


def edited(table: pa.Table, name: str, values: list[Any], kind: Any = None) -> pa.Table:
    place = table.schema.get_field_index(name)
    kind = kind or table.schema.field(name).type
    return table.set_column(place, pa.field(name, kind), pa.array(values, kind))


STRANGE: list[tuple[str, Any, Any, str]] = [
    ("a column is gone", lambda t: t.drop_columns(["tile"]), None, "tile is missing"),
    ("a column is there twice", lambda t: t.append_column("tile", t["tile"]), None, "missing or twice"),
    ("another type", lambda t: edited(t, "position", [1.0, 2.0], pa.float64()), None, "position is double"),
    ("null", lambda t: edited(t, "source", ["mpc", None]), None, "source is null"),
    ("another value", lambda t: edited(t, "tile", ["31UFT", ""]), None, "do not match its SHA-256"),
    ("absurd cloud", lambda t: edited(t, "eo:cloud_cover", [1e9, None]), None, "cloud cover 1000000000.0"),
    ("no WKB", lambda t: edited(t, "footprint", [b"\x01\x02", b""]), None, "no WKB"),
    ("empty footprint", lambda t: edited(t, "footprint", [shapely.to_wkb(shapely.Point())] * 2), None, "corner"),
    ("a row less", lambda t: t.slice(0, 1), None, "1 scenes; its metadata say 2"),
    ("other version", lambda t: t, lambda own: own.update(version=2), "2; expected 'tessera-scenes' 1"),
    ("other format", lambda t: t, lambda own: own.update(format="x"), "no table of scenes"),
    ("other digest", lambda t: t, lambda own: own.update(sha256="0"), "do not match its SHA-256"),
    ("no query", lambda t: t, lambda own: own.pop("query"), "expected box, first, last"),
    ("bad query", lambda t: t, lambda own: own["query"].update(box=7), "box is 7"),
    ("bad counts", lambda t: t, lambda own: own.update(left_out={"a": "b"}), "whole number"),
]


@pytest.mark.parametrize(("what", "change", "own", "said"), STRANGE, ids=[row[0] for row in STRANGE])
def test_strangers_files_are_refused_in_one_line(good: Path, what: str, change: Any, own: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_scenes(rewritten(good, change, own))
    assert "\n" not in str(caught.value)
    assert good.name in str(caught.value)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "has a dictionary"),
        ({"use_dictionary": False, "column_encoding": {"tile": "DELTA_BYTE_ARRAY"}}, "tile. has a page of encoding 7"),
        ({"use_dictionary": False, "compression": "gzip"}, ""),
    ],
)
def test_pages_that_could_multiply_are_not_unpacked(good: Path, how: dict[str, Any], said: str) -> None:
    expected = read_scenes(good)
    pq.write_table(pq.read_table(good), good, **how)
    if not said:
        assert read_scenes(good) == expected
        return
    with pytest.raises(InputError, match=said):
        read_scenes(good)


def test_a_page_that_unpacks_to_too_much_is_refused_by_its_header(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_scenes(good)
    monkeypatch.setattr(_table_file, "_PAGE_LIMIT", 60)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(InputError, match=r"unpacks to \d+ bytes"):
        read_scenes(good)


def test_outlines_of_many_corners_are_written_in_pages_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_table_file, "_PAGE_LIMIT", 1_800_000)
    ring = tuple((5.0 + number / 1e4, 50.0) for number in range(500))
    table = SceneTable(tuple(scene(f"s{number}", footprint=ring) for number in range(200)), QUERY)
    assert read_scenes(table.write(tmp_path / "t.parquet")) == table


@pytest.mark.parametrize("limit", ["_UNPACKED_LIMIT", "_FILE_LIMIT"])
def test_what_would_not_be_read_is_not_written(limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_table_file, limit, 500)
    with pytest.raises(InputError, match="1 scenes"):
        SceneTable((scene(),), QUERY).write(tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_last_year_is_one_of_utc() -> None:
    west = dt.timezone(dt.timedelta(hours=-7))
    with pytest.raises(InputError, match="2014 to 2100"):
        SceneTable((scene(moment=dt.datetime(2100, 12, 31, 20, tzinfo=west)),), QUERY)
    assert SceneTable((scene(moment=dt.datetime(2100, 12, 31, 16, tzinfo=west)),), QUERY).scenes[0].moment.year == 2100


def test_files_that_are_none(good: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_scenes(tmp_path / "nothing.parquet")
    with pytest.raises(InputError, match=r"is a folder|cannot be read"):
        read_scenes(tmp_path)
    (tmp_path / "text").write_text("hello, this is no Parquet file at all")
    with pytest.raises(InputError, match="truncated, or something else"):
        read_scenes(tmp_path / "text")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "plain")
    with pytest.raises(InputError, match="no table of scenes"):
        read_scenes(tmp_path / "plain")
    with pytest.raises(TesseraError, match="was not written"):
        SceneTable((), QUERY).write(good / "below" / "t.parquet")


def test_no_damage_gets_through(good: Path) -> None:
    whole = good.read_bytes()
    expected = read_scenes(good)
    generator = np.random.default_rng(5)
    for length in (*range(0, 64, 7), *generator.integers(64, len(whole), 40).tolist()):
        good.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_scenes(good)
    refused = 0
    for _ in range(250):
        damaged = bytearray(whole)
        place = int(generator.integers(0, len(whole)))
        damaged[place] ^= 1 << int(generator.integers(0, 8))
        good.write_bytes(bytes(damaged))
        try:
            found = read_scenes(good)
        except InputError:
            refused += 1
        else:
            assert [(one, one.position) for one in found.scenes] == [(one, one.position) for one in expected.scenes]
    # the rest hit the names of columns in statistics, the outlines for others, and the like
    assert refused > 100
    about = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(0)
    (column,) = (about.column(n) for n in range(about.num_columns) if about.column(n).path_in_schema == "position")
    end = column.data_page_offset + column.total_compressed_size
    for place in range(end - 12, end):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        good.write_bytes(bytes(damaged))
        with pytest.raises(InputError):
            read_scenes(good)


def test_a_long_table_has_bounded_rows_and_is_small(tmp_path: Path) -> None:
    many = tuple(
        scene(f"S2A_{number:05d}", assets={b: Asset(f"https://h.example/{number}/{b}.tif", True) for b in BANDS[:11]})
        for number in range(5000)
    )
    table = SceneTable(many, QUERY)
    path = table.write(tmp_path / "t.parquet")
    assert path.stat().st_size < 1_000_000
    assert read_scenes(path).sha256 == table.sha256
    assert pq.ParquetFile(io.BytesIO(path.read_bytes())).metadata.num_row_groups == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(table.near(WINDOW)) == 5000
