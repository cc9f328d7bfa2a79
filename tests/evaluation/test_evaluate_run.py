"""The whole evaluation."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluate_made import groups_of, told_apart

from tessera.base import InputError, Kept, TesseraError
from tessera.evaluation import Evaluation, evaluate
from tessera.evaluation._curves import draw_sets
from tessera.evaluation._kept import key_of
from tessera.evaluation.plan import make_plan
from tessera.labels import Labels
from tessera.validation import CLASS_METRICS, Task, parse_amounts


def compared(tmp: Path | None = None, **options: object) -> Evaluation:
    labelled, x = told_apart()
    noise = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    settings: dict[str, object] = {"heads": "linear,knn", "labels": "2/class,10/class", "draws": 6, "times": 100}
    settings["beside"] = False
    return evaluate({"good": x, "noise": noise}, labelled, keep=tmp, **{**settings, **options})  # type: ignore[arg-type]


def test_good_features_beat_noise_and_the_difference_says_so() -> None:
    result = compared()
    table = {(row["features"], row["head"], row["labels"], row["metric"]): row for row in result.table()}
    assert len(table) == 2 * 2 * 2 * len(CLASS_METRICS)
    good, noise = (table[name, "linear", "10/class", "macro_f1"] for name in ("good", "noise"))
    assert good["mean"] > 0.85
    assert noise["mean"] < 0.5
    assert good["low"] <= good["mean"] <= good["high"]
    assert good["draws"] == 6
    assert good["labels_taken"] == 30
    for row in result.differences("good", "noise"):
        assert row["low"] > 0 or row["labels"] == "2/class"
        assert row["low"] <= row["difference"] <= row["high"]
    best = {(row["features"], row["labels"]): row["mean"] for row in result.best()}
    for (features, head, labels, metric), row in table.items():
        if metric == "macro_f1":
            assert best[features, labels] >= row["mean"], head


def test_the_report_says_which_differences_hold() -> None:
    result = compared()
    rows, lines = result.report_differences()
    assert rows[0] == ("difference of macro_f1", "head", "2/class", "10/class")
    assert [row[:2] for row in rows[1:]] == [
        *(("good - noise", head) for head in ("linear", "knn", "best")),
        *((features, "linear - knn") for features in ("good", "noise")),
    ]
    records = [*result.differences("good", "noise"), *result.head_differences("linear", "knn")]
    for record in records:
        assert record["holds"] == (record["low"] > 0 or record["high"] < 0)
    assert sum(cell.endswith(" *") for row in rows[1:] for cell in row) == sum(one["holds"] for one in records) > 0
    assert lines[1].startswith(f"{sum(one['holds'] for one in records)} of 10 differences hold")
    assert "above 0 the first is better" in lines[0]
    content = json.loads(result.to_json())
    assert len(content["head_differences"]) == 2 * 2 * len(CLASS_METRICS)
    alone = evaluate(told_apart()[1], told_apart()[0], heads="knn", labels="2/class", draws=2, times=20)
    assert alone.report_differences() == ([], [])


def test_many_feature_sets_get_a_panel_each(tmp_path: Path) -> None:
    labelled, x = told_apart()
    rng = np.random.default_rng(3)
    sets = {f"set {k}": (x + rng.normal(0, 0.2 * k, x.shape)).astype(np.float32) for k in range(6)}
    result = evaluate(sets, labelled, heads="linear,knn", labels="2/class,5/class", draws=2, times=20)
    rows = [row for row in result.table() if row["metric"] == "macro_f1"]
    figure = draw_sets(rows, "macro_f1", "many")
    titles = [panel.get_title() for panel in figure.axes]
    assert [title for title in titles if title] == list(sets)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == [*(f"{h}, 95 % interval" for h in ("linear", "knn")), "set 0, best head", "all others, best head"]
    # all others, the first set, and its own two heads
    assert [len(panel.lines) for panel in figure.axes[:6]] == [7, *[8] * 5]
    result.draw(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 20_000


def test_a_difference_of_heads_is_that_of_their_scores_on_the_same_draws() -> None:
    result = compared()
    table = {
        (row["features"], row["head"], row["labels"]): row for row in result.table() if row["metric"] == "macro_f1"
    }
    for row in result.head_differences("knn", "linear"):
        one, other = (table[row["features"], head, row["labels"]]["mean"] for head in ("knn", "linear"))
        assert row["difference"] == pytest.approx(one - other, abs=2e-6)
        assert row["low"] <= row["difference"] <= row["high"]


def test_names_of_other_scripts_are_drawn_without_a_warning(tmp_path: Path) -> None:
    labelled, x = told_apart()
    result = evaluate({"\u9ea6\u7530": x}, labelled, heads="knn", labels="2/class", draws=1, times=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.draw(tmp_path / "curves.png")


def test_a_difference_of_one_with_itself_is_nothing() -> None:
    labelled, x = told_apart()
    result = evaluate({"a": x, "b": x.copy()}, labelled, heads="linear", labels="3/class", draws=3, times=50)
    (row,) = result.differences("a", "b")
    assert (row["difference"], row["low"], row["high"], row["holds"]) == (0, 0, 0, False)


def test_pairing_narrows_the_difference() -> None:
    labelled, x = told_apart(seed=4)
    near = x + np.random.default_rng(2).normal(0, 0.03, x.shape).astype(np.float32)
    result = evaluate({"a": x, "b": near}, labelled, heads="linear", labels="5/class", draws=8, times=200)
    (gap,) = result.differences("a", "b")
    a = next(row for row in result.table() if row["features"] == "a" and row["metric"] == "macro_f1")
    assert gap["high"] - gap["low"] < 0.5 * (a["high"] - a["low"])


def test_features_that_lack_a_pixel_take_it_from_all() -> None:
    labelled, x = told_apart()
    holes = x.copy()
    holes[5] = np.nan
    result = evaluate({"a": x, "b": holes}, labelled, heads="knn", labels="2/class", draws=2, times=20)
    assert result.about["labels"] == len(labelled) - 1
    only = evaluate(
        {"a": x[np.arange(len(x)) != 5]}, _without(labelled, 5), heads="knn", labels="2/class", draws=2, times=20
    )
    mine = [row["mean"] for row in result.table() if row["features"] == "a"]
    assert mine == [row["mean"] for row in only.table()]


def _without(labelled: Labels, pixel: int) -> Labels:
    kept = np.arange(len(labelled)) != pixel
    group = None if labelled.groups is None else labelled.groups[kept]
    return replace(labelled, values=labelled.values[kept], groups=group)


def test_the_same_arguments_give_the_same_result_and_kept_scores_are_used(tmp_path: Path) -> None:
    first = compared(tmp_path).to_json()
    assert compared().to_json() == first
    files = sorted(tmp_path.iterdir())
    assert len(files) == 8
    changed = Kept(tmp_path).get(files[0].name, 1 << 20)
    assert changed is not None
    Kept(tmp_path).put(files[0].name, {"scores": changed["scores"] * 0})
    files[1].write_bytes(b"\x93NUMPY no more")
    again = json.loads(compared(tmp_path).to_json())
    # a kept score is believed, a broken one is made anew
    assert again["records"] != json.loads(first)["records"]
    files[0].unlink()
    assert compared(tmp_path).to_json() == first
    assert compared(tmp_path, seed=1).to_json() != first


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tessera.base.folder.write_atomic", full)
    with pytest.raises(TesseraError, match=r"cannot write .*: No space left on device; what is finished is kept"):
        compared(tmp_path)


def test_progress_ends_with_its_total() -> None:
    seen: list[tuple[int, int]] = []
    compared(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (48, 48)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(25), 4).astype(np.int64)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    labelled = Labels(50 + 10 * x[:, 0].astype(np.float64) + rng.normal(0, 2, 100), "regression", group)
    result = evaluate(x, labelled, heads="linear,forest", labels="10,100%", draws=3, times=50)
    rows = {(row["head"], row["labels"], row["metric"]): row["mean"] for row in result.table()}
    assert 1.5 < rows["linear", "100%", "rmse"] < 2.6
    assert rows["linear", "100%", "r2"] > 0.9
    assert result.best()[1]["head"] == "linear"
    result.draw(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    json.loads(result.to_json(tmp_path / "out.json"))
    assert (tmp_path / "out.json").read_text() == result.to_json()
    assert result.report()[0] == ("rmse", "head", "10", "100%")
    gaps, lines = result.report_differences()
    assert gaps[1][:2] == ("features 1", "linear - forest")
    assert gaps[1][3].startswith("-")
    assert gaps[1][3].endswith(" *")
    assert "below 0 the first is better" in lines[0]


def test_what_a_random_split_would_show_stands_beside(tmp_path: Path) -> None:
    """Labels of a group are alike, and the group's own feature tells nothing of another group."""
    labelled, _ = told_apart(groups=40, each=6)
    own = np.random.default_rng(0).normal(size=(40, 8))[groups_of(labelled)].astype(np.float32)
    asked: dict[str, object] = {"heads": "knn", "labels": "5/class,100%", "draws": 4, "times": 20}
    result = evaluate(own, labelled, keep=tmp_path, **asked)  # type: ignore[arg-type]
    beside = result.about["random"]
    assert beside["labels"] == "100%"
    honest = next(row["mean"] for row in result.table() if (row["labels"], row["metric"]) == ("100%", "macro_f1"))
    assert honest < 0.55
    assert beside["scores"]["features 1"]["knn"]["macro_f1"] > 0.8
    assert result.report_random().startswith("a random split would show macro-F1 of 100%: features 1 knn 0.")
    assert json.loads(result.to_json())["random"] == beside
    again = evaluate(own, labelled, keep=tmp_path, **asked)  # type: ignore[arg-type]
    assert again.to_json() == result.to_json()
    assert compared(split="random").report_random() == ""


