from __future__ import annotations

import csv
import io
import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.dom import minidom

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from heads_fakes import FakeStore, box_area, draw_labels, make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tessera.base import InputError
from tessera.heads import Head, fit, load_head
from tessera.labels import NO_DATA, class_labels, code_note, left_to_right, map_values, one_line
from tessera.maps import MapClass, area_table, empty_share, read_map_classes

if TYPE_CHECKING:
    from pathlib import Path

TRUTH = make_truth(classes=4)
AREA = box_area(0, 100, 0, 150)
ODD = ("a & b <c> \"d\" 'e'", "bell\x07 wheat\x1b[2J", "line\nbreak", "=1+1")


@pytest.fixture(scope="module")
def store() -> FakeStore:
    return make_store(TRUTH, noise=0.5)


def text_of(node: Any) -> str:
    return "".join(part.data for part in node.childNodes)


def head_of(store: FakeStore, names: tuple[str, ...]) -> Head:
    return fit(store, draw_labels(TRUTH, names, 20), "crop")


@pytest.mark.parametrize(
    ("classes", "values"),
    [
        (("10", "20", "110"), (10, 20, 110)),
        (("0", "254"), (0, 254)),
        (("forest", "town"), (0, 1)),
        (("0", "1", "forest", "water"), (0, 1, 2, 3)),
        (("1", "forest", "0", "water"), (1, 2, 0, 3)),
        (("-1", "0", "1"), (2, 0, 1)),
        (("10", "255", "256"), (10, 0, 1)),
        (("01", "1"), (0, 1)),
        (("01", "02", "10"), (0, 1, 10)),
        (("+1", "1.0", "1e1", "1_0", "\u0663", "\u00b2", " 7"), (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_whole_numbers_stay_what_they_are(classes: tuple[str, ...], values: tuple[int, ...]) -> None:
    assert map_values(classes) == values


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-2, 300).map(str) | st.text(min_size=1, max_size=4), unique=True, max_size=255))
def test_values_are_distinct_and_never_no_data(classes: list[str]) -> None:
    values = map_values(classes)
    assert len(set(values)) == len(classes)
    assert all(0 <= value < NO_DATA for value in values)
    assert all(value == int(name) for name, value in zip(classes, values, strict=True) if name in map(str, range(255)))


def test_only_numbers_that_moved_are_noted() -> None:
    assert code_note(("10", "20")) == code_note(("a", "b")) == ""
    assert code_note(("-1", "01", "10")).startswith("on a map -1 is 0, 01 is 1: only whole numbers from 0 to 254")
    assert "and 2 more" in code_note([str(value) for value in range(300, 310)])


def test_codes_agree_in_map_prediction_report_table_style_names_and_colours(store: FakeStore, tmp_path: Path) -> None:
    names = ("10", "20", "200", "-9")
    head = head_of(store, names)
    assert dict(zip(head.classes, head.values, strict=True)) == {"-9": 0, "10": 10, "20": 20, "200": 200}
    path = head.map(store, AREA, out=tmp_path / "m.tif")
    with rasterio.open(path) as source:
        found, table, tags, nodata = source.read(1), source.colormap(1), source.tags(), source.nodata
    want = head.predict(np.asarray(store.read_region(AREA, 2021).values))
    inside = found != NO_DATA
    assert nodata == NO_DATA
    np.testing.assert_array_equal(found[inside], want[inside])
    assert set(np.unique(found[inside])) == {0, 10, 20, 200}
    index = head.learnt.predict(np.asarray(store.read_region(AREA, 2021).values))
    np.testing.assert_array_equal(head.names(want), np.asarray(head.classes, dtype=object)[index])
    assert head.names(np.array([255, 3, 20], np.uint8)).tolist() == [None, None, "20"]
    assert json.loads(tags["TESSERA_CLASSES"]) == list(head.classes)
    assert json.loads(tags["TESSERA_VALUES"]) == list(head.values)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "m.classes.csv").read_text(encoding="utf-8"), newline="")))
    counts = {value: int((found == value).sum()) for value in (0, 10, 20, 200)}
    assert {int(row["value"]): row["name"] for row in rows} == {0: "-9", 10: "10", 20: "20", 200: "200"}
    assert {int(row["value"]): int(row["pixels"]) for row in rows} == counts
    assert {int(row["value"]): row["hectares"] for row in rows} == {k: f"{n / 100:.2f}" for k, n in counts.items()}
    style = minidom.parse(str(tmp_path / "m.qml"))
    (renderer,) = style.getElementsByTagName("rasterrenderer")
    assert (renderer.getAttribute("type"), renderer.getAttribute("band")) == ("paletted", "1")
    entries = {int(e.getAttribute("value")): e for e in style.getElementsByTagName("paletteEntry")}
    assert list(entries) == [0, 10, 20, 200]
    for name, value, colour in zip(head.classes, head.values, head.colours, strict=True):
        assert "#{:02x}{:02x}{:02x}".format(*table[value][:3]) == colour == entries[value].getAttribute("color")
        assert entries[value].getAttribute("label") == name
        (line,) = [line.split() for line in head.report().splitlines() if line.startswith(f"{name} ")]
        assert line[1] == str(value)
    rasterio.shutil.copy(path, tmp_path / "m.vrt", driver="VRT")
    listed = minidom.parse(str(tmp_path / "m.vrt")).getElementsByTagName("Category")
    texts = [text_of(node) for node in listed]
    assert {value: text for value, text in enumerate(texts) if text} == {0: "-9", 10: "10", 20: "20", 200: "200"}
    assert "note: on a map -9 is 0: only whole numbers" in head.report()
    assert [row[:2] for row in area_table(read_map_classes(path))][:2] == [("value", "class"), ("0", "-9")]
    with rasterio.open(path) as raster:
        assert empty_share(path) == pytest.approx((raster.read(1) == NO_DATA).mean())


