from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_fakes import MODEL, draw_labels, make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.figures import choose_colours
from tessera.heads import Head, HeadInput, fit, load_head
from tessera.heads._packing import pack
from tessera.learners import HEADS, learn
from tessera.maps import edges_of, ramp
from tessera.validation import Applicability, Trust

TRUTH = make_truth()
STORE = make_store(TRUTH, noise=1.0)


LABELS = draw_labels(TRUTH, ("forêt", "b", "c"), 12)
KEPT = Path(__file__).parent / "kept"


def numbers_of(labels: dict[str, Any]) -> dict[str, Any]:
    """The same places with a number each."""
    rng = np.random.default_rng(3)
    height = {"forêt": 20.0, "b": 5.0, "c": 0.5}
    return {
        "type": "FeatureCollection",
        "features": [
            {**one, "properties": {"crop": height[one["properties"]["crop"]] + rng.random()}}
            for one in labels["features"]
        ],
    }


KINDS = [(head, kind) for head in HEADS for kind in ("classes", "numbers") if HEADS[head].numbers or kind == "classes"]


@pytest.fixture(scope="module", params=KINDS)
def head(request: pytest.FixtureRequest) -> Head:
    name, kind = request.param
    if kind == "numbers":
        return fit(STORE, numbers_of(LABELS), "crop", head=name)
    return fit(STORE, LABELS, "crop", head=name, colours={"b": "#123456"})


@pytest.fixture(scope="module")
def heads() -> dict[str, dict[str, Any]]:
    """The content of a file of each learner, of classes."""
    out = {}
    for name in HEADS:
        with tempfile.TemporaryDirectory() as folder:
            path = fit(STORE, LABELS, "crop", head=name).save(Path(folder) / "head.json")
            out[name] = json.loads(path.read_text(encoding="utf-8"))
    return out


