"""A U-Net from `fit` to its two files and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from heads_fakes import FakeStore, draw_labels, make_store, make_truth

import tessera
from tessera.base import InputError
from tessera.geo import Window
from tessera.heads import head_files
from tessera.labels import read_around
from tessera.learners import Setting, UnetModel
from tessera.learners import unet as unet_module

pytest.importorskip("torch")
NAMES = ("crop", "forest", "water")


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("width", 3), ("epochs", 5), ("rate", 0.03)):
            patch.setitem(unet_module.SETTINGS, name, Setting(value))
        yield


@pytest.fixture(scope="module")
def store() -> FakeStore:
    return make_store(make_truth(), noise=0.1)


@pytest.fixture(scope="module")
def head(store: FakeStore) -> tessera.Head:
    labels = draw_labels(make_truth(), NAMES, 60)
    return tessera.fit(store, labels, "crop", head="unet", block_km=0.4)


@pytest.fixture
def saved(head: tessera.Head, tmp_path: Path) -> Path:
    return head.save(tmp_path / "unet.json")


def test_a_head_is_fitted_tested_saved_and_read(head: tessera.Head, store: FakeStore, saved: Path) -> None:
    assert (head.head, head.classes, head.dims) == ("unet", NAMES, 8)
    assert head.metrics["folds"] == 5
    assert head.metrics["accuracy"] > 0.7
    assert head.metrics["random"] is None
    assert sorted(path.name for path in saved.parent.iterdir()) == ["unet.json", "unet.safetensors"]
    assert sorted(saved.parent.iterdir()) == list(head_files(saved, "unet"))
    assert head_files(saved, "forest") == (saved,)
    assert set(json.loads(saved.read_text())["arrays"]) == {"file", "sha256", "bytes"}
    again = tessera.load_head(saved)
    assert isinstance(again.learnt, UnetModel)
    part = Window(31, store.window.west, store.window.north, 40, 30)
    vectors = read_around([(store, 2021, None)], part, again.learnt.margin)
    np.testing.assert_array_equal(
        again.learnt.predict_window(vectors, part.west, part.north),
        head.learnt.predict_window(vectors, part.west, part.north),  # type: ignore[attr-defined]
    )
    assert head.save(saved).read_bytes() == saved.read_bytes()


def test_a_map_shows_what_windows_predict(head: tessera.Head, store: FakeStore, tmp_path: Path) -> None:
    assert isinstance(head.learnt, UnetModel)
    path = head.map(store, store.window, out=tmp_path / "whole.tif", png=False)
    with rasterio.open(path) as raster:
        whole = raster.read(1)
    vectors = read_around([(store, 2021, None)], store.window, head.learnt.margin)
    found = head.learnt.predict_window(vectors, store.window.west, store.window.north)
    np.testing.assert_array_equal(whole, np.where(found == 255, 255, np.array(head.values)[np.minimum(found, 2)]))
    part = Window(31, store.window.west + 17, store.window.north - 9, 90, 71)
    path = head.map(store, part, out=tmp_path / "part.tif", png=False)
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), whole[9:80, 17:107])


def _edit(path: Path, **arrays: Any) -> None:
    value = json.loads(path.read_text())
    value["arrays"] |= arrays
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"file": "../unet.safetensors"}, r"weights in '\.\./unet\.safetensors'; expected the name of a file beside"),
        ({"file": "/etc/passwd"}, "expected the name of a file beside the head"),
        ({"file": ".."}, "expected the name of a file beside the head"),
        ({"file": 3}, "expected the name of a file beside the head"),
        ({"file": "other.safetensors"}, "weights are missing: .*other.safetensors; keep the two files together"),
        ({"sha256": "ab" * 32}, "expected 'abab.*the weights of another head"),
        ({"more": 1}, "expected the file, sha256 and bytes"),
        ({"bytes": -1}, r"has [\d,]+ bytes; the head's JSON says '-1': expected its own weights"),
        ({"bytes": "many"}, "the head's JSON says 'many': expected its own weights"),
    ],
)
def test_a_json_that_names_other_weights_is_refused(saved: Path, arrays: dict[str, Any], message: str) -> None:
    _edit(saved, **arrays)
    with pytest.raises(InputError, match=message):
        tessera.load_head(saved)


def test_weights_that_are_damaged_are_refused(saved: Path) -> None:
    weights = saved.with_suffix(".safetensors")
    good = weights.read_bytes()
    huge = (2**40).to_bytes(8, "little") + good[8:]
    for data, message in (
        (good[:-3], "the weights of another head"),
        (huge, "its header claims more bytes"),
        (good[:-300], "damaged or no safetensors file"),
        (b"\x80\x04pickle" + good[:50], "its header claims more bytes"),
    ):
        weights.write_bytes(data)
        if "another" not in message:
            _edit(saved, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        with pytest.raises(InputError, match=message):
            tessera.load_head(saved)


def _rewritten(saved: Path, arrays: dict[str, tuple[str, list[int], bytes]]) -> None:
    """The arrays of a head's weights as given: type, shape and bytes of each, as safetensors lays them out."""
    header, offset = {}, 0
    for name, (kind, shape, data) in arrays.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    whole = len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in arrays.values())
    saved.with_suffix(".safetensors").write_bytes(whole)
    _edit(saved, sha256=hashlib.sha256(whole).hexdigest(), bytes=len(whole))


