"""Windows around labels, and the U-Net that learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from heads_fakes import MODEL, WINDOW, FakeStore, pixel_lonlat
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.embeddings import CodedVectors, StackedVectors
from tessera.geo import WEST, Window
from tessera.labels import ChipVectors, chips, read_around, read_chips
from tessera.learners import SPATIAL, UnetModel, learn, learn_and_score

torch = pytest.importorskip("torch")

QUICK = {"width": 4, "epochs": 8, "rate": 0.01}


def _lines(seed: int = 0) -> tuple[FakeStore, np.ndarray]:
    """A land whose class is told by the neighbours alone: pixels beside a line; a tenth of the pixels has no data."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0 : WINDOW.height, 0 : WINDOW.width]
    line = (cols % 20 == 7) | (rows % 30 == 11)
    near = np.zeros_like(line)
    near[1:-1, 1:-1] = line[:-2, 1:-1] | line[2:, 1:-1] | line[1:-1, :-2] | line[1:-1, 2:]
    values = 0.2 * rng.normal(size=(*WINDOW.shape, MODEL.dims))
    values[..., 0] += 2.0 * line
    values[rng.random(WINDOW.shape) < 0.02] = np.nan
    return FakeStore(values.astype(np.float32)), (near & ~line).astype(np.int64)


@pytest.fixture(scope="module")
def land() -> tuple[FakeStore, np.ndarray]:
    return _lines()


def _chips(land: tuple[FakeStore, np.ndarray], count: int = 1500, seed: int = 1) -> tuple[ChipVectors, np.ndarray]:
    store, truth = land
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(WINDOW.height, size=count), rng.integers(WINDOW.width, size=count)
    x = read_chips([(store, 2021, None)], pixel_lonlat(rows, cols))
    good = x.valid
    return x[good], truth[rows, cols][good]


@pytest.fixture(scope="module")
def fitted(land: tuple[FakeStore, np.ndarray]) -> UnetModel:
    x, y = _chips(land)
    model = learn("unet", x, y, 2, settings=QUICK)
    assert isinstance(model, UnetModel)
    return model


def test_each_label_lies_in_its_window_with_neighbours_on_every_side(land: tuple[FakeStore, np.ndarray]) -> None:
    store, _ = land
    rows, cols = np.array([0, 5, 119, 60, 60]), np.array([0, 159, 3, 80, 80])
    x = read_chips([(store, 2021, None), (store, 2021, 4)], pixel_lonlat(rows, cols))
    assert (x.dims, x.widths, len(x)) == (12, (8, 4), 5)
    np.testing.assert_array_equal(x.parts[0].values(), store.values[rows, cols])
    assert x.windows.shape[1:] == (chips.CHIP, chips.CHIP)
    assert min(x.row.min(), x.col.min()) >= 16
    assert max(x.row.max(), x.col.max()) < 80
    values = x.windows.parts[0].values()
    for label in range(5):
        row, col = x.row[label], x.col[label]
        around = values[x.chip[label], row - 16 : row + 17, col - 16 : col + 17]
        expected = store._window_values(
            Window(31, WINDOW.west + cols[label] - 16, WINDOW.north - rows[label] + 16, 33, 33), None
        )
        np.testing.assert_array_equal(around, expected)


def test_some_of_the_labels_keep_all_windows(land: tuple[FakeStore, np.ndarray]) -> None:
    x, _ = _chips(land, 50)
    some = x[np.arange(0, 50, 7)[:5]]
    assert isinstance(some, ChipVectors)
    assert some.windows is x.windows
    np.testing.assert_array_equal(some.row, x.row[::7][:5])
    assert some.reshape(-1) is some


def test_labels_in_too_many_windows_are_refused(
    land: tuple[FakeStore, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chips, "_MOST_BYTES", 100_000)
    with pytest.raises(InputError, match=r"labels in \d windows of 96 x 96 pixels.*fewer places, or fewer dims"):
        _chips(land)


def test_beyond_the_lattice_there_is_no_data() -> None:
    window = Window(31, WEST, 561000, 10, 8)
    store = FakeStore(np.ones((8, 10, MODEL.dims), np.float32), window=window)
    found = read_around([(store, 2021, None)], window, 5)
    assert found.shape == (18, 20)
    np.testing.assert_array_equal(found.valid[5:-5, 5:-5], True)
    assert int(found.valid.sum()) == 80


def test_it_sees_what_single_pixels_cannot_tell(land: tuple[FakeStore, np.ndarray], fitted: UnetModel) -> None:
    x, y = _chips(land, seed=2)
    told = fitted.scores_of(x)
    alone = learn_and_score("linear", x, y, 2, 0, x)
    assert told.shape == (len(x), 2)
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)

    def balanced(scores: np.ndarray) -> float:
        return float(np.mean([(scores.argmax(axis=1)[y == index] == index).mean() for index in (0, 1)]))

    assert balanced(told) > 0.93
    assert balanced(alone) < 0.65