@pytest.fixture(scope="module")
def saved(heads: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return heads["linear"]


def test_round_trip_is_exact(head: Head, tmp_path: Path) -> None:
    back = load_head(head.save(tmp_path / "new" / "head.json"))
    mine, theirs = head.learnt.arrays(), back.learnt.arrays()
    assert list(mine) == list(theirs)
    for name, array in mine.items():
        assert theirs[name].dtype == array.dtype
        np.testing.assert_array_equal(theirs[name], array)
    np.testing.assert_array_equal(back.predict(STORE.values), head.predict(STORE.values))
    if head.classes:
        np.testing.assert_array_equal(back.probabilities(STORE.values), head.probabilities(STORE.values))
    assert back.report() == head.report()
    for part in ("head", "kind", "classes", "span", "edges", "model", "colours", "year", "column", "metrics"):
        assert getattr(back, part) == getattr(head, part), part
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["head.json"]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(set(HEADS) - {"mlp"})), st.integers(0, 10_000), st.integers(2, 5), st.integers(6, 60))
def test_any_fitted_head_predicts_the_same_bits_when_it_comes_back(
    name: str, seed: int, classes: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    numbers = bool(seed % 2) and HEADS[name].numbers
    x = (rng.normal(size=(count, 8)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    y = rng.normal(size=count) * 1e4 if numbers else np.concatenate([np.arange(classes), np.arange(count)])[:count]
    target = y if numbers else y % classes
    learnt = learn(name, x, target, 0 if numbers else classes, seed)
    one = Head(
        name,
        learnt,
        () if numbers else tuple(f"class {k}" for k in range(classes)),
        (float(y.min()), float(y.max())) if numbers else None,
        "crop",
        (HeadInput(2021, MODEL.dims, MODEL),),
        ramp(len(edges_of(float(y.min()), float(y.max()))) + 1) if numbers else choose_colours(list("abcde")[:classes]),
        NUMBER_METRICS if numbers else class_metrics(classes),
    )
    with tempfile.TemporaryDirectory() as folder:
        back = load_head(one.save(Path(folder) / "h.json"))
    new = (rng.normal(size=(500, 8)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    np.testing.assert_array_equal(back.predict(new), one.predict(new))
    if not numbers:
        assert back.probabilities(new).tobytes() == one.probabilities(new).tobytes()


_COUNTS = dict.fromkeys(("labels", "features", "places", "missing", "no_data", "folds"), 0)
NUMBER_METRICS: dict[str, Any] = {
    **_COUNTS,
    **dict.fromkeys(("r2", "rmse", "mae", "balanced_accuracy", "macro_f1", "accuracy")),
    "split": "random",
    "notes": [],
}


def class_metrics(classes: int) -> dict[str, Any]:
    row = {"labels": 0, "tested": 0, **dict.fromkeys(("precision", "recall", "f1"))}
    return {**NUMBER_METRICS, "per_class": {f"class {k}": row for k in range(classes)}}


def test_heads_of_the_version_before_give_the_same_values() -> None:
    expected = json.loads((KEPT / "expected_v1.json").read_text(encoding="utf-8"))
    for name, want in expected.items():
        old = load_head(KEPT / f"{name}_v1.json")
        x = np.random.default_rng(5).normal(size=(40, old.dims)).astype(np.float32)
        assert old.predict(x).tolist() == want["predicted"]
        np.testing.assert_allclose(old.probabilities(x), want["probabilities"], atol=1e-6)
        # the report says the same in other words
        lines, was = old.report().splitlines(), want["report"].splitlines()
        assert lines[0] == was[0]
        rows = {tuple(line.split()) for line in lines}
        assert {(*line.split(), "-") for line in was if line.split("  ")[0] in old.classes} <= rows
        for start in ("balanced accuracy: ", "macro-F1: ", "accuracy: ", "note: "):
            assert [line for line in lines if line.startswith(start)] == [x for x in was if x.startswith(start)]
    assert "16 blocks of 0.32 km held apart" in load_head(KEPT / "linear_v1.json").report()


def test_heads_of_version_2_give_the_same_values() -> None:
    expected = json.loads((KEPT / "expected_v2.json").read_text(encoding="utf-8"))
    assert len(expected) == 8
    x = np.random.default_rng(5).normal(size=(40, 8)).astype(np.float32)
    for name, want in expected.items():
        old = load_head(KEPT / f"{name}_v2.json")
        np.testing.assert_allclose(old.predict(x), want["predicted"], rtol=1e-5)
        if old.classes:
            np.testing.assert_allclose(old.probabilities(x), want["probabilities"], atol=1e-6)
        assert (old.year, old.model, old.inputs) == (2021, MODEL, (HeadInput(2021, 8, MODEL),))


def test_a_head_of_the_version_before_is_saved_in_the_form_of_this_one(tmp_path: Path) -> None:
    old = load_head(KEPT / "linear_v1.json")
    new = load_head(old.save(tmp_path / "h.json"))
    assert json.loads((tmp_path / "h.json").read_text(encoding="utf-8"))["version"] == 3
    x = np.random.default_rng(5).normal(size=(400, old.dims)).astype(np.float32)
    assert new.probabilities(x).tobytes() == old.probabilities(x).tobytes()
    assert new.report() == old.report()


def _set(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**value, **changes}


def _input(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**value, "inputs": [{**value["inputs"][0], **changes}]}


def _model(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return _input(value, model={**value["inputs"][0]["model"], **changes})


AREA_OF_3 = Applicability(np.zeros(3, np.float32), np.ones(3, np.float32), np.zeros((2, 3), np.int16), 1.0)
HOSTILE: list[tuple[Any, str]] = [
    (lambda v: _set(v, format="pickle"), "has format 'pickle'; expected 'tessera-head'"),
    (lambda v: _set(v, version=4), "has version '4'; this release reads 1 to 3"),
    (lambda v: _set(v, version=True), "has version 'True'"),
    (lambda v: _set(v, version=[2]), r"has version '\[2\]'"),
    (lambda v: _set(v, head="svm"), "head 'svm'; this release reads linear, prototype, knn, forest, boosting, mlp"),
    (lambda v: _set(v, head=["linear"]), "this release reads linear"),
    (lambda v: _set(v, head="knn"), "expected widths, codes, scales, target, neighbours"),
    (lambda v: _set(v, kind="regression"), "kind 'regression' with 3 classes"),
    (lambda v: _set(v, span=[0, 1]), "a span of numbers and classes"),
    (lambda v: {k: x for k, x in v.items() if k != "arrays"}, r"lacks \['arrays'\]"),
    (lambda v: _set(v, extra=1), r"has \['extra'\] besides|has \W+extra"),
    (lambda v: _set(v, classes=v["classes"][:2]), "expected finite int16"),
    (lambda v: _set(v, classes=["b", "b", "c"]), "distinct names|row a class"),
    (lambda v: _set(v, classes=["b", 1, "c"]), "classes are no list of texts"),
    (lambda v: _set(v, classes=[]), "with 0 classes"),
    (lambda v: _set(v, arrays=[]), "arrays are a list"),
    (lambda v: _set(v, arrays={}), "the arrays lack bias, scale, weights, widths; expected widths, "),
    (lambda v: _input(v, dims=10**9), "a head on 1000000000 dims of a model of 8"),
    (lambda v: _input(v, dims=4), "1 inputs of 4 dims for a model of 8"),
    (lambda v: _input(v, dims="8"), "dims '8'"),
    (lambda v: _input(v, dims=True), "dims 'True'"),
    (lambda v: _input(v, year=None), "year 'None'"),
    (lambda v: _input(v, store=3), "store '3'"),
    (lambda v: _input(v, more=1), "no object of year, dims, model and store"),
    (lambda v: _set(v, inputs=[]), "expected a list of one input or more"),
    (lambda v: _set(v, inputs=v["inputs"] * 2), "2 inputs of 16 dims for a model of 8"),
    (lambda v: _set(v, values=[0, 1, 3]), r"values .*0, 1, 3.*; expected .*0, 1, 2"),
    (lambda v: _set(v, trust={}), "trust"),
    (lambda v: _set(v, trust=Trust(None, 0.9, 1.0).to_json()), "a trust of numbers and a head of classes"),
    (lambda v: _set(v, applicability={}), "expected mean, std, references, threshold"),
    (lambda v: _set(v, applicability=[1]), "arrays of the applicability are a list"),
    (lambda v: _set(v, applicability=pack(AREA_OF_3.arrays())), "an applicability of 3 dims; expected 8"),
    (lambda v: _set(v, provenance=None), "provenance is a NoneType"),
    (lambda v: _set(v, provenance={"x": float("nan")}), "provenance with a number that is not finite"),
    (lambda v: _set(v, provenance={"x": "y" * 1_000_001}), "expected at most 1,000,000"),
    (lambda v: _set(v, column=3), "column '3'"),
    (lambda v: _set(v, column="\ud800"), "half of a character"),
    (lambda v: _input(v, model={}), "model"),
    (lambda v: _input(v, model="x"), "model"),
    (lambda v: _model(v, sha256="zz"), "64 hexadecimal digits"),
    (lambda v: _model(v, dims="many"), "model"),
    (lambda v: _model(v, dims=4, prefix_dims=[4]), "8 dims of a model of 4"),
    (lambda v: _set(v, colours=["red", "red", "red"]), "colour 'red'"),
    (lambda v: _set(v, colours=v["colours"][:1]), "1 colours for 3 classes"),
    (lambda v: _set(v, metrics=[]), "metrics are a list"),
    (lambda v: _set(v, metrics={}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "macro_f1": "high"}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "macro_f1": float("nan")}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "macro_f1": 10**400}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "per_class": {"b": {}}}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "block_km": "wide"}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "random": {"macro_f1": 7}}), "metrics are not what a head saves"),
]


