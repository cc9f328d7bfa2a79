"""Several years, several stores and labels with years of their own; what a head says it was made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_fakes import FakeStore, draw_labels, make_store, make_truth

import tessera.heads.fitting as fitting
from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.heads import fit, load_head
from tessera.labels import Labels, read_labels
from tessera.learners import learn

NAMES = ("forest", "town", "water")
TRUTH = make_truth()


@dataclass
class YearStore(FakeStore):
    """Vectors of 2022 have the opposite sign of those of 2021: a wrong year is seen at once."""

    years: tuple[int, ...] = (2021, 2022)

    def sample_codes(self, points: Any, year: int, dims: int | None = None) -> CodedVectors:
        found = super().sample_codes(points, year, dims)
        return found if year == 2021 else CodedVectors(-np.maximum(found.codes, -127), found.scales)


@pytest.fixture(scope="module")
def store() -> YearStore:
    return YearStore(make_store(TRUTH).values)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return read_labels(draw_labels(TRUTH, NAMES, 40), "crop")


def with_years(labels: Labels, years: Any) -> Labels:
    return replace(labels, years=np.asarray(years, dtype=np.int64))


def test_each_label_learns_from_its_own_year(store: YearStore, labels: Labels) -> None:
    assert labels.lonlat is not None
    years = np.where(np.arange(len(labels)) % 2 == 0, 2021, 2022)
    found = fit(store, with_years(labels, years), "crop", head="knn")
    assert found.metrics["label_years"] == {"2021": 60, "2022": 60}
    assert found.year == 2022
    assert found.report().startswith("knn head: 3 classes, 8 dims, years 2021, 2022, model fake-nano (")
    # what was learnt in a year is known again in it; in the other year it looks like another class
    own = [store.sample_codes(labels.lonlat, year) for year in (2021, 2022)]
    both = CodedVectors(
        np.where((years == 2021)[:, None], own[0].codes, own[1].codes),
        np.where(years == 2021, own[0].scales, own[1].scales),
    )
    right = found.names(found.predict_codes(both)) == labels.values
    assert right.mean() > 0.9
    wrong = fit(store, labels, "crop", head="knn", year=2021)
    assert (wrong.names(wrong.predict_codes(own[1])) == labels.values).mean() < 0.6


def test_years_that_the_store_lacks_are_left_out_and_said(store: YearStore, labels: Labels) -> None:
    years = np.where(np.arange(len(labels)) < 10, 1999, 2021)
    found = fit(store, with_years(labels, years), "crop")
    assert found.metrics["labels"] == 110
    assert "labels of years that the store lacks are left out: 10 of 1999" in found.metrics["notes"]
    with pytest.raises(InputError, match=r"are of 1999; the store has 2021, 2022"):
        fit(store, with_years(labels, np.full(120, 1999)), "crop")
    told = fit(store, with_years(labels, np.full(120, 1999)), "crop", year=2022)
    assert any("labels are of 1999 and learn from embeddings of 2022" in note for note in told.metrics["notes"])


def test_a_test_on_other_years_learns_from_none_of_them(store: YearStore, labels: Labels) -> None:
    """The two years look opposite: what one year teaches is wrong in the other, and the split says so."""
    years = np.where(np.arange(len(labels)) % 2 == 0, 2021, 2022)
    given = with_years(labels, years)
    honest = fit(store, given, "crop", head="knn", split="year").metrics
    mixed = fit(store, given, "crop", head="knn", split="random").metrics
    assert [row["name"] for row in honest["per_fold"]] == ["2021", "2022"]
    assert honest["macro_f1"] < 0.6 < mixed["macro_f1"]


def test_years_stand_side_by_side_in_their_order(store: YearStore, labels: Labels) -> None:
    found = fit(store, labels, "crop", years=[2022, 2021])
    assert [one.year for one in found.inputs] == [2022, 2021]
    assert found.dims == 16
    assert labels.lonlat is not None
    parts = tuple(store.sample_codes(labels.lonlat, year) for year in (2022, 2021))
    assert (found.names(found.predict_codes(StackedVectors(parts))) == labels.values).mean() > 0.95
    two = fit([store, store], labels, "crop", year=2021)
    assert [one.year for one in two.inputs] == [2021, 2021]
    assert found.report().startswith("linear head: 3 classes, 16 dims, years 2022, 2021, model fake-nano (")
    assert two.report().startswith("linear head: 3 classes, 16 dims, year 2021, model fake-nano (")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"year": 2021, "years": [2021]}, "expected one of both"),
        ({"years": [2021, 2021]}, "expected years that differ"),
        ({"years": []}, "expected years that differ"),
        ({"years": [1999]}, "the store has no year 1999; it has 2021, 2022"),
        ({"group": "field", "year": 2021}, "group beside Labels, which hold their own"),
        ({"sample": "clicks", "year": 2021}, "sample 'clicks'; expected random, or none"),
        ({"sample": "stratified", "year": 2021}, "fit does not know the map whose classes were the strata"),
        ({"weights": "some", "year": 2021}, "weights 'some'; expected even or occur"),
        ({"settings": {"trees": 3}, "year": 2021}, "setting '?trees'? of head linear"),
    ],
)
def test_what_cannot_be_asked_is_one_line(store: YearStore, labels: Labels, options: Any, line: str) -> None:
    with pytest.raises(InputError, match=line):
        fit(store, labels, "crop", **options)


def test_no_store_is_one_line(labels: Labels) -> None:
    with pytest.raises(InputError, match=r"store not found: x\.zarr is no folder"):
        fit("x.zarr", labels, "crop")
    with pytest.raises(InputError, match="store is a int; expected a path, a URL or an open store"):
        fit(5, labels, "crop")
    with pytest.raises(InputError, match="no store"):
        fit([], labels, "crop")


def test_a_head_says_what_it_was_made_from(store: YearStore, labels: Labels, tmp_path: Any) -> None:
    found = fit(store, labels, "crop", year=2021, seed=4)
    made = load_head(found.save(tmp_path / "h.json")).provenance
    assert made == found.provenance
    assert (made["seed"], made["head"], made["weights"]) == (4, "linear", "even")
    assert made["labels"]["count"] == 120
    other = replace(labels, values=np.roll(labels.values, 1))
    assert fit(store, other, "crop", year=2021).provenance["labels"]["sha256"] != made["labels"]["sha256"]
    assert fit(store, labels, "crop", year=2022).provenance["labels"]["sha256"] == made["labels"]["sha256"]


def test_what_is_too_many_is_drawn_and_said(store: YearStore, labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MOST_LEARNT", 60)
    monkeypatch.setattr(fitting, "MOST_VALIDATED", 45)
    found = fit(store, labels, "crop", year=2021)
    assert (found.metrics["labels"], found.metrics["learnt"], found.metrics["validated"]) == (120, 60, 45)
    assert "learnt from 60 of 120 labels, drawn at random within each class and group" in found.metrics["notes"]
    how = "drawn at random within each class and group; scores weigh them back"
    assert f"tested on 45 of 120 labels, {how}" in found.metrics["notes"]
    sampled = fit(store, labels, "crop", year=2021, sample="random")
    assert "tested on 45 of 120 labels, drawn at random" in sampled.metrics["notes"]
    assert sum(row["labels"] for row in found.metrics["per_class"].values()) == 120
    assert fit(store, labels, "crop", year=2021).metrics == found.metrics


def test_settings_are_chosen_within_the_training_labels(store: YearStore, labels: Labels) -> None:
    found = fit(store, labels, "crop", year=2021, tune=True)
    assert "settings that the search chose: " in found.report()
    told = found.metrics["tuning"]
    assert len(told["per_fold"]) == len(found.metrics["per_fold"])
    assert told["chosen"] == found.metrics["settings"]
    assert {str(one["settings"]) for one in told["tried"]} >= {str(row["chosen"]) for row in told["per_fold"]}


def test_the_curve_ends_in_the_score_of_all_labels(store: YearStore, labels: Labels) -> None:
    metrics = fit(store, labels, "crop", year=2021).metrics
    points = metrics["curve"]["points"]
    assert [point["labels"] for point in points] == ["5/class", "10/class", "20/class", "100%"]
    assert points[-1]["value"] == metrics["macro_f1"]
    assert [round(point["learnt"]) for point in points[:3]] == [15, 30, 60]
    assert fit(store, labels, "crop", year=2021, curve=False).metrics["curve"] is None


def test_worst_examples_are_wrong_and_lie_where_their_labels_lie(labels: Labels) -> None:
    assert labels.lonlat is not None
    metrics = fit(make_store(TRUTH, noise=2.0), labels, "crop").metrics
    places = {
        (round(lon, 6), round(lat, 6)): name for (lon, lat), name in zip(labels.lonlat, labels.values, strict=True)
    }
    sure = [row["probability"] - row["truth_probability"] for row in metrics["worst"]]
    assert sure == sorted(sure, reverse=True)
    assert metrics["worst"]
    for row in metrics["worst"]:
        assert places[row["lon"], row["lat"]] == row["truth"] != row["predicted"]


def test_learners_stop_early_on_whole_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Point labels have no groups of their own, and neighbours must not choose the epoch."""
    seen: list[Any] = []

    def stop(task: Any, *_: Any, units: Any, **__: Any) -> Any:
        seen.append((task.stopping, units))
        raise InputError("seen")

    monkeypatch.setattr(fitting, "cross_validate", stop)
    with pytest.raises(InputError, match="seen"):
        fit(make_store(TRUTH), draw_labels(TRUTH, NAMES, 20), "crop", block_km=0.2)
    ((groups, units),) = seen
    assert (groups == units).all()
    assert 1 < len(np.unique(groups)) < len(groups)


