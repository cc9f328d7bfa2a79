"""OpenStreetMap extracts to labels: which features, whole, as wide as they are; damaged files in one line."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from osm_files import AREA, RULES, Extract, town

import tessera
from tessera.base import InputError
from tessera.geo import from_lonlat
from tessera.labels import osm_labels
from tessera.labels.osm import ODBL, buffered, hectares, is_area, parse_tags, parse_width, read_classes, width_of


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return town(tmp_path_factory.mktemp("osm") / "town.osm.pbf")


def _metres(geometry: shapely.Geometry) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = shapely.get_coordinates(geometry).T
    return from_lonlat(lon, lat, 31)


def test_a_town_becomes_labels(extract: Path) -> None:
    made = osm_labels(extract, AREA, RULES)
    held = list(
        zip(*(made.table.columns[name].tolist() for name in ("class", "osm_type", "osm_id", "tag")), strict=True)
    )
    assert held == [
        ("forest", "node", 28, "natural=wood"),
        ("forest", "relation", 1, "landuse=forest"),
        ("forest", "way", 3, "natural=wood"),
        ("road", "way", 4, "highway=track"),
        ("road", "way", 5, "highway=primary"),
        ("road", "way", 6, "highway=residential"),
        ("road", "way", 9, "highway=service"),
    ]
    assert made.table.columns["width"].tolist()[3:] == [4.0, 13.0, 6.0, 4.0]
    assert np.isnan(made.table.columns["width"][:3].astype(float)).all()
    assert made.counts == {"forest": 3, "road": 4}
    assert made.notes == (
        "relation 2 left out: some of their ways are not in this extract",
        "relation 3 left out: their ways do not close to rings",
        "1 line left out: in a tunnel or under ground",
    )


def test_a_hole_stays_a_hole(extract: Path) -> None:
    made = osm_labels(extract, AREA, "landuse=forest")
    forest = made.table.geometries[0]
    whole = shapely.box(5.24, 50.69, 5.25, 50.70).difference(shapely.box(5.243, 50.693, 5.245, 50.695))
    assert shapely.equals(shapely.set_precision(forest, 1e-7), shapely.set_precision(whole, 1e-7))


def test_lines_are_as_wide_as_they_say(extract: Path) -> None:
    made = osm_labels(extract, AREA, RULES)
    names = made.table.columns["tag"].tolist()
    road = made.table.geometries[names.index("highway=primary")]
    x, y = _metres(road)
    # 13 m wide: over the line's middle, its height in metres is what lies between the two long sides
    lon = 5.25
    across = shapely.intersection(road, shapely.LineString([(lon, 50.70), (lon, 50.72)]))
    assert abs(np.ptp(_metres(across)[1]) - 13.0) < 0.05
    assert 1400 < np.ptp(x) < 1440  # 0.02 degrees and two round ends
    assert np.ptp(y) < 60


def test_features_are_whole_unless_clipped(extract: Path) -> None:
    half = "5.245,50.68,5.28,50.72"
    whole, cut = (osm_labels(extract, half, "landuse=forest", clip=clip) for clip in (False, True))
    assert whole.table.geometries[0].bounds[0] == pytest.approx(5.24)
    assert cut.table.geometries[0].bounds[0] == pytest.approx(5.245)
    assert cut.hectares()["forest"] == pytest.approx(whole.hectares()["forest"] * 0.5, rel=0.05)


def test_an_area_inside_a_feature_takes_it(extract: Path) -> None:
    # no node of the forest lies in the area
    assert len(osm_labels(extract, "5.2461,50.6961,5.2462,50.6962", "landuse=forest")) == 1
    with pytest.raises(InputError, match="no feature of forest:landuse=forest"):
        osm_labels(extract, "5.2435,50.6935,5.2445,50.6945", "landuse=forest")  # in the hole


def test_overlaps_of_classes_are_measured(tmp_path: Path) -> None:
    made = Extract()
    made.box(5.24, 50.69, 0.01, {"landuse": "forest"})
    made.box(5.245, 50.69, 0.01, {"landuse": "meadow"})
    made.box(5.28, 50.69, 0.01, {"landuse": "meadow", "natural": "wood"})
    found = osm_labels(
        made.write(tmp_path / "a.osm.pbf"), "5.2,50.6,5.3,50.8", "landuse=meadow;f:landuse=forest,natural=wood"
    )
    (overlap,) = found.overlaps
    assert overlap.classes == ("meadow", "f")
    assert overlap.pairs == 1
    # half of 0.01 x 0.01 degrees at 50.695 N
    assert overlap.hectares == pytest.approx(0.5 * 111.25 * 0.01 * 70.65 * 0.01 * 100, rel=0.005)
    assert "1 feature with tags of several classes: the first class counts" in found.notes


def test_labels_are_read_by_fit_from_every_format(extract: Path, tmp_path: Path) -> None:
    made = osm_labels(extract, AREA, RULES)
    counts = set()
    for suffix in (".parquet", ".gpkg", ".fgb", ".geojson"):
        path = made.save(tmp_path / f"labels{suffix}")
        labels = tessera.read_labels(path, "class")
        assert labels.classes == ("forest", "road")
        counts.add(len(labels))
        made.save(path)  # an earlier output may be replaced
    assert counts == {len(tessera.read_labels(made.table, "class"))}
    assert pq.read_schema(tmp_path / "labels.parquet").metadata[b"licence"].decode() == ODBL


def test_the_same_extract_gives_the_same_bytes(extract: Path, tmp_path: Path) -> None:
    one, two = (
        osm_labels(extract, AREA, RULES).save(tmp_path / name).read_bytes() for name in ("a.parquet", "b.parquet")
    )
    assert one == two


def test_an_extract_of_another_place_says_so(tmp_path: Path) -> None:
    made = Extract()
    made.box(5.24, 50.69, 0.01, {"landuse": "forest"})
    path = made.write(tmp_path / "a.osm.pbf", box=(5.0, 50.0, 6.0, 51.0))
    with pytest.raises(InputError, match=r"holds 5,50,6,51; bbox 10,10,10.1,10.1 lies outside"):
        osm_labels(path, "10,10,10.1,10.1", "landuse=forest")


def test_a_relation_beyond_the_limits_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tessera.labels.osm import _pbf

    made = Extract()
    ways = [made.box(5.24 + 0.002 * at, 50.69, 0.001) for at in range(4)]
    made.relation([(way, "outer") for way in ways], {"landuse": "forest"})
    made.relation([(way, "outer") for way in ways[:2]], {"natural": "wood"})
    made.box(5.26, 50.69, 0.001, {"natural": "wood"})
    path = made.write(tmp_path / "a.osm.pbf")
    monkeypatch.setattr(_pbf, "_MOST_MEMBERS", 3)
    found = osm_labels(path, AREA, "landuse=forest,natural=wood")
    assert found.table.columns["osm_id"].tolist() == [2, 5]
    assert "relation 1 left out: more than 3 ways or 1,000,000 nodes" in found.notes
    monkeypatch.setattr(_pbf, "_MOST_NODES", 9)
    found = osm_labels(path, AREA, "landuse=forest,natural=wood")
    assert found.table.columns["osm_id"].tolist() == [5]
    assert "relations 1, 2 left out: more than 3 ways or 9 nodes" in found.notes


def test_damaged_extracts_are_one_line_or_labels(extract: Path, tmp_path: Path) -> None:
    data, draw, seen = extract.read_bytes(), random.Random(3), set[str]()
    for number in range(40):
        broken = bytearray(data)
        for _ in range(draw.choice((1, 3))):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        if number % 4 == 0:
            del broken[draw.randrange(len(broken)) :]
        path = tmp_path / "b.osm.pbf"
        path.write_bytes(broken)
        try:
            osm_labels(path, AREA, RULES)
        except InputError as error:
            seen.add(str(error))
    assert len(seen) > 3
    assert not any("\n" in line for line in seen)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.osm.pbf", b"not a PBF at all", "is no OpenStreetMap extract in PBF"),
        ("a.osm.pbf", b"", "is no OpenStreetMap extract in PBF"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
    ],
)
def test_other_files_are_refused(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        osm_labels(tmp_path / name, AREA, RULES)


def test_sources_that_cannot_be_are_refused(extract: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source not found: .*none\.osm\.pbf"):
        osm_labels(tmp_path / "none.osm.pbf", AREA, RULES)
    with pytest.raises(InputError, match="download it first"):
        osm_labels("https://example.org/a.osm.pbf", AREA, RULES)
    with pytest.raises(InputError, match=r"expected one \.osm\.pbf"):
        osm_labels([extract, extract], AREA, RULES)
    with pytest.raises(InputError, match=r"holds no \.parquet file"):
        osm_labels(tmp_path, AREA, RULES)
    with pytest.raises(InputError, match="neither tags nor a file"):
        osm_labels(extract, AREA)
    with pytest.raises(InputError, match="width 0; expected metres"):
        osm_labels(extract, AREA, RULES, width=0)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (
            "landuse=forest,natural=wood;highway=*",
            [("forest", "landuse=forest,natural=wood"), ("highway", "highway=*")],
        ),
        ("wood: natural=wood ; road:highway=*;", [("wood", "natural=wood"), ("road", "highway=*")]),
        ("a:addr:street=X", [("a", "addr:street=X")]),
        ("ref=a:b", [("a:b", "ref=a:b")]),
    ],
)
def test_rules_are_read(text: str, rules: list[tuple[str, str]]) -> None:
    assert [rule.text for rule in parse_tags(text)] == [f"{name}:{tags}" for name, tags in rules]


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=6)


@given(
    st.lists(
        st.tuples(NAMES, st.lists(st.tuples(NAMES, NAMES | st.just("*")), min_size=1, max_size=3)),
        min_size=1,
        max_size=5,
        unique_by=lambda one: one[0],
    )
)
def test_rules_read_what_they_write(given_: list[tuple[str, list[tuple[str, str]]]]) -> None:
    text = ";".join(f"{name}:{','.join(f'{key}={value}' for key, value in tags)}" for name, tags in given_)
    rules = parse_tags(text)
    assert parse_tags(";".join(rule.text for rule in rules)) == rules
    assert [(rule.name, [(key, value or "*") for key, value in rule.tags]) for rule in rules] == given_


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 classes"),
        ("forest", "is no tag"),
        ("a:b", "is no tag"),
        ("landuse=", "is no tag"),
        ("a:x=1;a:y=2", "twice"),
    ],
)
def test_rules_that_cannot_be_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_tags(text)


def test_files_of_classes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'forest = ["landuse=forest", "natural=wood"]\n[road]\ntags = "highway=*"\nwidth = 6\n'
    )
    (tmp_path / "a.json").write_text(
        '{"forest": "landuse=forest,natural=wood", "road": {"tags": ["highway=*"], "width": 6}}'
    )
    toml, json = read_classes(tmp_path / "a.toml"), read_classes(tmp_path / "a.json")
    assert toml == json
    assert toml[1].width == 6.0
    for text, said in [
        ("[road]\nwidth = 6\n", "expected tags such as"),
        ('[road]\ntags = "highway=*"\nwidth = -1\n', "width -1; expected metres"),
        ('[road]\ntags = "highway=*"\ncolour = "red"\n', "'colour'; expected tags and width"),
        ("road = 5\n", "expected tags such as"),
        ("not toml", "cannot be read"),
        ("", "0 classes"),
    ]:
        (tmp_path / "b.toml").write_text(text)
        with pytest.raises(InputError, match=said):
            read_classes(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("5", 5),
        ("5.5 m", 5.5),
        ("5,5", 5.5),
        ("4 metres", 4),
        ("16 ft", 4.8768),
        ("16'6\"", 5.0292),
        ("wide", None),
        ("0", None),
        ("5000", None),
        ("-3", None),
        ("", None),
        ("3;4", None),
    ],
)
def test_widths_are_read(text: str, metres: float | None) -> None:
    found = parse_width(text)
    assert found is None if metres is None else found == pytest.approx(metres)


def test_what_decides_a_width_is_in_order() -> None:
    tags = {"highway": "primary", "width": "5", "lanes": "2"}
    assert width_of(tags, "highway=primary", 8.0, 7.0) == 8.0
    assert width_of(tags, "highway=primary", None, 7.0) == 5.0
    del tags["width"]
    assert width_of(tags, "highway=primary", None, 7.0) == 6.5
    del tags["lanes"]
    assert width_of(tags, "highway=primary", None, 7.0) == 7.0
    assert width_of(tags, "highway=primary", None, None) == 9.0
    assert width_of({"power": "line"}, "power=line", None, None) is None


@pytest.mark.parametrize(
    ("tags", "matched", "area"),
    [
        ({"landuse": "forest"}, "landuse=forest", True),
        ({"highway": "service"}, "highway=service", False),
        ({"highway": "pedestrian", "area": "yes"}, "highway=pedestrian", True),
        ({"highway": "services"}, "highway=services", True),
        ({"natural": "cliff"}, "natural=cliff", False),
        ({"waterway": "riverbank"}, "waterway=riverbank", True),
        ({"barrier": "hedge"}, "barrier=hedge", False),
        ({"building": "yes", "area": "no"}, "building=yes", False),
    ],
)
def test_closed_ways_are_areas_as_mappers_mean_them(tags: dict[str, str], matched: str, area: bool) -> None:
    assert is_area(tags, matched) is area


@given(st.floats(-179.9, 179.9), st.floats(-75, 80), st.floats(1, 50))
def test_a_buffer_has_its_width_in_metres_anywhere(lon: float, lat: float, width: float) -> None:
    zone = int((lon + 180) // 6) + 1
    line = shapely.LineString([(lon, lat), (lon + 1e-3, lat + 1e-3)])
    made = buffered(np.array([line], dtype=object), np.array([width]))[0]
    metres = shapely.transform(made, lambda p: np.column_stack(from_lonlat(p[:, 0], p[:, 1], zone)))
    length = shapely.transform(line, lambda p: np.column_stack(from_lonlat(p[:, 0], p[:, 1], zone))).length
    round_ends = 8 * np.sin(np.pi / 8) * (width / 2) ** 2  # a polygon of 16 sides
    assert metres.area == pytest.approx(length * width + round_ends, rel=1e-3)


@given(st.floats(-179, 178), st.floats(-79, 83))
def test_hectares_are_those_of_the_ellipsoid(lon: float, lat: float) -> None:
    from pyproj import Geod

    box = shapely.box(lon, lat, lon + 0.02, lat + 0.02)
    true = abs(Geod(ellps="WGS84").geometry_area_perimeter(box)[0]) / 1e4
    assert hectares(np.array([box], dtype=object))[0] == pytest.approx(true, rel=1e-3)
