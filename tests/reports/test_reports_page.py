"""The report as HTML: sound, alone, accessible, and safe whatever the metrics of a head hold."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports_fakes import NASTY, FakeHead, numbers_head, rich_head

from tessera.base import InputError
from tessera.reports import write_report
from tessera.reports._methods import methods_of
from tessera.reports._page import heat

VOID = frozenset(("meta", "img", "br", "hr"))
LOADING = frozenset(("script", "link", "iframe", "object", "embed", "base", "form", "video", "audio", "source", "svg"))


class Reader(HTMLParser):
    """Checks nesting while it reads, and keeps what it finds."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag} with an attribute twice"
        if tag in ("p", "ul", "ol", "table", "figure", "h2"):
            assert "p" not in self.open, f"{tag} inside a paragraph"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    def all(self, *names: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def read(head: FakeHead, folder: Path) -> tuple[Reader, str]:
    page = write_report(head, folder / "report.html", overwrite=True).read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader, page


@pytest.mark.parametrize("head", [rich_head(), numbers_head()], ids=["classes", "numbers"])
def test_a_page_is_sound_html_that_loads_nothing(head: FakeHead, tmp_path: Path) -> None:
    reader, page = read(head, tmp_path)
    assert page.startswith("<!DOCTYPE html>")
    assert reader.all("html") == [{"lang": "en"}]
    assert not LOADING & {tag for tag, _ in reader.tags}
    policy = next(one["content"] for one in reader.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, attrs in reader.tags:
        assert not any(name.startswith("on") for name in attrs)
        assert "srcset" not in attrs
        if "src" in attrs:
            assert (tag, str(attrs["src"])[:22]) == ("img", "data:image/png;base64,")
        if "href" in attrs:
            assert tag == "a"
            assert re.match(r"#|https://(www\.openstreetmap|doi|arxiv)\.org/", str(attrs["href"]))
    assert "url(" not in page
    assert "@import" not in page
    ids = [str(attrs["id"]) for _, attrs in reader.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    anchors = {str(one["href"])[1:] for one in reader.all("a") if str(one["href"]).startswith("#")}
    assert anchors <= set(ids)
    assert len(anchors) >= 6


@pytest.mark.parametrize("head", [rich_head(), numbers_head()], ids=["classes", "numbers"])
def test_a_page_can_be_read_without_seeing_it(head: FakeHead, tmp_path: Path) -> None:
    reader, _ = read(head, tmp_path)
    images = reader.all("img")
    assert len(images) >= 2
    assert all(len(str(one["alt"])) > 30 and int(str(one["width"])) > 100 for one in images)
    assert reader.all("th")
    assert all(one.get("scope") in ("col", "row") for one in reader.all("th"))
    headings = [tag for tag, _ in reader.tags if tag in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert {"header", "nav", "main"} <= {tag for tag, _ in reader.tags}


def test_letters_of_a_heat_map_can_be_read_on_their_ground() -> None:
    def luminance(colour: list[int]) -> float:
        linear = [one / 255 / 12.92 if one / 255 <= 0.04045 else ((one / 255 + 0.055) / 1.055) ** 2.4 for one in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for step in range(101):
        cell = heat("1", step / 100)
        ground = luminance([int(one) for one in re.findall(r"rgb\((\d+),(\d+),(\d+)\)", cell)[0]])
        ink = 0.0 if "#000" in cell else 1.0
        high, low = max(ground, ink), min(ground, ink)
        assert (high + 0.05) / (low + 0.05) >= 4.5, step


def test_what_comes_from_labels_is_text_and_never_markup(tmp_path: Path) -> None:
    head = rich_head(notes=["<img src=x onerror=alert(1)>", NASTY], split_why='"><b>bold</b>')
    head.column = "<u>column</u>"
    head.provenance = {"<i>key</i>": {"deep": ["</td></table>", NASTY]}}
    reader, page = read(head, tmp_path)
    for markup in ("<script", "<u>", "<i>", "<b>bold", "<img src=x", "\x1b", "\u202e"):
        assert markup not in page
    words = " ".join(reader.words)
    assert "<u>column</u>" in words
    assert '<script>alert("x")</script>' in words
    assert r"\u202eevil" in words


def test_the_same_head_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(rich_head(), tmp_path / "a.html").read_bytes()
    assert write_report(rich_head(), tmp_path / "b.html").read_bytes() == first


def test_numbers_of_the_metrics_are_on_the_page(tmp_path: Path) -> None:
    head = rich_head()
    words = " ".join(read(head, tmp_path)[0].words)
    low, high = head.metrics["intervals"]["macro_f1"]
    assert f"{head.metrics['macro_f1']:.3f} ({low:.3f} to {high:.3f})" in words
    assert "a random split would show 0.710" in words
    for count in (n for row in head.metrics["confusion"]["counts"] for n in row):
        assert f"{count:,}" in words
    calibration = head.metrics["calibration"]
    assert calibration["temperature"] > 1
    assert f"temperature of {calibration['temperature']:.2f}: the raw ones were too sure." in words
    assert f"{calibration['error_calibrated'][0]:.3f}" in words
    assert f"{100 * head.metrics['conformal']['coverage'][0]:.0f} %" in words
    assert "5.25000, 50.65300" in words
    assert "trees = 500" in words
    assert "ab" * 32 in words
    assert all(name in words for name in ("plots.gpkg", "cd" * 32, "93 %"))


def test_the_methods_paragraph_has_its_numbers_and_cites_what_was_used(tmp_path: Path) -> None:
    words = " ".join(read(rich_head(), tmp_path)[0].words)
    assert "land cover was mapped with tessera 1.2.3" in words
    assert "A random forest learnt 4 classes" in words
    assert "800 labels from 40 groups" in words
    assert "held out whole blocks of land of 2 km; labels within 0.4 km of a tested one were not learnt from" in words
    for number in (
        "10.1111/ecog.02881",
        "1706.04599",
        "2306.06342",
        "10.1080/01621459.2017.1395341",
        "10.1111/2041-210X.13650",
    ):
        assert number in words
    # no area without a map, no isotonic curves where a temperature was taken
    assert "10.1016/j.rse.2014.02.015" not in words
    assert "10.1145/1102351.1102430" not in words
    # intervals are over blocks, whatever is held out
    regions = " ".join(read(rich_head(unit="region", units=4, split="region"), tmp_path)[0].words)
    blocks = rich_head().metrics["per_unit"]["units"]
    assert f"intervals leave out one of {blocks} blocks at a time (jackknife" in regions
    many = rich_head().metrics["per_unit"] | {"units": 1234}
    assert "leave out one of 200 parts of 1,234 blocks at a time" in " ".join(
        read(rich_head(per_unit=many), tmp_path)[0].words
    )
    bare = " ".join(read(FakeHead({"labels": 5}), tmp_path)[0].words)
    assert "doi:" not in bare
    assert "5 labels" in bare


def test_the_methods_paragraph_names_what_no_score_covers(tmp_path: Path) -> None:
    head = rich_head(
        unmet={"labels": 3, "classes": {"forest": 3}, "without": {}},
        buffer_km=0.341719,
        tuning={
            "tried": [{"settings": {"strength": 0.0123456789}, "score": 0.5}],
            "chosen": {"strength": 0.0123456789},
        },
    )
    head.metrics["per_class"]["crop"]["tested"] = 0
    words = re.sub(r"\s+", " ", " ".join(read(head, tmp_path)[0].words))
    assert "1 class could not be tested, so no score covers it: crop." in words
    assert "3 tested labels count as wrong, as no label of the class was learnt from in that fold (forest 3)." in words
    assert "over 3 of 4 classes" in words
    assert "macro-F1, 3 of 4 classes" in words
    assert "labels within 0.342 km of" in words
    assert "strength = 0.01235" in words
    assert "0.0123456789" not in words
    assert "no score covers" not in " ".join(read(rich_head(), tmp_path)[0].words)
    assert methods_of(head, None, 0.25)[0].endswith("25 % of the map lies beyond it, where no score holds.")


def test_a_calibration_that_was_refused_says_why_and_an_error_never_stands_alone(tmp_path: Path) -> None:
    found = {"method": "none", "why": "61 places do not show it", "error": [0.0, None, None]}
    head = rich_head(calibration={**found, "error_calibrated": [0.0, None, None]})
    words = re.sub(r"\s+", " ", " ".join(read(head, tmp_path)[0].words))
    assert "The raw probabilities were kept: 61 places do not show it." in words
    assert "not calibrated, as 61 places do not show it" in words
    assert "Calibration error - no interval" in words


SPLITS = {
    "spatial": "with 5 folds that held out whole blocks of land of 2 km; labels within 0.4 km of a tested one were not "
    "learnt from (Roberts et al. 2017): ",
    "group": "with 5 folds that held out whole groups (column farm) (Roberts et al. 2017): ",
    "region": "with 5 folds that held out whole regions; labels within 0.4 km of a tested one were not learnt from "
    "(Roberts et al. 2017): ",
    "year": "The labels of each year were predicted by a model that had learnt from other years and other blocks of 2 "
    "km only; labels within 0.4 km of a tested one were not learnt from (Roberts et al. 2017): ",
    "given": "It was tested once, on the 800 labels that the given split holds out: ",
    "random": "with 5 folds of single labels drawn at random, so that neighbours of tested labels were learnt from: ",
}


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_has_its_own_sentence_of_methods(split: str, tmp_path: Path) -> None:
    block = 2.0 if split in ("spatial", "year") else None
    buffer = 0.4 if split in ("spatial", "region", "year") else None
    unit = {"spatial": "block", "region": "region", "random": "label"}.get(split, "group")
    random = None if split == "random" else {"macro_f1": 0.71}
    head = rich_head(split=split, unit=unit, block_km=block, buffer_km=buffer, grouped_by="farm", random=random)
    words = re.sub(r"\s+", " ", " ".join(read(head, tmp_path)[0].words))
    assert SPLITS[split] in words
    assert sum(sentence in words for sentence in SPLITS.values()) == 1
    assert ("10.1111/ecog.02881" in words) == (split not in ("given", "random"))
    assert ("blocks of land of 2 km" in words) == (split == "spatial")
    assert ("quote those of another split" in words) == (split == "random")
    tested = {
        "given": "on the given test labels",
        "random": "on labels at random",
        "spatial": "on land not learnt from",
    }
    assert f"macro-F1 {tested.get(split, f'on {split}s not learnt from')}" in words


@pytest.mark.parametrize(
    ("told", "years"),
    [
        ({"label_years": {"2019": 5, "2021": 7}, "years": [2021]}, "2019, 2021"),
        ({"label_years": None, "years": [2022, 2020, 2022]}, "2022, 2020"),
        ({"years": ["<b>", 20211, None]}, "2023"),
        ({}, "2023"),
    ],
)
def test_all_years_that_were_learnt_from_are_named(told: dict[str, Any], years: str, tmp_path: Path) -> None:
    head = rich_head()
    head.metrics |= told
    page = write_report(head, tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"<h1>land cover: random forest, {years}</h1>" in page
    assert f"dimensions a 10 m pixel; {years}) " in page or f"dimensions a 10 m pixel; {years})." in page


def test_classes_of_few_places_are_marked_and_worst_examples_name_their_group(tmp_path: Path) -> None:
    head = rich_head(grouped_by="farm")
    head.metrics["per_class"]["crop"]["places"] = 7
    head.metrics["per_class"]["forest"]["places"] = 70
    for number, row in enumerate(head.metrics["worst"]):
        row |= {"name": f"Hof {number}", "group": 55}
    words = re.sub(r"\s+", " ", " ".join(read(head, tmp_path)[0].words))
    assert "1 of 2 classes tested on fewer than 20 places" in words
    assert "1 of 2 tested classes was tested on fewer than 20 places (polygons, points or groups): crop (7)." in words
    assert "7 (few)" in words
    assert words.count("(few)") == 2
    assert "longitude, latitude farm fold" in words
    assert "5.25000, 50.65300 Hof 3 1 " in words
    assert " 55 " not in words
    plain = rich_head(grouped_by="feature")
    plain.metrics["worst"][0]["name"] = "feature 12"
    assert "Features are counted from 0 in the order of the file." in " ".join(read(plain, tmp_path)[0].words)


def test_sets_of_nearly_all_classes_and_means_of_folds_are_explained(tmp_path: Path) -> None:
    head = rich_head()
    head.metrics["conformal"]["size"] = 3.6
    head.metrics["curve"]["points"][0]["learnt"] = 93.4
    words = " ".join(read(head, tmp_path)[0].words)
    assert "A set holds 3.6 of 4 classes on average" in words
    assert "about 93" in words
    assert "labels learnt from, mean of the folds" in words
    assert "Test labels whose class is in the prediction set" in words
    assert "unit" not in words.replace("community", "")
    assert "7 % of the labels lie beyond distance 1 of the labels of other folds." in words
    numbers = " ".join(read(numbers_head(), tmp_path)[0].words)
    assert "would show 0.900; RMSE 3.10" in numbers


def test_a_head_that_was_not_tested_has_a_page_that_says_so(tmp_path: Path) -> None:
    reader, _ = read(FakeHead({"labels": 12, "notes": ["not tested: one block"], "macro_f1": None}), tmp_path)
    words = " ".join(reader.words)
    assert "The head was not tested" in words
    assert "not tested: one block" in words
    assert not reader.all("img")


def test_many_classes_get_a_list_of_confusions_in_place_of_a_matrix(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(40)]
    counts = [[5 if i == j else 0 for j in range(40)] for i in range(40)]
    counts[3][7] = 4
    head = rich_head(confusion={"classes": names, "counts": counts})
    words = " ".join(read(head, tmp_path)[0].words)
    assert "The most frequent confusions." in words
    assert "class 3 class 7 4 44 %" in re.sub(r"\s+", " ", words)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("9" * 400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths_of(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in plain values."""
    found = [before] if before else []
    keys = list(value) if isinstance(value, dict) else range(min(2, len(value))) if isinstance(value, list) else []
    return found + [one for key in keys for one in paths_of(value[key], (*before, key))]


RICH = {True: rich_head(), False: numbers_head()}
PLACES = [(kind, path) for kind, head in RICH.items() for path in paths_of(head.metrics)]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), junk)
def test_metrics_of_a_stranger_never_break_the_page(
    tmp_path: Path, place: tuple[bool, tuple[Any, ...]], value: Any
) -> None:
    kind, path = place
    head = copy.deepcopy(RICH[kind])
    # pictures are slow, and tested where they are what is changed
    for key in ("points", "scatter", "curve", "calibration"):
        if path[0] != key:
            head.metrics.pop(key, None)
    inner: Any = head.metrics
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    head.provenance = {"junk": value}
    read(head, tmp_path)


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.html.txt"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a path that ends in \.html"):
        write_report(rich_head(), tmp_path / name)


def test_an_earlier_report_is_replaced_and_any_other_page_is_kept(tmp_path: Path) -> None:
    path = write_report(FakeHead({}), tmp_path / "report.html")
    write_report(FakeHead({"labels": 3}), path)
    other = tmp_path / "mine.html"
    other.write_text("<html>mine</html>", encoding="utf-8")
    with pytest.raises(InputError, match=r"mine\.html"):
        write_report(FakeHead({}), other)
    assert other.read_text(encoding="utf-8") == "<html>mine</html>"
    write_report(FakeHead({}), other, overwrite=True)
