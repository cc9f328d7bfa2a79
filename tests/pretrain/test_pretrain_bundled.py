"""The bundled weights, and the tool that makes them: real composites converted right."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tessera.cubes import S2_BANDS
from tessera.encode import load_encoder
from tessera.models import STUDENT_SPEC, bundled_path, read_checkpoint
from tessera.pretrain import draw_views, rankme

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real pixels are not here: no folder ../shared/data")


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("train_bundled", ROOT / "tools" / "train_bundled.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_bundled"] = module
    spec.loader.exec_module(module)
    return module


def test_bundled_file_is_small_named_and_without_prefixes() -> None:
    assert bundled_path().stat().st_size <= 5_000_000
    checkpoint = read_checkpoint(bundled_path())
    assert checkpoint.name == "bundled-nano"
    assert checkpoint.spec.prefix_dims == (checkpoint.spec.dims,) == (128,)
    assert load_encoder(None).identity.sha256 == checkpoint.sha256
    card = (ROOT / "docs" / "models" / "bundled-nano.md").read_text(encoding="utf-8")
    assert checkpoint.sha256 in card


def test_bundled_vectors_have_not_collapsed(tool: Any) -> None:
    place = tool.held_out(tool.HELD_OUT[0])
    chosen = np.arange(0, len(place.series), 4)
    view = draw_views(place.series, chosen, 24, STUDENT_SPEC, seed=0, epoch=0)[0]
    vectors = load_encoder(None).encode_batch(view.s2, view.s1)
    assert np.isfinite(vectors).all()
    assert rankme(torch.from_numpy(vectors)) > 0.2
    label = place.label[chosen]
    assert tool.macro_f1(vectors, label, draws=2) > 0.6


def test_decibels_to_the_numbers_of_a_cube(tool: Any) -> None:
    db = tool.worldcereal_db(np.array([0, 1435, 14125, 65535]))
    np.testing.assert_allclose(db[1:3], [-19.862, 0.0], atol=2e-3)
    assert np.isnan(db[[0, 3]]).all()
    scaled = tool.scaled_db(np.array([np.nan, -25.5, -25.0, -10.0, 0.0, 60.0, 80.0]))
    assert scaled.tolist() == [0, 0, 0, 6000, 10000, 32767, 32767]
    assert scaled.dtype == np.int16


def test_composites_are_dated_fifteen_days_after_their_first(tool: Any) -> None:
    first = np.array(["2020-11-01", "2020-12-01", "2021-01-01", "2021-03-01", "2020-03-01"], dtype="datetime64[ns]")
    assert tool.composite_days(first).tolist() == [321, 351, 16, 75, 76]


def test_raw_features_are_monthly_means(tool: Any) -> None:
    from pretrain_tiny import make_series

    series = make_series(6)
    # half of the year unseen, and many looks at one month
    series = replace(series, s2_day=np.maximum(series.s2_day, np.int16(200)))
    features = tool.monthly_means(series)
    assert features.shape == (6, 144)
    own = series.s2[12:24]
    month = (series.s2_day[12:24].astype(int) - 1) * 12 // 366
    for band, months in enumerate(features[1].reshape(12, 12)[:10]):
        expected = [own[month == i, band].mean() if i in month else own[:, band].mean() for i in range(12)]
        np.testing.assert_allclose(months, expected, rtol=1e-6)
    assert not (month < 6).any()
    assert not tool.monthly_means(series.without_s1())[:, 120:].any()


def test_curves_are_drawn(tool: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    losses = {"loss": 9.0, "barlow_twins": 8.0, "mix": 1.0, "rankme": 0.5}
    scores = {"f1_held_out": 0.8, "f1_belgium": 0.9}
    tool.draw_curves([{"step": step, **losses, **scores} for step in (1, 2)], scores, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


@needs_data
def test_belgium_is_converted_right(tool: Any) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("netCDF4")
    series = tool.belgium(DATA, np.random.default_rng(1))
    assert len(series) == 10_000
    assert 9 <= series.s2_count.min() <= series.s2_count.max() == 10
    assert series.s1_count.tolist() == [12] * 10_000
    assert set(series.s2_day.tolist()) <= {16, 47, 75, 106, 136, 167, 197, 228, 259, 289, 321, 351}
    with xr.open_dataset(
        DATA / "belgium_2021" / "worldcereal_preprocessed_inputs.nc", engine="netcdf4", mask_and_scale=False
    ) as stored:
        row, col = 37, 81
        pixel = row * 100 + col
        bands = ["B08" if band == "B8A" else band for band in S2_BANDS]
        optical = np.stack([stored[f"S2-L2A-{band}"].values[:, row, col] for band in bands], axis=1)
        optical = optical.view(np.uint16)
        radar = np.stack([stored[f"S1-SIGMA0-{band}"].values[:, row, col] for band in ("VV", "VH")], axis=1)
    own = slice(series.s2_offsets[pixel], series.s2_offsets[pixel + 1])
    np.testing.assert_array_equal(series.s2[own], optical[(optical != 65535).all(axis=1)])
    assert (series.s2[own][:, 4] == series.s2[own][:, 3]).all()
    own = slice(series.s1_offsets[pixel], series.s1_offsets[pixel + 1])
    decibels = 20 * np.log10(radar.view(np.uint16).astype(float)) - 83
    np.testing.assert_array_equal(series.s1[own], ((2 * decibels + 50) * 200).astype(np.int16))
    # each pixel has one orbit, and either is about as common
    assert len(set(series.s1_descending[own].tolist())) == 1
    assert 0.45 < series.s1_descending.mean() < 0.55


@needs_data
def test_all_real_sets_fit_the_statistics(tool: Any) -> None:
    for part in tool.real_parts(DATA, 1):
        assert part.name in {"belgium_2021", "parcels_flanders_2021", "points_prometheo", "lake_series"}
        assert part.series.s2_count.min() >= tool.COMPOSITE_MINIMUM
        mean = part.series.s2.mean(axis=0)
        distance = np.abs(mean - np.array(STUDENT_SPEC.s2.mean)) / np.array(STUDENT_SPEC.s2.std)
        assert distance.max() < 1.5
        assert 0 < part.series.s1[:, 1].mean() < part.series.s1[:, 0].mean() < 10_000