def test_a_head_of_many_labels_stops_early_on_whole_blocks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, seen = draw_labels(TRUTH, NAMES, 20), []

    def spy(*args: Any, groups: Any, **kwargs: Any) -> Any:
        seen.append(groups)
        return learn(*args, groups=groups, **kwargs)

    monkeypatch.setattr(fitting, "learn", spy)
    monkeypatch.setattr(fitting, "MOST_VALIDATED", 40)
    fit(make_store(TRUTH), labels, "crop", block_km=0.2)
    assert len(seen[-1]) == 60
    assert 1 < len(np.unique(seen[-1])) < 60


def test_labels_of_several_years_keep_how_both_were_predicted(store: YearStore, labels: Labels) -> None:
    years = np.repeat(np.array([2021, 2022], dtype=np.int64), len(labels))
    both: dict[str, Any] = {
        name: np.concatenate([getattr(labels, name)] * 2)
        for name in ("values", "groups", "lonlat", "regions", "test")
        if getattr(labels, name) is not None
    }
    found = fit(store, replace(labels, **both, years=years), "crop")
    pairs = np.array(found.metrics["confusion"]["pairs"])
    assert (pairs[:, 0] == 2021).all()
    assert (pairs[:, 1] == 2022).all()
    assert (pairs[:, 3] == pairs[:, 4]).all()
    matrix, counts = np.array(found.metrics["confusion"]["counts"]), pairs[:, -1]
    assert counts.sum() == matrix.sum() / 2
    rights = sum(counts[pairs[:, 3] == pairs[:, 5 + side]].sum() for side in (0, 1))
    assert rights == np.trace(matrix)
    page = (Path(__file__).resolve().parents[2] / "docs" / "head-format.md").read_text(encoding="utf-8")
    assert all(f"| `confusion.{key}` |" in page for key in found.metrics["confusion"])


@pytest.mark.parametrize("split", ["random", "spatial"])
def test_a_random_split_says_that_coverage_is_flattered(store: YearStore, labels: Labels, split: str) -> None:
    found = fit(store, labels, "crop", year=2021, split=split)
    told = [found.metrics[key]["note"] for key in ("calibration", "conformal", "abstention")]
    assert all((note is not None and "flattered" in note) == (split == "random") for note in told)
    assert ("calibration, coverage and accuracy are flattered" in found.report()) == (split == "random")
    assert 0 < found.metrics["applicability"]["inside"] <= 1


def test_the_note_on_years_names_all_that_are_read(store: YearStore, labels: Labels) -> None:
    old = replace(labels, years=np.full(len(labels), 2015, dtype=np.int64))
    notes = fit(store, old, "crop", years=(2021, 2022)).metrics["notes"]
    assert "labels are of 2015 and learn from embeddings of 2021, 2022 all the same, as requested" in notes
