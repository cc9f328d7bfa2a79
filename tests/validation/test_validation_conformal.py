"""Conformal sets and intervals: the quantile by hand, and coverage of new places of made and of real data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.labels import make_folds, spatial_blocks
from tessera.learners import learn_and_score
from tessera.validation import Trust, abstention_threshold, fit_trust, place_quantile


def least_share(level: float, count: int) -> float:
    """What a share of `count` draws stays above but once in a thousand times, where each succeeds with `level`."""
    return level - 3.1 * math.sqrt(level * (1 - level) / count)


def test_the_quantile_by_hand() -> None:
    scores, units = np.arange(1.0, 10.0), np.arange(9)
    # nine places of a tenth each: the level 0.9 is reached at the last, 0.5 at the fifth
    assert place_quantile(scores, units, 0.9) == 9
    assert place_quantile(scores, units, 0.5) == 5
    assert place_quantile(scores[:8], units[:8], 0.9) == math.inf
    # a place of three labels weighs as much as a place of one: 1/3 each of three places and the new one
    scores, units = np.array([1.0, 2.0, 3.0, 10.0]), np.array([7, 7, 7, 8])
    assert place_quantile(scores, units, 1 / 3) == 3
    assert place_quantile(scores, units, 1 / 3 + 0.01) == 10
    assert place_quantile(scores[:0], units[:0], 0.9) == math.inf


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_of_places_of_one_label_it_is_the_split_conformal_quantile(values: list[float], level: float) -> None:
    scores = np.array(values)
    rank = math.ceil(level * (len(scores) + 1) - 1e-7)
    usual = math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])
    assert place_quantile(scores, np.arange(len(scores)), level) == usual


def groups_of_numbers(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of places: many labels where a place is easy, few where it is hard, and a level of its own."""
    hard = generator.random(count) < 0.3
    sizes = np.where(hard, 2, 40)
    units = np.repeat(np.arange(count), sizes)
    own = generator.exponential(size=count) * np.where(hard, 4, 1)
    return np.abs(generator.normal(size=len(units)) + 1) * own[units], units


def test_labels_of_a_new_place_are_held_with_the_level_where_a_quantile_over_labels_fails() -> None:
    level, times = 0.8, 1500
    held, naive = 0, 0
    for seed in range(times):
        generator = np.random.default_rng(seed)
        scores, units = groups_of_numbers(generator, 21)
        new = generator.choice(scores[units == 20])
        scores, units = scores[units < 20], units[units < 20]
        held += new <= place_quantile(scores, units, level)
        naive += new <= place_quantile(scores, np.arange(len(scores)), level)
    assert least_share(level, times) < held / times < level + 0.08
    assert naive / times < least_share(level, times)