def refused(value: dict[str, Any], folder: Path, message: str) -> None:
    path = folder / "head.json"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=message) as caught:
        load_head(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_files_are_one_line(saved: dict[str, Any], tmp_path: Path, change: Any, message: str) -> None:
    refused(change(saved), tmp_path, message)


OLD: list[tuple[Any, str]] = [
    (lambda v: _set(v, kind="mlp"), "of kind 'mlp'"),
    (lambda v: _set(v, weights=[row[:-1] for row in v["weights"]]), "weights with 7 numbers; expected .?8"),
    (lambda v: _set(v, weights="AAAA"), "no list of 3 rows"),
    (lambda v: _set(v, classes=[], weights=[], bias=[]), "expected"),
    (lambda v: _set(v, bias=[1, 2, "3"]), "bias with an entry that is no number"),
    (lambda v: _set(v, bias=[1, 2, True]), "bias with an entry that is no number"),
    (lambda v: _set(v, bias=[1, 2, float("nan")]), "not finite"),
    (lambda v: _set(v, bias=[1, 2, 1e300]), "not finite in float32"),
    (lambda v: _set(v, bias=[1, 2, 10**400]), "not finite in float32"),
    (lambda v: _set(v, std=[0.0] * 8), "expected above 0"),
    (lambda v: _set(v, dims=10**9), "expected .?1000000000"),
    (lambda v: _set(v, dims=[8]), "expected"),
    (lambda v: _set(v, classes=["a"] * 300, weights=[v["weights"][0]] * 300), "300 classes; expected at most 255"),
]


@pytest.mark.parametrize(("change", "message"), OLD)
def test_hostile_files_of_the_version_before_are_one_line(tmp_path: Path, change: Any, message: str) -> None:
    refused(change(json.loads((KEPT / "linear_v1.json").read_text(encoding="utf-8"))), tmp_path, message)


def array(values: Any, dtype: str) -> dict[str, Any]:
    made = np.asarray(values, dtype=dtype)
    return {"dtype": dtype, "shape": list(made.shape), "data": base64.b64encode(made.tobytes()).decode()}


def values_of(packed: dict[str, Any]) -> Any:
    return np.frombuffer(base64.b64decode(packed["data"]), packed["dtype"]).reshape(packed["shape"]).copy()


def changed(name: str, place: Any, value: Any) -> Any:
    """Put a value into an array of a file."""

    def change(arrays: dict[str, Any]) -> dict[str, Any]:
        made = values_of(arrays[name])
        made[place] = value
        return {**arrays, name: array(made, arrays[name]["dtype"])}

    return change


def packed(name: str, **parts: Any) -> Any:
    return lambda arrays: {**arrays, name: {**arrays[name], **parts}}


def chain(depth: int) -> Any:
    """One tree in which every second child splits again."""
    feature = [part for _ in range(depth) for part in (0, -1)] + [-1]
    feature = [0, *[-1, 0] * (depth - 1), -1, -1]
    leaves = feature.count(-1)

    def change(arrays: dict[str, Any]) -> dict[str, Any]:
        return {
            **arrays,
            "sizes": array([len(feature)], "int32"),
            "feature": array(feature, "int16"),
            "threshold": array(np.zeros(len(feature)), "float32"),
            "leaf": array(np.zeros(leaves), "int32"),
        }

    return change


ARRAYS: list[tuple[str, Any, str]] = [
    ("linear", packed("bias", dtype="object"), "of 'object'; expected one of int8"),
    ("linear", packed("bias", dtype="int16"), "with 32 letters of base64"),
    ("linear", packed("bias", dtype="int64", shape=[2]), "with 32 letters of base64"),
    ("linear", packed("bias", shape=[10**12]), "with 32 letters of base64"),
    ("linear", packed("bias", shape=[-3]), "expected one to 4 whole numbers"),
    ("linear", packed("bias", shape=[True]), "expected one to 4 whole numbers"),
    ("linear", packed("bias", shape=[1, 1, 1, 1, 3]), "expected one to 4 whole numbers"),
    ("linear", packed("bias", shape=[0, 2**70], data=""), "with 0 letters"),
    ("linear", packed("bias", shape=[2**63 - 1, 0], data=""), "with 0 letters"),
    ("linear", packed("bias", data="AAAA AAA" * 4), "no base64"),
    ("linear", packed("bias", data="é" * 32), "no base64"),
    ("linear", packed("bias", data=7), "data that are a int"),
    ("linear", packed("bias", shape=[10**300, 0], data=""), "with 0 letters"),
    ("linear", packed("bias", more=1), "no object of dtype, shape and data"),
    ("linear", changed("bias", 0, np.nan), "bias holds numbers that are not finite"),
    ("linear", changed("scale", 0, np.inf), "scale holds numbers that are not finite"),
    ("linear", changed("scale", 0, -1), "expected scales of 0 or more"),
    ("linear", changed("bias", 0, 1e300), "a number above 1e[+]200"),
    ("linear", changed("widths", 0, 0), "or one without dims"),
    ("linear", changed("widths", 0, 9), "weights int16"),
    ("linear", lambda a: {**a, "widths": array([], "int32")}, "0 parts"),
    ("linear", lambda a: {**a, "bias": array([1, 2, 3], "float32")}, "bias float32"),
    ("knn", changed("target", 0, 3), "one of no class"),
    ("knn", changed("target", 0, -1), "one of no class"),
    ("knn", changed("neighbours", 0, 0), "0 neighbours of 36 labels"),
    ("knn", changed("neighbours", 0, 37), "37 neighbours of 36 labels"),
    ("knn", changed("scales", 0, 0), "a scale of 0 or less"),
    ("knn", changed("scales", 0, np.nan), "scales holds numbers that are not finite"),
    ("knn", lambda a: {**a, "codes": array(np.zeros((36, 7)), "int8")}, "codes int8"),
    (
        "knn",
        lambda a: {
            **a,
            "codes": array(np.zeros((0, 8)), "int8"),
            "scales": array(np.zeros((0, 1)), "float32"),
            "target": array([], "int64"),
        },
        "0 labels",
    ),
    ("mlp", lambda a: {k: v for k, v in a.items() if k != "bias_1"}, "arrays"),
    ("mlp", lambda a: {**a, "weights_1": array(np.zeros((8, 3)), "float32")}, "weights of layer 1"),
    (
        "mlp",
        lambda a: {**a, "weights_2": array(np.zeros((256, 2)), "float32"), "bias_2": array([0, 0], "float32")},
        "end",
    ),
    ("mlp", changed("bias_0", 0, np.inf), "bias of layer 0"),
    ("mlp", lambda a: {**a, "weights_0": array(np.zeros((8, 2049)), "float32")}, "layer 0 of 2,049 outputs"),
    ("forest", changed("feature", 0, 8), "a feature outside 0 to 7"),
    ("forest", changed("feature", 0, -2), "a feature outside 0 to 7"),
    ("forest", changed("feature", 0, -1), "leaf int32|no binary tree"),
    ("forest", changed("leaf", 0, 10**6), "a leaf outside"),
    ("forest", changed("leaf", 0, -1), "a leaf outside"),
    ("forest", changed("threshold", 0, np.nan), "threshold holds numbers that are not finite"),
    ("forest", changed("values", (0, 0), 2.0), "a probability outside 0 to 1"),
    ("forest", changed("values", (0, 0), np.nan), "values holds numbers that are not finite"),
    ("forest", changed("sizes", 0, 2**31 - 1), "trees of other sizes"),
    ("forest", changed("sizes", 0, 0), "trees of other sizes"),
    ("forest", lambda a: {**a, "sizes": array([], "int32")}, "0 trees"),
    ("forest", lambda a: {**a, "features": array([0], "int32")}, "a feature outside|for a model of 0"),
    ("forest", lambda a: {**a, "features": array([9], "int32")}, "1 inputs of 8 dims for a model of 9"),
    ("forest", chain(129), "a tree of more than 128 levels"),
    # a child before its parent: three nodes where both leaves come first
    ("forest", lambda a: chain(1)(a) | {"feature": array([-1, -1, 0], "int16")}, "no binary tree"),
    ("forest", lambda a: chain(1)(a) | {"sizes": array([1, 2], "int32")}, "no binary tree"),
]


@pytest.mark.parametrize(("name", "change", "message"), ARRAYS)
def test_hostile_arrays_are_one_line(
    heads: dict[str, dict[str, Any]], tmp_path: Path, name: str, change: Any, message: str
) -> None:
    value = heads[name]
    refused({**value, "arrays": change(value["arrays"])}, tmp_path, message)


def test_a_deep_tree_within_bounds_is_read_and_predicts(heads: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    value = heads["forest"]
    (tmp_path / "head.json").write_text(json.dumps({**value, "arrays": chain(128)(value["arrays"])}))
    assert load_head(tmp_path / "head.json").predict(STORE.values[:2, :2]).shape == (2, 2)


@pytest.mark.parametrize("span", [[1, 1], [2, 1], [0], "01", [0, 1e39], [0, float("nan")], None])
def test_hostile_spans_of_numbers_are_one_line(tmp_path: Path, span: Any) -> None:
    path = fit(STORE, numbers_of(LABELS), "crop").save(tmp_path / "head.json")
    refused({**json.loads(path.read_text()), "span": span}, tmp_path, "span")


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_bytes_in_any_array_are_one_line_or_a_head(heads: dict[str, dict[str, Any]], data: st.DataObject) -> None:
    value = heads[data.draw(st.sampled_from(sorted(heads)))]
    name = data.draw(st.sampled_from(sorted(value["arrays"])))
    raw = bytearray(base64.b64decode(value["arrays"][name]["data"]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    arrays = {**value["arrays"], name: {**value["arrays"][name], "data": base64.b64encode(raw).decode()}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.json"
        path.write_text(json.dumps({**value, "arrays": arrays}))
        try:
            back = load_head(path)
        except InputError:
            return
        with np.errstate(all="ignore"):
            assert back.predict(STORE.values[:2, :2]).shape == (2, 2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_one_line_or_a_head(saved: dict[str, Any], data: st.DataObject) -> None:
    value = json.loads(json.dumps(saved))
    place: Any = value
    key: Any = data.draw(st.sampled_from(sorted(value)))
    while isinstance(place[key], (dict, list)) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = data.draw(JSON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.json"
        path.write_text(json.dumps(value))
        try:
            back = load_head(path)
        except InputError:
            return
        else:
            assert back.report()
            assert back.predict(STORE.values[:2, :2]).shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no head file"),
        (b"[]", "is no head file"),
        (b"\x80\x04\x95", "is no head file"),
        (b"II*\x00\x08\x00\x00\x00\x00\xfe", "is no head file; expected one that tessera fit or Head.save wrote"),
        (b"\x89PNG\r\n", "is no head file"),
        (b"{" * 5000, "is not JSON"),
        (b'{"format": "tessera-head"', "is not JSON"),
        (b'{"type": "FeatureCollection"}', "is no head file"),
    ],
)
def test_files_that_are_no_head(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "head.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"head\.json {message}|{message}") as caught:
        load_head(path)
    assert "UTF-8" not in str(caught.value)


def test_missing_file_and_unwritable_place(head: Head, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="head not found"):
        load_head(tmp_path / "none.json")
    with pytest.raises(InputError, match="is a folder; expected a regular file"):
        load_head(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"head .* cannot be written"):
        head.save(tmp_path / "file" / "head.json")


def test_a_head_replaces_a_head_and_nothing_else(head: Head, tmp_path: Path) -> None:
    path = head.save(tmp_path / "head.json")
    head.save(path)
    labels = tmp_path / "plots.geojson"
    labels.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match=r"exists and is no earlier head; .*overwrite=True"):
        head.save(labels)
    assert labels.read_text() == '{"type": "FeatureCollection", "features": []}'
    head.save(labels, overwrite=True)
    assert load_head(labels).classes == head.classes


def test_what_a_stranger_wrote_in_a_head_cannot_steer_a_terminal(saved: dict[str, Any], tmp_path: Path) -> None:
    told = "\x1b[2Jx\r\ny"
    (tmp_path / "head.json").write_text(
        json.dumps({**_model(saved, name=told), "metrics": {**saved["metrics"], "split": told}})
    )
    head = load_head(tmp_path / "head.json")
    assert (head.model.name, head.metrics["split"]) == (told, told)
    for text in (*head.report().split("\n"), repr(head)):
        assert text.isprintable()
    assert r"split: \x1b[2Jx y, " in head.report()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400"])
def test_a_head_that_is_read_can_be_saved(saved: dict[str, Any], tmp_path: Path, number: str) -> None:
    metrics = {**saved["metrics"], "confusion": {"counts": [["?"]]}}
    path = tmp_path / "head.json"
    path.write_text(json.dumps({**saved, "metrics": metrics}).replace('"?"', number))
    with pytest.raises(InputError, match="metrics with a number that is not finite"):
        load_head(path)


def test_a_small_file_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "head.json"
    path.write_text('{"format": "tessera-head", "x": [' + "{}," * 2_000_001 + "0]}")
    with pytest.raises(InputError, match=r"head.json holds 2,000,002 values; expected at most 2,000,000"):
        load_head(path)
