"""Views: only valid observations, each as likely as the other, standardised by its own statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tessera.base import InputError
from tessera.cubes import PixelSeries, series_of_arrays
from tessera.models import STUDENT_SPEC, Shape, Student
from tessera.pretrain import Augment, View, draw_views
from tessera.pretrain.data.augment import HAZE, clear, in_window, monthly, observation_keys, thinned, without
from tessera.pretrain.data.random import key_of, keys_of
from tessera.pretrain.data.stream import Stream


def make_series(counts: list[tuple[int, int, int]], seed: int = 0) -> PixelSeries:
    """Pixels of (Sentinel-2, ascending, descending) observations; every value is unlike all others."""
    rng = np.random.default_rng(seed)
    pixels, steps = len(counts), max(max(row) for row in counts)
    s2 = rng.permutation(pixels * steps * 10).reshape(pixels, steps, 10).astype(np.uint16)
    s1 = (1 + rng.permutation(pixels * 2 * steps * 2)).reshape(pixels, 2 * steps, 2).astype(np.int16)
    slots = np.arange(steps)
    valid = slots < np.array([row[0] for row in counts])[:, None]
    radar = np.concatenate([slots < np.array([row[i] for row in counts])[:, None] for i in (1, 2)], axis=1)
    s1[~radar] = 0
    days = np.arange(1, steps + 1, dtype=np.int16)
    descending = np.repeat([False, True], steps)
    return series_of_arrays(s2, valid, days, s1, np.concatenate([days, days]), descending)


def _all_in(tokens: np.ndarray, allowed: np.ndarray) -> None:
    distance = np.abs(tokens[:, None, :] - allowed[None]).max(axis=2)
    assert distance.min(axis=1).max() < 1e-4


def test_what_cannot_be_drawn_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"views of 0 draws; expected at least 1"):
        draw_views(make_series([(3, 2, 0)]), np.array([0]), 0, STUDENT_SPEC, seed=0, epoch=0)


def pair(series: PixelSeries, draws: int = 8, pixels: np.ndarray | None = None, **changed: object) -> list[View]:
    chosen = np.arange(len(series)) if pixels is None else pixels
    options = {"seed": 1, "epoch": 0, **changed}
    return list(draw_views(series, chosen, draws, STUDENT_SPEC, **options)[:2])  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 6)).filter(lambda row: sum(row) > 0),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 12),
    st.integers(0, 1000),
)
def test_pairs_hold_valid_observations_and_zeros_for_a_modality_that_is_missing(
    counts: list[tuple[int, int, int]], draws: int, seed: int
) -> None:
    series = make_series(counts, seed)
    orbits = (STUDENT_SPEC.s1_asc, STUDENT_SPEC.s1_desc)
    pixels = np.random.default_rng(seed).integers(0, len(series), 5)
    for view in pair(series, draws, pixels, seed=seed):
        assert view.s2.shape == (5, draws, 11)
        assert view.s1.shape == (5, draws, 3)
        assert view.s2.dtype == view.s1.dtype == np.float32
        for row, pixel in enumerate(pixels):
            own = slice(series.s2_offsets[pixel], series.s2_offsets[pixel + 1])
            optical = (series.s2[own] - np.array(STUDENT_SPEC.s2.mean)) / np.array(STUDENT_SPEC.s2.std)
            allowed = np.column_stack([optical, series.s2_day[own]])
            _all_in(view.s2[row], allowed if len(allowed) else np.zeros((1, 11)))
            own = slice(series.s1_offsets[pixel], series.s1_offsets[pixel + 1])
            descending = series.s1_descending[own].astype(int)
            mean, std = (np.array([getattr(orbit, key) for orbit in orbits])[descending] for key in ("mean", "std"))
            allowed = np.column_stack([(series.s1[own] - mean) / std, series.s1_day[own]])
            _all_in(view.s1[row], allowed if len(allowed) else np.zeros((1, 3)))


def test_pairs_are_uniform_and_the_two_views_independent() -> None:
    series = make_series([(7, 4, 2)])
    n = 4000
    table = series.take(np.zeros(n, dtype=np.int64))
    first, second = pair(table, 10)
    days = [[view.s2[..., 10].astype(int) for view in (first, second)]]
    days.append([np.searchsorted(np.unique(view.s1[..., 0]), view.s1[..., 0]) + 1 for view in (first, second)])
    for (a, b), size, limit in zip(days, (7, 6), (22.5, 20.5), strict=True):
        assert len(np.unique(a)) == len(np.unique(b)) == size
        for drawn in (a, b):
            counts = np.bincount(drawn.ravel())[1:]
            mean = 10 * n / size
            # chi-squared of 6 and 5 degrees of freedom, once in a thousand
            assert ((counts - mean) ** 2 / mean).sum() < limit
        for x, y in ((a, b), (a[:, 1:], a[:, :-1]), (a[1:], a[:-1]), (a[:, ::2], a[:, 1::2])):
            # four standard errors
            assert abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 4 / np.sqrt(x.size)
    assert abs(np.corrcoef(first.s2[..., 10].ravel(), first.s1[..., 2].ravel())[0, 1]) < 4 / np.sqrt(10 * n)


POORER = Augment(
    window=0.5, clouds=0.5, thin=0.5, no_radar=0.2, no_optical=0.1, monthly=0.4, gain=0.05, radar_db=0.5, haze=100,
    day_jitter=3, b08_as_b8a=0.3,
)  # fmt: skip


@pytest.mark.parametrize("augment", [Augment(), POORER, Augment(thin=0.5, distinct=True)])
def test_a_view_does_not_depend_on_its_batch(augment: Augment) -> None:
    rng = np.random.default_rng(0)
    counts = [tuple(row) for row in rng.integers(1, 9, (1300, 3)).tolist()]
    series = make_series(counts)
    whole = pair(series, 6, augment=augment)
    chosen = np.array([1299, 3, 511, 512, 7])
    some = pair(series, 6, chosen, augment=augment)
    for a, b in zip(whole, some, strict=True):
        np.testing.assert_array_equal(a.s2[chosen], b.s2)
        np.testing.assert_array_equal(a.s1[chosen], b.s1)
    fewer = pair(series, 3, chosen, augment=augment)
    np.testing.assert_array_equal(fewer[1].s2, some[1].s2[:, :3])
    assert not np.array_equal(whole[0].s2, whole[1].s2)
    assert not np.array_equal(whole[0].s2, pair(series, 6, augment=augment, epoch=1)[0].s2)
    assert not np.array_equal(whole[0].s2, pair(series, 6, augment=augment, seed=2)[0].s2)


def test_zeros_for_a_missing_modality_mean_the_same_however_many() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = Student(Shape(latent_dim=8, num_layers=2, nhead=4, dim_feedforward=64, repr_dim=32)).eval()
    view = pair(make_series([(9, 0, 0), (5, 0, 0)]), 40)[0]
    assert not view.s1.any()
    radar = pair(make_series([(0, 4, 5), (0, 3, 0)]), 40)[0]
    assert not radar.s2.any()
    with torch.inference_mode():
        for s2, s1 in (
            ((view.s2, view.s2), (view.s1, view.s1[:, :1])),
            ((radar.s2, radar.s2[:, :1]), (radar.s1, radar.s1)),
        ):
            many, one = (network(torch.from_numpy(s2[i].copy()), torch.from_numpy(s1[i].copy())) for i in range(2))
            torch.testing.assert_close(many, one, rtol=0, atol=1e-6)
            assert float(many.std()) > 0.5


def make_stream(counts: list[int], seed: int = 0, channels: int = 10) -> Stream:
    """A stream of random days, ascending in each pixel."""
    rng = np.random.default_rng(seed)
    days = [np.sort(rng.integers(1, 367, count)) for count in counts]
    day = np.concatenate([*days, np.empty(0, int)]).astype(np.int16)
    table = None if channels == 10 else rng.integers(0, 2, len(day)).astype(np.intp)
    values = rng.integers(1, 9000, (len(day), channels)).astype(np.uint16 if channels == 10 else np.int16)
    return Stream(values, day, table, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def keys(count: int, seed: int = 0) -> np.ndarray:
    return keys_of(key_of(seed, 99), np.arange(count))


counts_of_pixels = st.lists(st.integers(0, 30), min_size=1, max_size=8)


@settings(max_examples=40)
@given(counts_of_pixels, st.integers(0, 500))
def test_a_window_is_one_contiguous_part_of_the_year(counts: list[int], seed: int) -> None:
    stream = make_stream(counts, seed)
    kept = in_window(stream, keys(len(counts), seed), Augment(window=1, window_days=(50, 90)))
    other = in_window(
        make_stream([366] * len(counts)), keys(len(counts), seed), Augment(window=1, window_days=(50, 90))
    )
    for pixel in range(len(counts)):
        own = slice(stream.offsets[pixel], stream.offsets[pixel + 1])
        days = stream.day[own]
        seen, lost = days[kept[own]], days[~kept[own]]
        # some arc of at most 90 days holds all that is kept and nothing that is lost
        arcs = [(start, (seen - start) % 366, (lost - start) % 366) for start in range(1, 367)]
        assert any((a < 90).all() and (len(a) == 0 or (b > a.max()).all()) for _, a, b in arcs)
    assert other.any()
    assert not other.all()
    assert in_window(stream, keys(len(counts)), Augment()).all()


@settings(max_examples=40)
@given(counts_of_pixels, st.integers(0, 500))
def test_clouds_take_runs_of_dates(counts: list[int], seed: int) -> None:
    daily = Stream(
        np.zeros((366 * len(counts), 10), dtype=np.uint16),
        np.tile(np.arange(1, 367, dtype=np.int16), len(counts)),
        None,
        np.arange(len(counts) + 1) * 366,
    )
    kept = clear(daily, keys(len(counts), seed), Augment(clouds=1, cloud_days=40)).reshape(-1, 366)
    for row in kept:
        edges = np.flatnonzero(row != np.roll(row, 1))
        assert 2 <= len(edges) <= 12
        # no run is shorter than five days
        lengths = np.diff(np.append(edges, edges[0] + 366))
        assert min(lengths[~row[edges]]) >= 5
        assert (~row).sum() <= 6 * 40
    stream = make_stream(counts, seed)
    hit = clear(stream, keys(len(counts), seed), Augment(clouds=1, cloud_days=40))
    np.testing.assert_array_equal(hit, kept[stream.pixel, stream.day - 1])


@settings(max_examples=40)
@given(counts_of_pixels, st.integers(0, 500))
def test_thin_years_keep_some_of_what_is_kept(counts: list[int], seed: int) -> None:
    stream = make_stream(counts, seed)
    before = np.random.default_rng(seed).random(len(stream.day)) < 0.7
    after = thinned(stream, before, keys(len(counts), seed), Augment(thin=1), 100)
    assert not (after & ~before).any()
    for pixel in range(len(counts)):
        own = slice(stream.offsets[pixel], stream.offsets[pixel + 1])
        assert min(3, before[own].sum()) <= after[own].sum() <= before[own].sum()


def test_thin_years_are_log_uniform_and_each_date_as_likely() -> None:
    n, count = 6000, 24
    stream = make_stream([count] * n)
    kept = thinned(stream, np.ones(n * count, dtype=np.bool_), keys(n), Augment(thin=1), 100).reshape(n, count)
    sizes = np.bincount(kept.sum(axis=1), minlength=count + 1)[3:]
    mean = n * np.diff(np.log(np.arange(3, count + 2))) / np.log((count + 1) / 3)
    # chi-squared of 21 degrees of freedom: above 46.8 once in a thousand
    assert ((sizes - mean) ** 2 / mean).sum() < 46.8
    share = kept.mean(axis=0)
    assert np.abs(share - share.mean()).max() < 4 * 0.5 / np.sqrt(n)


@settings(max_examples=60)
@given(counts_of_pixels, counts_of_pixels, st.integers(0, 500))
def test_no_view_is_left_with_less_than_the_least_unless_a_modality_is_missing(
    first: list[int], second: list[int], seed: int
) -> None:
    size = min(len(first), len(second))
    s2, s1 = make_stream(first[:size], seed), make_stream(second[:size], seed, 2)
    harsh = Augment(window=1, window_days=(5, 20), clouds=1, cloud_days=300, thin=1, least=4)
    for stream, out in zip((s2, s1), harsh.apply(s2, s1, keys(size, seed)), strict=True):
        assert (out.count >= np.minimum(stream.count, 4)).all()
        assert (out.count <= stream.count).all()
        held, left = (
            {
                (*value, int(day), int(pixel))
                for value, day, pixel in zip(part.values.tolist(), part.day, part.pixel, strict=True)
            }
            for part in (stream, out)
        )
        assert left <= held
    lost2, lost1 = without(s2, s1, keys(size, seed), Augment(no_radar=0.5, no_optical=0.5))
    assert not (lost2 & lost1).any()
    assert not (lost2 & (s1.count == 0)).any()
    assert not (lost1 & (s2.count == 0)).any()


def test_a_modality_is_missing_as_often_as_is_said() -> None:
    n = 20_000
    s2, s1 = make_stream([4] * n), make_stream([3] * n, 0, 2)
    poorer = Augment(no_radar=0.3, no_optical=0.1).apply(s2, s1, keys(n))
    assert abs((poorer[1].count == 0).mean() - 0.3) < 4 * np.sqrt(0.21 / n)
    assert abs((poorer[0].count == 0).mean() - 0.1) < 4 * np.sqrt(0.09 / n)
    assert not ((poorer[0].count == 0) & (poorer[1].count == 0)).any()


@settings(max_examples=40)
@given(counts_of_pixels, st.integers(0, 500), st.sampled_from([2, 10]))
def test_composites_are_means_or_medians_of_months(counts: list[int], seed: int, channels: int) -> None:
    stream = make_stream(counts, seed, channels)
    out = monthly(stream, keys(len(counts), seed), Augment(monthly=1))
    starts = np.array([1, 32, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
    for pixel in range(len(counts)):
        own = slice(stream.offsets[pixel], stream.offsets[pixel + 1])
        made = slice(out.offsets[pixel], out.offsets[pixel + 1])
        months = np.searchsorted(starts, stream.day[own], side="right") - 1
        seen = np.unique(months)
        np.testing.assert_array_equal(out.day[made], starts[seen] + 15)
        close = []
        for rule in (np.mean, np.median):
            expected = [rule(stream.values[own][months == month].astype(float), axis=0) for month in seen]
            close.append(np.allclose(out.values[made], np.array(expected).reshape(len(seen), channels), atol=2e-3))
        assert any(close)
        if out.table is not None:
            assert len(np.unique(out.table[made])) <= 1
    half = monthly(stream, keys(len(counts), seed), Augment(monthly=0.5))
    for pixel in range(len(counts)):
        own, made = (slice(part.offsets[pixel], part.offsets[pixel + 1]) for part in (stream, half))
        assert np.array_equal(stream.values[own], half.values[made]) or len(half.day[made]) <= 12


def test_values_change_as_they_are_said_to() -> None:
    n = 3000
    s2, s1 = make_stream([5] * n), make_stream([4] * n, 0, 2)

    def changed(**options: float) -> tuple[Stream, Stream]:
        return Augment(**options).apply(s2, s1, keys(n))  # type: ignore[arg-type]

    ratio = changed(gain=0.05)[0].values / s2.values
    assert np.ptp(ratio.reshape(n, 5, 10), axis=1).max() < 1e-3
    assert abs((ratio - 1).std() / 0.05 - 1) < 0.05
    added = changed(haze=80)[0].values - s2.values.astype(np.float32)
    assert added.min() >= 0
    np.testing.assert_allclose(added / HAZE, added[:, 1:2] * np.ones(10), atol=0.1)
    assert abs(added[:, 1].mean() / 80 - 1) < 4 / np.sqrt(5 * n)
    offset = (changed(radar_db=0.5)[1].values - s1.values)[(s1.values > 2000).all(axis=1)]
    assert abs(offset.std() / 200 - 1) < 0.05
    error = changed(day_jitter=3)[0].day - s2.day
    middle = (s2.day > 3) & (s2.day < 363)
    assert set(error[middle].tolist()) == set(range(-3, 4))
    assert changed(day_jitter=60)[1].day.min() >= 1
    bands = changed(b08_as_b8a=0.25)[0].values
    swapped = bands[:, 4] == bands[:, 3]
    assert abs(swapped.mean() - 0.25) < 4 * np.sqrt(0.19 / n) + 0.01
    np.testing.assert_array_equal(np.delete(bands, 4, axis=1), np.delete(s2.values, 4, axis=1))
    np.testing.assert_array_equal(bands[~swapped], s2.values[~swapped])


def test_observations_have_keys_of_their_own() -> None:
    stream = make_stream([5, 0, 7])
    drawn = [observation_keys(stream, keys(3), purpose) for purpose in (1, 2)]
    assert len(np.unique(np.concatenate(drawn))) == 24


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 1.5}, {"thin": -0.1}, {"no_radar": 0.6, "no_optical": 0.6}, {"window_days": (90, 50)}, {"gain": 2.0},
        {"haze": -1.0}, {"day_jitter": 61}, {"cloud_days": 4}, {"least": 0}, {"monthly": float("nan")},
    ],
)  # fmt: skip
def test_an_augmentation_that_is_none_is_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"expected|sum above 1"):
        Augment(**wrong)  # type: ignore[arg-type]
    assert not Augment(cloud_days=30, least=2).active
    assert Augment(day_jitter=1).active


def test_distinct_views_see_everything_once_before_anything_twice() -> None:
    series = make_series([(7, 3, 0), (2, 4, 5), (20, 9, 11)])
    pixels = np.arange(3)
    for view in draw_views(series, pixels, 9, STUDENT_SPEC, seed=1, epoch=0, augment=Augment(distinct=True))[:2]:
        for tokens, counts in ((view.s2, series.s2_count), (view.s1, series.s1_count)):
            for own, count in zip(tokens, counts, strict=True):
                seen = len(np.unique(own[: min(9, int(count))], axis=0))
                assert seen == min(9, int(count))
                assert len(np.unique(own, axis=0)) == seen