def made_classes(seed: int, places: int, each: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes with a shift of their own in each place, which the overconfident predictions do not know."""
    generator = np.random.default_rng(seed)
    units = np.repeat(np.arange(places), each)
    seen = generator.normal(scale=1.5, size=(len(units), 4))
    logits = seen + generator.normal(scale=0.8, size=(places, 4))[units]
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (true.cumsum(axis=1) > generator.random((len(units), 1))).argmax(axis=1).astype(np.int64)
    raw = np.exp(2.5 * seen)
    return truth, raw / raw.sum(axis=1, keepdims=True), units


def test_sets_of_made_classes_hold_those_of_new_places() -> None:
    level, held = 0.9, []
    for seed in range(80):
        trust, told = fit_trust(*made_classes(seed, 40), ("a", "b", "c", "d"), level=level, seed=seed)
        truth, raw, _ = made_classes(seed + 10_000, 1)
        held.append(trust.sets(trust.probabilities(raw))[np.arange(len(truth)), truth].mean())
    error = np.std(held) / math.sqrt(len(held))
    assert level - 3.1 * error < np.mean(held) < level + 0.04
    # what the last one says of itself
    assert told["conformal"]["coverage"][0] == pytest.approx(level, abs=0.03)
    assert told["calibration"]["method"] == "temperature"
    assert told["calibration"]["error_calibrated"][0] < told["calibration"]["error"][0]
    assert told["notes"] == []


def made_numbers(seed: int, places: int, *, grows: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    units = np.repeat(np.arange(places), 15)
    predicted = generator.uniform(0, 100, len(units))
    size = 1 + 0.2 * predicted if grows else np.full(len(units), 5.0)
    truth = predicted + size * (generator.normal(size=len(units)) + generator.normal(size=places)[units])
    return truth, predicted, units


def test_intervals_of_made_numbers_hold_those_of_new_places_and_follow_the_errors() -> None:
    level, held = 0.9, []
    for seed in range(150):
        trust, told = fit_trust(*made_numbers(seed, 40), level=level, seed=seed)
        assert told["conformal"]["normalised"]
        truth, predicted, _ = made_numbers(seed + 10_000, 1)
        low, high = trust.interval(predicted)
        held.append(((truth >= low) & (truth <= high)).mean())
    error = np.std(held) / math.sqrt(len(held))
    assert level - 3.1 * error < np.mean(held) < level + 0.04
    low, high = trust.interval(np.array([5.0, 95.0]))
    assert high[1] - low[1] > 3 * (high[0] - low[0])
    trust, told = fit_trust(*made_numbers(0, 40, grows=False))
    assert trust.spread is None
    assert not told["conformal"]["normalised"]


def test_too_few_places_exclude_nothing_and_say_so() -> None:
    trust, told = fit_trust(*made_classes(1, 8), ("a", "b", "c", "d"))
    assert trust.quantile == math.inf
    assert told["conformal"]["quantile"] is None
    assert told["conformal"]["coverage"][0] == 1
    assert told["notes"][0].startswith("8 places are too few for sets and intervals at 90%, which need 9")
    trust, told = fit_trust(*made_numbers(1, 8))
    assert told["conformal"]["size"] is None
    assert np.isinf(trust.interval(np.zeros(1))[1]).all()


def test_the_threshold_of_abstention_by_hand() -> None:
    confidence = np.array([0.9, 0.8, 0.8, 0.7, 0.6], dtype=np.float32)
    right = np.array([True, True, False, True, False])
    # 0.9 keeps one of one, 0.8 two of three, since it keeps both of its labels; 0.7 three of four
    assert abstention_threshold(confidence, right, 0.75, least=1) == pytest.approx(0.7)
    assert abstention_threshold(confidence, right, 0.9, least=1) == pytest.approx(0.9)
    assert abstention_threshold(confidence, right, 0.9, least=2) is None
    assert abstention_threshold(confidence, right, 0.6, least=1) == 0
    assert abstention_threshold(confidence[:0], right[:0], 0.6) is None


def test_what_is_kept_is_right_as_often_as_wanted() -> None:
    reached = []
    for seed in range(30):
        trust, told = fit_trust(*made_classes(seed, 40), ("a", "b", "c", "d"), accuracy=0.8, seed=seed)
        truth, raw, _ = made_classes(seed + 10_000, 40)
        kept = ~trust.abstains(trust.probabilities(raw))
        reached.append((raw.argmax(axis=1) == truth)[kept].mean())
        assert told["abstention"]["kept"][0] == pytest.approx(kept.mean(), abs=0.15)
    assert 0.78 < np.mean(reached) < 0.82
    truth, raw, units = made_classes(0, 40)
    _, told = fit_trust(np.random.default_rng(0).permutation(truth), raw, units, ("a", "b", "c", "d"), accuracy=0.999)
    assert told["abstention"]["threshold"] is None
    assert told["abstention"]["kept"][0] == 1
    assert any("nothing abstains" in note for note in told["notes"])


def test_intervals_of_fuel_moisture_hold_measurements_at_new_sites(shared: Path) -> None:
    x = np.load(shared / "data/fuel_moisture/s1_s2_era5_srtm.npy").astype(np.float64)
    x = x.reshape(len(x), -1)
    y = np.load(shared / "data/fuel_moisture/target.npy").astype(np.float64).reshape(-1)
    site = np.unique(np.load(shared / "data/fuel_moisture/site.npy"), return_inverse=True)[1].reshape(-1)

    def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        mean, std = x[train].mean(axis=0), x[train].std(axis=0)
        rows = np.column_stack([(x - mean) / np.where(std > 0, std, 1), np.ones(len(x))])
        found = np.linalg.lstsq(rows[train].T @ rows[train] + np.eye(rows.shape[1]), rows[train].T @ y[train])[0]
        return np.asarray(rows[test] @ found)

    level, places = 0.9, np.unique(site)
    held: list[float] = []
    for seed in range(12):
        chosen = np.random.default_rng(seed).permutation(places)[:50]
        new = np.isin(site, chosen)
        old = np.flatnonzero(~new)
        predicted = np.full(len(y), np.nan)
        folds = make_folds(np.zeros(len(old), dtype=np.int64), site[old], seed=seed)
        for fold in np.unique(folds):
            predicted[old[folds == fold]] = predict(old[folds != fold], old[folds == fold])
        trust, told = fit_trust(y[old], predicted[old], site[old], level=level, seed=seed)
        low, high = trust.interval(predict(old, new))
        inside = (y[new] >= low) & (y[new] <= high)
        held.extend(inside[site[new] == one].mean() for one in chosen)
        assert told["conformal"]["by_group"][0] == pytest.approx(level, abs=0.03)
    # the sites of several draws are partly the same: as many as there are sites count
    error = np.std(held) / math.sqrt(len(places))
    assert level - 2 * error < np.mean(held) < level + 2 * error


def test_sets_of_african_crops_hold_those_of_new_blocks(shared: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(shared / "data/points_africa/test_public_extractions.parquet").to_pydict()
    bands = [name for name in table if name.startswith("OPTICAL")]
    x = np.array([table[name] for name in bands], dtype=np.float32).T
    x[x == 65535] = np.nan
    x = np.where(np.isfinite(x), x, np.nanmean(x, axis=0))
    crops = ("sorghum", "maize", "other_oilseeds")
    named = np.array(table["sampling_label"])
    use = np.isin(named, crops)
    y = np.array([crops.index(name) for name in named[use]], dtype=np.int64)
    x, lonlat = x[use], np.column_stack([table["lon"], table["lat"]])[use]
    block = spatial_blocks(lonlat, 2.0)
    level = 0.9
    held: list[float] = []
    for seed in range(4):
        new = make_folds(y, block, folds=4, seed=7, mixed=True) == seed
        old, fold = np.flatnonzero(~new), make_folds(y[~new], block[~new], seed=seed)
        raw = np.full((len(old), 3), np.nan)
        for one in np.unique(fold):
            train, test = old[fold != one], old[fold == one]
            raw[fold == one] = learn_and_score("linear", x[train], y[train], 3, seed, x[test])
        trust, _ = fit_trust(y[old], raw, block[old], crops, level=level, seed=seed)
        final = learn_and_score("linear", x[old], y[old], 3, seed, x[new])
        inside = trust.sets(trust.probabilities(final))[np.arange(int(new.sum())), y[new]]
        held.extend(inside[block[new] == one].mean() for one in np.unique(block[new]))
    error = np.std(held) / math.sqrt(len(held))
    assert level - 2 * error < np.mean(held) < 0.97


def test_plain_values_are_json_and_the_trust_reads_back() -> None:
    import json

    for made in (fit_trust(*made_classes(0, 12), ("a", "b", "c", "d")), fit_trust(*made_numbers(0, 12))):
        trust, told = made
        json.dumps(told, allow_nan=False)
        assert Trust.from_json(json.loads(json.dumps(trust.to_json()))) == trust


@pytest.mark.parametrize(("labels", "columns", "units"), [(0, 3, 0), (4, 2, 4), (4, 3, 3)])
def test_predictions_that_do_not_fit_their_labels_are_refused(labels: int, columns: int, units: int) -> None:
    truth, raw = np.zeros(labels, dtype=np.int64), np.full((labels, columns), 1 / 3)
    with pytest.raises(InputError, match=r"expected \(\d, 3\), of at least one"):
        fit_trust(truth, raw, np.arange(units), ("a", "b", "c"))


def test_one_label_excludes_nothing() -> None:
    trust, told = fit_trust(np.zeros(1, dtype=np.int64), np.full((1, 2), 0.5), np.zeros(1, dtype=np.int64), ("a", "b"))
    assert trust.sets(np.array([[0.9, 0.1]], dtype=np.float32)).all()
    assert told["conformal"]["coverage"][0] == 1
    assert told["calibration"]["method"] == "none"