def test_the_same_labels_and_seed_give_the_same_model(land: tuple[FakeStore, np.ndarray]) -> None:
    x, y = _chips(land, 200)
    quick = {**QUICK, "epochs": 2}
    first, again, other = (learn("unet", x, y, 2, seed, settings=quick).arrays() for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["stem"], other["stem"])


def test_labels_that_are_held_out_are_not_looked_at(land: tuple[FakeStore, np.ndarray]) -> None:
    """As in a cross-validation: other labels of the same windows change nothing."""
    store, truth = land
    rows, cols = np.divmod(np.arange(0, truth.size, 40), WINDOW.width)
    y = truth[rows, cols]
    half = np.arange(len(y)) % 2 == 0
    everywhere = read_chips([(store, 2021, None)], pixel_lonlat(rows, cols))
    alone = read_chips([(store, 2021, None)], pixel_lonlat(rows[half], cols[half]))
    good = everywhere.valid
    quick = {**QUICK, "epochs": 2}
    a = learn("unet", everywhere[half & good], y[half & good], 2, settings=quick)
    b = learn("unet", alone[good[half]], y[half & good], 2, settings=quick)
    np.testing.assert_array_equal(a.arrays()["head"], b.arrays()["head"])


def _read(store: FakeStore, window: Window, model: UnetModel) -> StackedVectors:
    return read_around([(store, 2021, None)], window, model.margin)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_pixel_does_not_depend_on_the_window_that_it_is_predicted_in(
    land: tuple[FakeStore, np.ndarray], fitted: UnetModel, data: st.DataObject
) -> None:
    store, _ = land
    whole = fitted.probabilities_window(_read(store, WINDOW, fitted), WINDOW.west, WINDOW.north)
    top, left = data.draw(st.integers(0, WINDOW.height - 1)), data.draw(st.integers(0, WINDOW.width - 1))
    height = data.draw(st.integers(1, WINDOW.height - top))
    width = data.draw(st.integers(1, WINDOW.width - left))
    part = Window(31, WINDOW.west + left, WINDOW.north - top, width, height)
    found = fitted.probabilities_window(_read(store, part, fitted), part.west, part.north)
    np.testing.assert_array_equal(found, whole[top : top + height, left : left + width])


def test_no_data_is_no_data_and_its_neighbours_are_mapped(
    land: tuple[FakeStore, np.ndarray], fitted: UnetModel
) -> None:
    store, truth = land
    found = fitted.predict_window(_read(store, WINDOW, fitted), WINDOW.west, WINDOW.north)
    assert found.dtype == np.uint8
    assert found.shape == WINDOW.shape
    missing = np.isnan(store.values).any(axis=-1)
    np.testing.assert_array_equal(found == 255, missing)
    assert (found == truth)[~missing].mean() > 0.9
    probable = fitted.probabilities_window(_read(store, WINDOW, fitted), WINDOW.west, WINDOW.north)
    np.testing.assert_array_equal(np.isnan(probable).any(axis=-1), missing)
    np.testing.assert_array_equal(probable[~missing].argmax(axis=-1), found[~missing])


def test_labels_are_scored_as_a_map_shows_them(land: tuple[FakeStore, np.ndarray], fitted: UnetModel) -> None:
    """Windows of labels end 16 pixels from them, tiles of a map elsewhere: far from both, the same within rounding."""
    store, _ = land
    x, _ = _chips(land, 400)
    whole = fitted.probabilities_window(_read(store, WINDOW, fitted), WINDOW.west, WINDOW.north)
    rows, cols = np.divmod(np.arange(0, WINDOW.height * WINDOW.width, 37), WINDOW.width)
    x = read_chips([(store, 2021, None)], pixel_lonlat(rows, cols))
    good = x.valid
    told = fitted.scores_of(x[good])
    agree = told.argmax(axis=1) == whole[rows, cols][good].argmax(axis=1)
    assert agree.mean() > 0.99


