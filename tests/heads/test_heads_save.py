from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heads_fakes import draw_labels, make_store, make_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.heads import Head, fit, load_head

TRUTH = make_truth()
STORE = make_store(TRUTH, noise=1.0)


@pytest.fixture(scope="module")
def head() -> Head:
    return fit(STORE, draw_labels(TRUTH, ("forêt", "b", "c"), 12), "crop", colours={"b": "#123456"})


@pytest.fixture(scope="module")
def saved(head: Head, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = head.save(tmp_path_factory.mktemp("head") / "head.json")
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_round_trip_is_exact(head: Head, tmp_path: Path) -> None:
    back = load_head(head.save(tmp_path / "new" / "head.json"))
    for name in ("weights", "bias", "mean", "std"):
        np.testing.assert_array_equal(getattr(back, name), getattr(head, name))
    np.testing.assert_array_equal(back.predict(STORE.values), head.predict(STORE.values))
    np.testing.assert_array_equal(back.probabilities(STORE.values), head.probabilities(STORE.values))
    assert back.report() == head.report()
    assert (back.model, back.colours, back.year, back.column) == (head.model, head.colours, head.year, head.column)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["head.json"]


def _set(value: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**value, **changes}


HOSTILE: list[tuple[Any, str]] = [
    (lambda v: _set(v, format="pickle"), "has format 'pickle'; expected 'tessera-head'"),
    (lambda v: _set(v, version=2), "has version 2; this release reads 1"),
    (lambda v: _set(v, version=True), "has version True"),
    (lambda v: _set(v, kind="mlp"), "of kind 'mlp'"),
    (lambda v: {k: x for k, x in v.items() if k != "bias"}, r"lacks \['bias'\]"),
    (lambda v: _set(v, extra=1), r"has \['extra'\] besides"),
    (lambda v: _set(v, classes=v["classes"][:2]), "no list of 2 rows"),
    (lambda v: _set(v, classes=["b", "b", "c"]), "distinct names|row for each class"),
    (lambda v: _set(v, classes=["b", 1, "c"]), "classes are no list of texts"),
    (lambda v: _set(v, classes=[]), "no list of 0 rows"),
    (lambda v: _set(v, classes=[], weights=[], bias=[]), "expected"),
    (lambda v: _set(v, weights=[row[:-1] for row in v["weights"]]), "weights with 7 numbers; expected 8"),
    (lambda v: _set(v, weights="AAAA"), "no list of 3 rows"),
    (lambda v: _set(v, bias=[1, 2, "3"]), "bias with an entry that is no number"),
    (lambda v: _set(v, bias=[1, 2, True]), "bias with an entry that is no number"),
    (lambda v: _set(v, bias=[1, 2, float("nan")]), "not finite"),
    (lambda v: _set(v, bias=[1, 2, 1e300]), "not finite in float32"),
    (lambda v: _set(v, bias=[1, 2, 10**400]), "not finite in float32"),
    (lambda v: _set(v, std=[0.0] * 8), "expected above 0"),
    (lambda v: _set(v, dims=10**9), "expected 1000000000"),
    (lambda v: _set(v, dims="8"), "dims '8'"),
    (lambda v: _set(v, year=None), "year None"),
    (lambda v: _set(v, column=3), "column 3"),
    (lambda v: _set(v, model={}), "model"),
    (lambda v: _set(v, model="x"), "model"),
    (lambda v: _set(v, model={**v["model"], "sha256": "zz"}), "64 hexadecimal digits"),
    (lambda v: _set(v, model={**v["model"], "dims": "many"}), "model"),
    (lambda v: _set(v, model={**v["model"], "dims": 4, "prefix_dims": [4]}), "8 dims of a model of 4"),
    (lambda v: _set(v, colours=["red", "red", "red"]), "colour 'red'"),
    (lambda v: _set(v, colours=v["colours"][:1]), "1 colours for 3 classes"),
    (lambda v: _set(v, metrics=[]), "metrics are a list"),
    (lambda v: _set(v, metrics={}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "macro_f1": "high"}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "macro_f1": float("nan")}), "metrics are not what a head saves"),
    (lambda v: _set(v, metrics={**v["metrics"], "per_class": {"b": {}}}), "metrics are not what a head saves"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_files_are_one_line(saved: dict[str, Any], tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "head.json"
    path.write_text(json.dumps(change(saved)))
    with pytest.raises(InputError, match=message) as caught:
        load_head(path)
    assert "\n" not in str(caught.value)


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


@pytest.mark.parametrize("content", [b"", b"[]", b"\x80\x04\x95", b"{" * 5000, b'{"format": "tessera-head"'])
def test_files_that_are_no_head(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "head.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"head\.json"):
        load_head(path)


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