def _arrays(head: tessera.Head) -> dict[str, tuple[str, list[int], bytes]]:
    kinds = {"float32": "F32", "float64": "F64"}
    return {name: (kinds[one.dtype.name], list(one.shape), one.tobytes()) for name, one in head.learnt.arrays().items()}


@pytest.mark.parametrize("name", ["stem", "mean", "head", "kernel_3", "scale"])
def test_weights_of_no_dimension_or_not_finite_are_refused(head: tessera.Head, saved: Path, name: str) -> None:
    good = _arrays(head)
    kind, shape, data = good[name]
    _rewritten(saved, {**good, name: ("F32", [], b"\0" * 4)})
    with pytest.raises(InputError, match=rf"{name} float32 \(\); expected|kernels of width 0"):
        tessera.load_head(saved)
    nan = np.full(1, np.nan, np.float32 if kind == "F32" else np.float64).tobytes()
    _rewritten(saved, {**good, name: (kind, shape, nan + data[len(nan) :])})
    with pytest.raises(InputError, match=f"{name} holds numbers that are not finite; expected finite float"):
        tessera.load_head(saved)
    _rewritten(saved, {**good, name: ("BF16", [2], b"\0" * 4)})
    with pytest.raises(InputError, match="holds values of type 'BF16'; expected float32 or float64"):
        tessera.load_head(saved)


def test_many_strange_arrays_are_told_in_a_line(head: tessera.Head, saved: Path) -> None:
    _rewritten(saved, _arrays(head) | {f"a{number}": ("F32", [0], b"") for number in range(500)})
    with pytest.raises(InputError, match=r"the arrays have 'a0, a1, .* besides; expected kernel_0") as told:
        tessera.load_head(saved)
    assert len(str(told.value)) < 700 + len(str(saved))


def test_weights_that_overflow_are_told_and_not_mapped(
    head: tessera.Head, store: FakeStore, saved: Path, tmp_path: Path
) -> None:
    good = _arrays(head)
    kind, shape, _ = good["stem"]
    _rewritten(saved, {**good, "stem": (kind, shape, np.full(shape, 3e38, np.float32).tobytes())})
    with pytest.raises(InputError, match="scores that are not finite: its file is damaged"), np.errstate(all="ignore"):
        tessera.load_head(saved).map(store, store.window, out=tmp_path / "m.tif", png=False)
    assert not (tmp_path / "m.tif").exists()


def test_what_is_no_weights_of_a_head_is_kept(head: tessera.Head, tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"not a head")
    with pytest.raises(InputError, match=r"mine\.safetensors.*overwrite"):
        head.save(tmp_path / "mine.json")
    assert mine.read_bytes() == b"not a head"
    head.save(tmp_path / "mine.json", overwrite=True)
    assert tessera.load_head(tmp_path / "mine.json").head == "unet"


def test_numbers_of_a_unet(store: FakeStore, tmp_path: Path) -> None:
    labels = draw_labels(make_truth(), NAMES, 30)
    for number, feature in enumerate(labels["features"]):
        feature["properties"]["crop"] = NAMES.index(feature["properties"]["crop"]) * 10 + 0.01 * number
    head = tessera.fit(store, labels, "crop", head="unet", block_km=0.4)
    assert head.kind == "regression"
    assert head.metrics["r2"] > 0.5
    assert tessera.load_head(head.save(tmp_path / "a.json")).span == head.span