def test_a_saved_head_maps_as_before_it_was_saved(store: FakeStore, tmp_path: Path) -> None:
    head = head_of(store, ("7", "30", "x", "y"))
    back = load_head(head.save(tmp_path / "h.json"))
    assert back.values == head.values == (30, 7, 0, 1)
    assert set(json.loads((tmp_path / "h.json").read_text())) == {
        *("format", "version", "head", "kind", "classes", "values", "colours", "span", "column", "inputs"),
        *("arrays", "trust", "applicability", "metrics", "provenance"),
    }


def test_names_that_no_xml_holds_stay_apart_and_the_files_stay_what_they_are(store: FakeStore, tmp_path: Path) -> None:
    head = replace(head_of(store, ODD), column="c\x01 & d")
    path = head.map(store, AREA, out=tmp_path / "m.tif")
    shown = [one_line(name) for name in head.classes]
    assert sorted(shown) == ["=1+1", "a & b <c> \"d\" 'e'", "bell\\x07 wheat\\x1b[2J", "line break"]
    names = minidom.parse(str(tmp_path / "m.tif.aux.xml")).getElementsByTagName("Category")
    assert [text_of(node) for node in names] == shown
    style = minidom.parse(str(tmp_path / "m.qml")).getElementsByTagName("paletteEntry")
    assert [entry.getAttribute("label") for entry in style] == shown
    with rasterio.open(path) as source:
        assert json.loads(source.tags()["TESSERA_CLASSES"]) == list(head.classes)
        assert source.descriptions == ("c\\x01 & d",)
    assert [one.name for one in read_map_classes(path)] == list(head.classes)
    assert "\x1b" not in head.report()
    assert "\x07" not in head.report()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), unique=True, min_size=1))
def test_any_name_is_xml_and_labels_differ(names: list[str]) -> None:
    labels = class_labels(names)
    for label in labels:
        # raises where it is no XML; an attribute keeps what is no line end
        document = minidom.parseString(f"<a>{label.replace('&', '').replace('<', '').replace('>', '')}</a>")
        assert document.documentElement is not None
        assert len(label.splitlines()) <= 1
    if all(one_line(name) for name in names):
        assert len(set(labels)) == len(names)


def test_names_alike_after_cleaning_get_their_value() -> None:
    assert class_labels(["a\x0bb", "a b", "c"]) == ["a b (0)", "a b (1)", "c"]
    long = ["x" * 300, "x" * 299 + "y", "z"]
    assert class_labels(long, 10) == ["x" * 9 + "\u2026 (0)", "x" * 9 + "\u2026 (1)", "z"]


def test_numbers_stay_right_of_a_name_from_right_to_left() -> None:
    assert left_to_right("3: ", "forest", "  5 ha") == "3: forest  5 ha"
    assert left_to_right("3: ", "\u05d9\u05e2\u05e8", "  5 ha") == "\u200e3: \u05d9\u05e2\u05e8\u200e  5 ha"


def test_half_a_letter_is_refused_in_one_line(store: FakeStore, tmp_path: Path) -> None:
    saved = json.loads(head_of(store, ("a", "b", "c", "d")).save(tmp_path / "h.json").read_text())
    saved["classes"][0] = "\ud800"
    saved["metrics"]["per_class"]["\ud800"] = saved["metrics"]["per_class"].pop("a")
    (tmp_path / "h.json").write_text(json.dumps(saved))
    with pytest.raises(InputError, match=r"holds half of a character"):
        load_head(tmp_path / "h.json")