def test_wrong_names_are_refused() -> None:
    result = compared()
    with pytest.raises(InputError, match="feature set 'bad'; there is good, noise"):
        result.differences("good", "bad")
    with pytest.raises(InputError, match="head 'bad'; there is linear, knn"):
        result.head_differences("bad", "knn")
    with pytest.raises(InputError, match="metric 'iou'"):
        result.report("iou")
    with pytest.raises(InputError, match="no feature sets"):
        evaluate({}, told_apart()[0])


def test_the_verb_works_whatever_was_imported_first() -> None:
    code = (
        "import numpy as np, tessera.evaluation, tessera; from tessera.heads import Labels; "
        "label = np.array(['a', 'b'] * 8, dtype=object); "
        "data = Labels(label, 'classification', np.arange(16)); "
        "x = np.random.default_rng(0).normal(size=(16, 2)); "
        "print(tessera.evaluate(x, data, heads='knn', labels='2/class', draws=1, times=5))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Evaluation(labels, 1 outcomes")


def test_the_room_is_light_to_import() -> None:
    code = (
        "import tessera.evaluation, sys; "
        "print([name for name in ('torch', 'sklearn', 'matplotlib', 'pandas', 'geopandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("head", ["linear", "knn", "forest", "mlp"])
def test_any_seed_is_taken(head: str) -> None:
    labelled, good = told_apart()
    for seed in (2**32 // 1009, 10**30):
        table = evaluate(
            good, labelled, heads=head, labels="5/class", draws=2, seed=seed, times=5, beside=False
        ).table()
        assert all(row["mean"] is not None for row in table)


def test_what_cannot_be_evaluated_is_one_line(tmp_path: Path) -> None:
    labelled, good = told_apart()
    for amount in ("9" * 400, "1e9", "0"):
        with pytest.raises(InputError, match="labels; expected a number"):
            evaluate(good, labelled, labels=amount)
    with pytest.raises(InputError, match=r"head \[\]; expected some of"):
        evaluate(good, labelled, heads=[[]])  # type: ignore[list-item]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"folder of scores .*file is a file"):
        evaluate(good, labelled, keep=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_feature_beyond_float32_is_no_data() -> None:
    labelled, good = told_apart()
    x = np.asarray(good, dtype=np.float64).copy()
    x[0] = 1e300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(x, labelled, heads="knn", labels="5/class", draws=1, times=5)
    assert any("1 of" in note and "no data" in note for note in result.about["notes"])


def test_weights_settings_and_a_search_reach_the_heads() -> None:
    rng = np.random.default_rng(3)
    target = np.repeat(["common", "rare"], [200, 40])
    x = rng.normal(0, 1, (240, 2)).astype(np.float32)
    x[:, 0] += np.where(target == "rare", 1.2, 0)
    labelled = Labels(target.astype(object), "classification", groups=np.arange(240))

    def ran(**options: object) -> Evaluation:
        options = {"heads": "linear", "labels": "100%", "draws": 3, "times": 5, "split": "group", **options}
        return evaluate(x, labelled, beside=False, **options)  # type: ignore[arg-type]

    def score(metric: str, **options: object) -> float:
        (found,) = [row for row in ran(**options).table() if row["metric"] == metric]
        return float(found["mean"])

    # as often as they are labelled: more of all pixels right, fewer of the rare class
    assert score("accuracy", weights="occur") > score("accuracy")
    assert score("balanced_accuracy", weights="occur") < score("balanced_accuracy")
    # each setting goes to the heads that have it
    both = ran(heads="linear,knn", settings={"neighbours": 1})
    assert both.about["settings"] == {"knn": {"neighbours": 1}}
    ones = {(row["head"], row["metric"]): row["mean"] for row in both.table()}
    assert ones["linear", "macro_f1"] == score("macro_f1")
    assert ones["knn", "macro_f1"] != score("macro_f1", heads="knn")
    assert ran(tune=True).about["tuned"] is True
    # what is searched is better than the worst, and what the user fixed is not searched
    noisy = {"heads": "knn", "labels": "100%", "draws": 4, "times": 5, "split": "group", "beside": False}
    truth, _ = told_apart(groups=60)
    y = np.unique(truth.values.astype(str), return_inverse=True)[1]
    far = (np.eye(3)[y] + np.random.default_rng(0).normal(0, 0.8, (len(y), 3))).astype(np.float32)
    found = []
    for more in ({"settings": {"neighbours": 1}}, {"settings": {"neighbours": 1}, "tune": True}, {"tune": True}):
        rows = evaluate(far, truth, **noisy, **more).table()  # type: ignore[arg-type]
        found.append(next(row["mean"] for row in rows if row["metric"] == "macro_f1"))
    assert found[1] < found[2] - 0.03
    assert found[0] < found[2] - 0.03
    with pytest.raises(InputError, match="setting 'trees' of heads linear, knn; expected one that they have: linear:"):
        ran(heads="linear,knn", settings={"trees": 10})
    with pytest.raises(InputError, match="weights 'odd'; expected even or occur"):
        ran(weights="odd")


def test_kept_scores_of_other_settings_are_not_taken(tmp_path: Path) -> None:
    labelled, x = told_apart()
    options = {"heads": "knn", "labels": "10/class", "draws": 2, "times": 5, "beside": False, "keep": tmp_path}
    for more in ({}, {"settings": {"neighbours": 1}}, {"weights": "occur"}, {"tune": True}):
        evaluate(x, labelled, **options, **more)  # type: ignore[arg-type]
    assert len(list(tmp_path.glob("*.part"))) == 4


def test_kept_scores_of_a_search_belong_to_its_buffer() -> None:
    labelled, x = told_apart()
    (amount,) = parse_amounts("10/class", "classification")
    plan = make_plan(labelled, np.ones(len(labelled), dtype=np.bool_), (amount,), draws=2)
    wide = replace(plan, held=replace(plan.held, buffer_km=1.0))
    task = Task("knn", x, plan.target, len(plan.classes), groups=plan.group)
    for tuned in (False, True):
        one, other = (key_of(task, which, amount, 5, tuned=tuned) for which in (plan, wide))
        assert (one != other) == tuned


def test_a_year_is_tested_by_the_others() -> None:
    # what a class looks like moves from year to year: a random split hides it
    rng = np.random.default_rng(5)
    years = np.tile([2020, 2021, 2022], 60)
    places = np.repeat(np.arange(60), 3)
    target = places % 2
    x = (target * 2.0 + (years - 2020) * 2 + rng.normal(0, 0.3, 180))[:, None].astype(np.float32)
    lonlat = np.column_stack([5 + places * 0.01, np.full(180, 50.0)])
    labelled = Labels(
        np.array(["a", "b"], dtype=object)[target], "classification", groups=places, lonlat=lonlat, years=years
    )
    scores = {}
    for split in ("year", "group"):
        result = evaluate(
            x, labelled, heads="knn", labels="100%", split=split, draws=6, times=5, block_km=0.5, buffer_km=0
        )
        (scores[split],) = [row["mean"] for row in result.table() if row["metric"] == "macro_f1"]
        assert result.about["split"] == split
    assert scores["year"] < scores["group"] - 0.2
    with pytest.raises(InputError, match="has no years; expected a column that names the year of each label"):
        evaluate(x, replace(labelled, years=None), heads="knn", split="year")
