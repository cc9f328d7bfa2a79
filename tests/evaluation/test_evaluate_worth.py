"""benchmarks/worth.py: its real sets, its baselines, and Presto as it was published."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import worth_data
import worth_features
import worth_galileo
import worth_presto
from tessera.base import InputError
from tessera.evaluation import evaluate
from tessera.labels import Labels
from worth_data import Held, read_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = slice(4)


@pytest.fixture(scope="module")
def sets(shared: Path) -> dict[str, Held]:
    data = shared / "data"
    if not all((data / name).is_dir() for name in ("fuel_moisture", "parcels_corsica_2022", "points_africa")):
        pytest.skip("the labelled sets are not in shared/data")
    return {held.name: held for held in read_sets(data, list(worth_data.SETS))}


@pytest.fixture(scope="module")
def presto(shared: Path) -> worth_presto.Presto:
    path = shared / "data" / "baselines" / "presto_default_model.pt"
    if not path.is_file():
        pytest.skip("the published weights of Presto are not in shared/data")
    return worth_presto.load(path)


@pytest.fixture(scope="module")
def galileo(shared: Path) -> worth_galileo.Galileo:
    path = shared / "data" / "baselines" / "galileo_nano_encoder.pt"
    if not path.is_file():
        pytest.skip("the published weights of Galileo are not in shared/data")
    return worth_galileo.load(path)


def test_the_sets_are_what_they_are_said_to_be(sets: dict[str, Held]) -> None:
    assert {name: len(held.labelled) for name, held in sets.items()} == {
        "fuel_moisture": 2313,
        "corsica": 471,
        "africa_cover": 472,
        "africa_crop": 500,
    }
    fuel = sets["fuel_moisture"].labelled
    assert fuel.test is not None
    assert fuel.groups is not None
    assert (int(fuel.test.sum()), fuel.kind) == (735, "regression")
    assert not set(fuel.groups[fuel.test]) & set(fuel.groups[~fuel.test])
    assert len(set(sets["corsica"].labelled.values)) == 9
    assert set(sets["africa_crop"].labelled.values) == {"crop", "other"}


def test_units_are_those_of_a_cube(sets: dict[str, Held]) -> None:
    for held in sets.values():
        series = held.labelled.series
        assert series is not None
        assert 1000 < np.median(series.s2) < 5000
        # about -8 to -16 dB of VV
        assert 3600 < np.median(series.s1[:, 0]) < 6800
        assert (np.diff(np.median(series.s1, axis=0)) < 0).all()
        assert np.nanmedian(held.db[..., 0]) == pytest.approx((np.median(series.s1[:, 0]) / 200 - 50) / 2, abs=0.02)
        assert np.isfinite(held.s2).all(axis=2).sum() == len(series.s2)
        temperature, rain = (np.nanmedian(held.weather[..., i]) for i in (0, 1))
        assert 280 < temperature < 305
        assert 0.0003 < rain < 0.005


def test_presto_gives_the_vectors_of_the_published_code(sets: dict[str, Held], presto: worth_presto.Presto) -> None:
    """Expected: the published encoder's own first numbers, of a pixel with all channels and of one with some masked."""
    fuel = worth_presto.embed(sets["fuel_moisture"], presto)
    expected = [
        [1.504531, -1.297479, 1.721980, -0.808001, -0.182167],
        [-0.056015, -2.302947, 1.306064, -0.826987, -1.721651],
    ]
    np.testing.assert_allclose(fuel[:2, :5], expected, atol=2e-5)
    corsica = worth_presto.embed(sets["corsica"], presto)
    np.testing.assert_allclose(corsica[3, :5], [0.400581, -3.516427, 2.472581, -1.004010, -1.862207], atol=2e-5)


def test_galileo_gives_the_vectors_of_the_published_code(sets: dict[str, Held], galileo: worth_galileo.Galileo) -> None:
    """Expected: the published encoder's own first numbers, shown all that a set has and shown the bands alone."""
    fuel, corsica = _few(sets["fuel_moisture"]), _few(sets["corsica"])
    for held, whole, expected in (
        (fuel, True, [-0.000203, -0.003738, -0.290630, 0.096649, 0.033823]),
        (fuel, False, [0.027044, 0.000889, -0.355443, 0.086400, -0.003312]),
        (corsica, True, [0.008473, 0.023898, -0.317444, 0.081485, -0.010542]),
        (corsica, False, [0.018899, 0.036310, -0.323646, 0.065264, -0.028971]),
    ):
        np.testing.assert_allclose(worth_galileo.embed(held, galileo, whole=whole)[3, :5], expected, atol=2e-5)


