"""benchmarks/worth.py: its real sets, its baselines, and Presto as it was published."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import worth_data
import worth_features
import worth_galileo
import worth_presto
from tessera.base import InputError
from tessera.evaluate import Labelled, evaluate
from worth_data import Held, read_sets


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
    assert fuel.group is not None
    assert (int(fuel.test.sum()), fuel.kind) == (735, "regression")
    assert not set(fuel.group[fuel.test]) & set(fuel.group[~fuel.test])
    assert len(set(sets["corsica"].labelled.label)) == 9
    assert set(sets["africa_crop"].labelled.label) == {"crop", "other"}


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


def _few(held: Held) -> Held:
    given = held.labelled
    assert given.lonlat is not None
    parts = {part: getattr(held, part)[:4] for part in ("s2", "db", "month", "weather", "terrain", "cover")}
    return replace(held, labelled=Labelled(given.label[:4], given.kind, None, given.lonlat[:4]), **parts)


def test_what_galileo_is_not_shown_changes_nothing(sets: dict[str, Held], galileo: worth_galileo.Galileo) -> None:
    held = _few(sets["corsica"])
    bands = worth_galileo.embed(held, galileo, whole=False)
    hidden = replace(held, weather=held.weather + 5, terrain=held.terrain + 500, cover=held.cover * 0)
    np.testing.assert_array_equal(worth_galileo.embed(hidden, galileo, whole=False), bands)
    assert np.abs(worth_galileo.embed(hidden, galileo) - worth_galileo.embed(held, galileo)).max() > 0.01
    # a month without radar is a token less, not a token of zeros
    db = held.db.copy()
    db[:, 5] = np.nan
    other = np.where(np.isnan(db), -999, db)
    gone = worth_galileo.embed(replace(held, db=db), galileo, whole=False)
    assert 0 < np.abs(gone - bands).max() < np.abs(worth_galileo.embed(replace(held, db=other), galileo) - bands).max()


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
