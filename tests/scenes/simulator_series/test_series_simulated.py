"""Simulated pixel-years as a table: shapes, slices, calendars, truths that agree with what is seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tessera.base import InputError
from tessera.cubes import S2_BANDS
from tessera.simulator import KIND_NAMES, SimulatedSeries, simulate_series
from tessera.simulator.series._draws import Draws

pytest.importorskip("prosail", reason="the extra `train` is not installed")

COUNT = 1500
ARRAYS = ("s2", "s2_valid", "s2_day", "s1", "s1_day", "s1_descending", "kind", "latents")
BAND = {name: number for number, name in enumerate(S2_BANDS)}


@pytest.fixture(scope="module")
def series() -> SimulatedSeries:
    return simulate_series(COUNT, seed=11)


def latent(series: SimulatedSeries, name: str) -> np.ndarray:
    return series.latents[:, series.latent_names.index(name)].astype(np.float64)


def yearly(series: SimulatedSeries, a: str, b: str) -> np.ndarray:
    """Mean of a normalised difference over each pixel-year, NaN where nothing is seen."""
    x = np.where(series.s2_valid[..., None], series.s2, np.nan)
    with np.errstate(invalid="ignore"):
        ratio = (x[..., BAND[a]] - x[..., BAND[b]]) / (x[..., BAND[a]] + x[..., BAND[b]])
    seen = series.s2_valid.any(axis=1)
    out = np.full(len(series), np.nan)
    out[seen] = np.nanmean(ratio[seen], axis=1)
    return out


def rank(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of what is not NaN."""
    both = np.isfinite(a) & np.isfinite(b)
    first, second = (np.argsort(np.argsort(x[both])).astype(np.float64) for x in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def test_no_random_number_serves_two_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is drawn in two places would tie what should be independent."""
    seen: dict[str, set[str]] = {}
    named = Draws._named

    def noted(self: Draws, name: str) -> Any:
        frame = sys._getframe(1)
        while frame.f_code.co_filename.endswith("_draws.py"):
            assert frame.f_back is not None
            frame = frame.f_back
        seen.setdefault(name, set()).add(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
        return named(self, name)

    monkeypatch.setattr(Draws, "_named", noted)
    simulate_series(64, seed=1)
    assert len(seen) > 200
    assert not {name: places for name, places in seen.items() if len(places) > 1}


def test_truths_are_latents_and_one_kind(series: SimulatedSeries) -> None:
    count = len(series.latent_names)
    assert series.truths.shape == (COUNT, count + len(KIND_NAMES))
    np.testing.assert_array_equal(series.truths[:, :count], series.latents)
    assert series.truths[:, count:].sum() == COUNT
    np.testing.assert_array_equal(series.truths[:, count:].argmax(axis=1), series.kind)


def test_any_slice_is_the_same(series: SimulatedSeries) -> None:
    for start, count in ((0, 3), (251, 9), (255, 1), (700, 300)):
        part = simulate_series(count, seed=11, start=start)
        for name in ARRAYS:
            np.testing.assert_array_equal(
                getattr(part, name), getattr(series, name)[start : start + count], err_msg=name
            )


def test_seeds_and_pixels_differ(series: SimulatedSeries) -> None:
    other = simulate_series(50, seed=12)
    assert not np.array_equal(other.s2, series.s2[:50])
    seen = series.s2[series.s2_valid]
    assert len(np.unique(seen, axis=0)) > 0.99 * len(seen)


def test_arrays_are_what_the_table_of_pixel_years_takes(series: SimulatedSeries) -> None:
    assert series.s2.shape == (COUNT, series.s2_valid.shape[1], 10)
    assert [getattr(series, name).dtype for name in ARRAYS] == [
        np.uint16, bool, np.int16, np.int16, np.int16, bool, np.uint8, np.float32,
    ]  # fmt: skip
    assert (series.s2[~series.s2_valid] == 0).all()
    assert (series.s2[series.s2_valid] > 0).all()
    assert series.s2_day.min() >= 1
    assert series.s2_day.max() <= 366
    assert series.s1.min() >= 0
    assert series.latents.shape == (COUNT, len(series.latent_names))
    assert len(series.latent_units) == len(series.latent_names) == len(set(series.latent_names))
    assert not np.isinf(series.latents).any()
    cubes = pytest.importorskip("tessera.cubes")
    table = cubes.series_of_arrays(
        series.s2, series.s2_valid, series.s2_day, series.s1, series.s1_day, series.s1_descending
    )
    assert len(table) == COUNT
    assert (table.s2_count == series.s2_valid.sum(axis=1)).all()


def test_all_kinds_occur_and_have_names(series: SimulatedSeries) -> None:
    assert series.kind_names == KIND_NAMES
    assert len(np.unique(series.kind)) == len(KIND_NAMES)


def test_some_are_short_some_without_radar_some_composites(series: SimulatedSeries) -> None:
    optical, radar = series.s2_valid.sum(axis=1), (series.s1 != 0).any(axis=2).sum(axis=1)
    assert 0.05 < (radar == 0).mean() < 0.25
    assert (optical <= 4).mean() > 0.05
    assert (optical > 25).mean() > 0.15
    # one orbit or both
    seen = (series.s1 != 0).any(axis=2)
    share = np.array([d[v].mean() if v.any() else np.nan for d, v in zip(series.s1_descending, seen, strict=True)])
    assert (share == 0).any()
    assert (share == 1).any()
    assert ((share > 0.3) & (share < 0.7)).any()
    same = np.array(
        [
            v.any() and (x[v, BAND["B8A"]] == x[v, BAND["B08"]]).all()
            for x, v in zip(series.s2, series.s2_valid, strict=True)
        ]
    )
    assert 0.05 < same.mean() < 0.3


def test_truths_are_seen(series: SimulatedSeries) -> None:
    ndvi, ndmi = yearly(series, "B08", "B04"), yearly(series, "B8A", "B11")
    dry = latent(series, "snow_days") == 0
    hide = np.where(dry & (latent(series, "water_cover") == 0), 0.0, np.nan)
    assert rank(ndvi + hide, latent(series, "canopy_chlorophyll_mean")) > 0.75
    assert rank(ndmi + hide, latent(series, "canopy_water_mean")) > 0.7
    db = np.where((series.s1 != 0).any(axis=2), series.s1[..., 1] / 400.0 - 25, np.nan)
    have = np.isfinite(db).any(axis=1)
    vh = np.full(COUNT, np.nan)
    vh[have] = np.nanmean(db[have], axis=1)
    wild = np.where(latent(series, "built_cover") == 0, 0.0, np.nan)
    assert rank(vh + wild, latent(series, "woody_volume")) > 0.4
    assert (
        np.nanmedian(vh[latent(series, "water_cover") > 0.8]) < np.nanmedian(vh[latent(series, "tree_cover") > 0.6]) - 5
    )


def test_snow_is_bright_and_dark_in_the_infrared(series: SimulatedSeries) -> None:
    ndsi = yearly(series, "B03", "B11")
    assert np.nanmedian(ndsi[series.kind == KIND_NAMES.index("glacier and snow field")]) > 0.5
    assert np.nanmedian(ndsi[series.kind == KIND_NAMES.index("maize")]) < 0


def test_fuel_moisture_has_the_range_of_shrubs_and_grass_cures(series: SimulatedSeries) -> None:
    shrubs = np.isin(series.kind, [KIND_NAMES.index(name) for name in ("chaparral", "sagebrush and steppe shrub")])
    least, most = (latent(series, f"shrub_fuel_moisture_{name}")[shrubs] for name in ("least", "most"))
    assert 40 <= np.nanmin(least) < 60
    assert 200 < np.nanmax(most) < 420
    assert np.nanmedian(most - least) > 30
    grass = series.kind == KIND_NAMES.index("grassland and annual grass")
    assert np.nanpercentile(latent(series, "fuel_moisture_with_cured_least")[grass], 20) < 40


def test_crops_come_and_go_and_evergreens_stay(series: SimulatedSeries) -> None:
    swing = latent(series, "leaf_area_most") - latent(series, "leaf_area_least")
    share = swing / np.maximum(latent(series, "leaf_area_most"), 1e-3)
    assert np.median(share[series.kind == KIND_NAMES.index("maize")]) > 0.8
    assert np.median(share[series.kind == KIND_NAMES.index("tropical evergreen forest")]) < 0.4


def test_wrong_numbers_are_one_line() -> None:
    for given, text in (
        ({"count": 0, "seed": 1}, "count 0; expected 1 or more"),
        ({"count": 1, "seed": -1}, "seed -1"),
        ({"count": 1, "seed": 1, "start": -2}, "start -2"),
        ({"count": 10**9, "seed": 1}, "count 1000000000; expected at most"),
    ):
        with pytest.raises(InputError, match=text):
            simulate_series(**given)


def test_real_pixels_lie_within_the_simulated(shared: Path, series: SimulatedSeries) -> None:
    pandas = pytest.importorskip("pandas")
    spatial = pytest.importorskip("scipy.spatial")
    file = shared / "data" / "parcels_flanders_2021" / "2021_BEL_LPIS-Flanders_POLY_110.month.parquet"
    if not file.is_file():
        pytest.skip("parcels_flanders_2021 is not beside the project")
    bands = [f"S2-L2A-{'B08' if band == 'B8A' else band}" for band in S2_BANDS]
    real = pandas.read_parquet(file)[bands].to_numpy(dtype=np.float64)
    real = real[((real > 0) & (real < 65535)).all(axis=1)]
    seen = series.s2[series.s2_valid].astype(np.float64)
    half = np.arange(len(seen)) % 2 == 0
    scale = seen.std(axis=0)
    tree = spatial.cKDTree(seen[half] / scale)
    limit = np.percentile(tree.query(seen[~half] / scale)[0], 99)
    assert (tree.query(real / scale)[0] <= limit).mean() > 0.9