def test_letters_of_other_scripts_are_drawn_without_a_warning(store: FakeStore, tmp_path: Path) -> None:
    head = head_of(store, ("\u9ea6\u7530 wheat", "\u05d9\u05e2\u05e8", "\u0642\u0645\u062d", "\U0001f33e crop"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head.map(store, AREA, out=tmp_path / "m.tif")
    with Image.open(tmp_path / "m.png") as image:
        assert image.width > 600


CLASS_TABLE, RANGE_TABLE = "value,name,colour,pixels,hectares\n", "from,to,colour,pixels,hectares\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "an empty file, not value,name,"),
        ("value,name\n", "columns 'value, name', not value,name,colour"),
        (CLASS_TABLE + "x,a,#ffffff,1,1\n", "row 2 has value 'x', not 0 to 254"),
        (CLASS_TABLE + "0,a,#ffffff,1,1\n1.0,b,#ffffff,1,1\n", r"row 3 has value '1\.0', not 0 to 254"),
        (CLASS_TABLE + "255,a,#ffffff,1,1\n", "row 2 has value '255', not 0 to 254"),
        (CLASS_TABLE + "-1,a,#ffffff,1,1\n", "row 2 has value '-1'"),
        (CLASS_TABLE + "1,a\n", r"row 2 has 2 cells \('1,a'\), not 5"),
        (CLASS_TABLE + "1,a,#ffffff,1,1,2\n", "row 2 has 6 cells .*, not 5"),
        (CLASS_TABLE + "1,a,#ffffff,1,1\n\n", "row 3 has 0 cells"),
        (CLASS_TABLE + "0,a,#ffffff,-1,1\n", "row 2 has '-1' pixels, not a whole number"),
        (CLASS_TABLE + f"0,a,#ffffff,{'9' * 5000},1\n", r"row 2 has '9+\.\.\.' pixels, not a whole number"),
        (CLASS_TABLE + f"0,a,#ffffff,{'9' * 19},1\n", r"row 2 has '9+' pixels, not a whole number"),
        (CLASS_TABLE + "0,a,red,1,1\n", "row 2 has colour 'red', not #rrggbb"),
        (CLASS_TABLE + "0,,#ffffff,1,1\n", "row 2 has no name"),
        (CLASS_TABLE + "0,a,#ffffff,1,1\n0,b,#ffffff,1,1\n", "two rows have the value '0'"),
        (CLASS_TABLE + "0,a,#ffffff,1,1\n1,a,#ffffff,1,1\n", "two rows have the name 'a'"),
        (CLASS_TABLE + "0,a,#ffffff,1,1\n" * 300, "300 rows, more than values of a map"),
        (CLASS_TABLE + f"0,{'a' * 200_000},#ffffff,1,1\n", "field larger than"),
        (RANGE_TABLE + "0,1,#ffffff,-1,1\n", "row 2 has '-1' pixels"),
        (RANGE_TABLE, "0 ranges, not two or more"),
        (RANGE_TABLE + ",,#ffffff,1,1\n", "1 ranges, not two or more"),
        (RANGE_TABLE + ",b,#ffffff,1,1\nb,,#ffffff,1,1\n", "row 3 begins at 'b', not at a number above"),
        (RANGE_TABLE + ",nan,#ffffff,1,1\nnan,,#ffffff,1,1\n", "row 3 begins at 'nan'"),
        (RANGE_TABLE + ",5,#ffffff,1,1\n5,2,#ffffff,1,1\n2,,#ffffff,1,1\n", "row 4 begins at '2'"),
        ("\udcff\udcfe", "not UTF-8"),
        ("a\x00b", r"columns 'a\\x00b'|line contains NUL"),
    ],
)
def test_a_table_that_is_none_is_told_by_row(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.classes.csv").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(
        InputError, match=f"no table of classes: .*{message}.*; expected the table as tessera map"
    ) as told:
        read_map_classes(tmp_path / "m.tif")
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400 + len(str(tmp_path))


def test_a_table_that_a_spreadsheet_saved_as_utf_8_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.classes.csv").write_bytes(f"{CLASS_TABLE}3,Wiese,#00ff00,7,0.07\n".encode("utf-8-sig"))
    assert read_map_classes(tmp_path / "m.tif") == (MapClass(3, "Wiese", "#00ff00", 7),)


def test_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected one beside the map"):
        read_map_classes(tmp_path / "m.tif")


def test_hectares_of_a_table_have_the_same_decimals() -> None:
    legend = tuple(MapClass(value, name, "#000000", count) for value, name, count in ((0, "a", 20_050), (1, "b", 160)))
    assert [row[3] for row in area_table(legend)] == ["hectares", "200", "2"]
    assert [row[3] for row in area_table(legend[1:])] == ["hectares", "1.60"]