def test_numbers_are_learnt(land: tuple[FakeStore, np.ndarray]) -> None:
    store, _ = land
    x, _ = _chips(land)
    clean = np.nan_to_num(store.values[..., 0])
    mean = np.sum([np.roll(clean, step, axis) for axis in (0, 1) for step in (-1, 1)], axis=0)
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(WINDOW.height, size=1500), rng.integers(WINDOW.width, size=1500)
    x = read_chips([(store, 2021, None)], pixel_lonlat(rows, cols))
    good = x.valid
    y = 1000 + 50 * mean[rows, cols][good].astype(np.float64)
    model = learn("unet", x[good], y, 0, settings={**QUICK, "epochs": 15})
    assert isinstance(model, UnetModel)
    told = model.scores_of(x[good])
    assert told.shape == y.shape
    assert np.corrcoef(told, y)[0, 1] ** 2 > 0.8
    mapped = model.predict_window(_read(store, WINDOW, model), WINDOW.west, WINDOW.north)
    assert mapped.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(mapped), np.isnan(store.values).any(axis=-1))
    assert 900 < np.nanmean(mapped) < 1200
    with pytest.raises(InputError, match="probabilities of a head of numbers"):
        model.probabilities_window(_read(store, WINDOW, model), WINDOW.west, WINDOW.north)


def test_arrays_give_the_same_model(land: tuple[FakeStore, np.ndarray], fitted: UnetModel) -> None:
    store, _ = land
    again = SPATIAL["unet"].read(fitted.arrays(), 2)
    assert isinstance(again, UnetModel)
    part = Window(31, WINDOW.west, WINDOW.north, 30, 20)
    vectors = _read(store, part, fitted)
    np.testing.assert_array_equal(
        again.probabilities_window(vectors, part.west, part.north),
        fitted.probabilities_window(vectors, part.west, part.north),
    )


def test_folding_batch_norm_changes_nothing_but_rounding() -> None:
    from tessera.learners._unet_network import Network, run

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = Network(6, 4, 3)
        for _ in range(3):
            network(torch.randn(2, 7, 32, 32) * 2 + 1)
        inputs = torch.randn(2, 7, 32, 32)
    network.eval()
    rest: dict[str, Any] = {"mean": np.zeros(6, np.float32), "std": np.ones(6, np.float32), "scale": np.array([0.0, 1])}
    model = UnetModel(3, **network.folded(), **rest)
    with torch.no_grad():
        found = run(
            inputs.numpy(), (model.stem, model.stem_bias), (model.kernels, model.biases), (model.head, model.head_bias)
        )
        np.testing.assert_allclose(found, network(inputs).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("kernel_3", lambda array: array[:, :, :2], "kernel_3 float32"),
        ("kernel_9", lambda array: array.astype(np.float64), "kernel_9 float64"),
        ("bias_0", lambda array: array * np.float32(np.nan), "bias_0 holds numbers that are not finite"),
        ("head", lambda array: array[:1], "head float32"),
        ("std", lambda array: array * 0, "standard deviation of 0"),
        ("scale", lambda array: array[:1], "scale float64"),
        ("stem", lambda array: array.repeat(100, axis=0), "of width 400; expected"),
        ("stem_bias", None, "expected kernel_0, kernel_1"),
    ],
)
def test_damaged_arrays_are_refused(fitted: UnetModel, name: str, change: Any, message: str) -> None:
    arrays = fitted.arrays()
    if change is None:
        del arrays[name]
    else:
        arrays[name] = change(arrays[name])
    with pytest.raises(InputError, match=message):
        UnetModel.from_arrays(arrays, 2)


def test_vectors_without_neighbours_are_refused(fitted: UnetModel) -> None:
    rows = np.zeros((3, MODEL.dims), np.float32)
    coded = CodedVectors(np.ones((3, MODEL.dims), np.int8), np.ones(3, np.float32))
    message = "3 vectors without their neighbours; this head maps areas"
    for call in (
        lambda: fitted.predict(rows),
        lambda: fitted.probabilities(rows),
        lambda: fitted.predict_codes(StackedVectors((coded,))),
    ):
        with pytest.raises(InputError, match=message):
            call()
    with pytest.raises(InputError, match="labels without their neighbours; a U-Net learns from places in a store"):
        learn("unet", np.random.default_rng(0).normal(size=(9, 4)), np.arange(9) % 2, 2)
    with pytest.raises(InputError, match="128 pixels around the window on each side"):
        fitted.predict_window(StackedVectors((coded,)), 0, 0)
    with pytest.raises(InputError, match=r"head 'resnet'; expected some of linear.*unet"):
        learn("resnet", rows, np.arange(3) % 2, 2)