def _few(held: Held, rows: NDArray[np.int64] | slice = FIRST) -> Held:
    given = held.labelled
    assert given.lonlat is not None
    parts = {part: getattr(held, part)[rows] for part in ("s2", "db", "month", "weather", "terrain", "cover")}
    return replace(held, labelled=Labels(given.values[rows], given.kind, None, given.lonlat[rows]), **parts)


def test_what_galileo_is_not_shown_changes_nothing(sets: dict[str, Held], galileo: worth_galileo.Galileo) -> None:
    held = _few(sets["corsica"])
    bands = worth_galileo.embed(held, galileo, whole=False)
    hidden = replace(held, weather=held.weather + 5, terrain=held.terrain + 500, cover=held.cover * 0)
    np.testing.assert_array_equal(worth_galileo.embed(hidden, galileo, whole=False), bands)
    assert np.abs(worth_galileo.embed(hidden, galileo) - worth_galileo.embed(held, galileo)).max() > 0.01


def test_what_galileo_lacks_is_no_token(sets: dict[str, Held], galileo: worth_galileo.Galileo) -> None:
    """A last month of which nothing is there is as a series one month shorter; what stands under a mask is not read."""
    held = _few(sets["corsica"])
    parts = {part: getattr(held, part) for part in ("s2", "db", "weather", "cover")}
    shorter = replace(held, **{part: values[:, :-1] for part, values in parts.items()})
    empty = replace(held, **{part: values.copy() for part, values in parts.items()})
    for values in (empty.s2, empty.db, empty.weather):
        values[:, -1] = np.nan
    for whole in (True, False):
        found = worth_galileo.embed(empty, galileo, whole=whole)
        assert np.abs(found - worth_galileo.embed(held, galileo, whole=whole)).max() > 1e-3
        np.testing.assert_allclose(found, worth_galileo.embed(shorter, galileo, whole=whole), atol=1e-6)
    given = {name: tuple(map(torch.from_numpy, pair)) for name, pair in worth_galileo.inputs(empty).items()}
    junk = {name: (torch.where(there[..., None], x, -999), there) for name, (x, there) in given.items()}
    months = torch.arange(held.s2.shape[1]).expand(len(held.s2), -1)
    with torch.inference_mode():
        torch.testing.assert_close(galileo(junk, months), galileo(given, months), rtol=0, atol=0)


def test_galileo_is_finite_where_months_are_missing(sets: dict[str, Held], galileo: worth_galileo.Galileo) -> None:
    held = sets["africa_cover"]
    worst = np.argsort(np.isfinite(held.s2).all(axis=2).sum(axis=1))[:4]
    assert np.isnan(held.s2[worst]).any()
    found = worth_galileo.embed(_few(held, worst), galileo)
    assert found.shape == (4, 128)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_other_weights_than_galileos_are_refused(galileo: worth_galileo.Galileo, tmp_path: Path) -> None:
    tensors = galileo.state_dict()
    del tensors["static_embed.location.bias"]
    torch.save(tensors, tmp_path / "less.pt")
    with pytest.raises(RuntimeError, match=r'Missing key.*"static_embed.location.bias"'):
        worth_galileo.load(tmp_path / "less.pt")
    with pytest.raises(InputError, match=r"no file .*none\.pt; expected the published weights of Galileo nano"):
        worth_galileo.load(tmp_path / "none.pt")


def test_simple_features_are_whole_and_say_what_they_say(sets: dict[str, Held]) -> None:
    for held in sets.values():
        count = len(held.labelled)
        for make in (worth_features.raw_bands, worth_features.harmonics, worth_features.location):
            x = make(held)
            assert x.shape[0] == count
            assert np.isfinite(x).all()
    steps = sets["corsica"]
    made = replace(
        steps,
        s2=np.broadcast_to(3000 + 1000 * np.cos(2 * np.pi * (np.arange(12) + 0.5) / 12)[:, None], steps.s2.shape),
    )
    found = worth_features.harmonics(made)
    # mean, cosine and sine of one wave of the first band
    np.testing.assert_allclose(found[:, :3], np.tile([0.3, 0.1, 0.0], (len(found), 1)), atol=2e-3)


def test_presto_beats_raw_bands_at_few_labels_of_fuel(sets: dict[str, Held], presto: worth_presto.Presto) -> None:
    held = sets["fuel_moisture"]
    features = {"presto": worth_presto.embed(held, presto), "raw": worth_features.raw_bands(held)}
    result = evaluate(features, held.labelled, heads="linear", labels="157", draws=5, times=100)
    (gap,) = result.differences("presto", "raw")
    assert gap["high"] < 0


def test_a_set_that_is_none_is_refused(shared: Path) -> None:
    with pytest.raises(InputError, match="set 'mars'; expected some of fuel, corsica, africa"):
        read_sets(shared / "data", ["mars"])
    with pytest.raises(InputError, match="no folder"):
        read_sets(shared / "nowhere", ["fuel"])
