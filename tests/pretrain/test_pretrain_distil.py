"""Distillation: a frozen teacher, one head a prefix, coordinates that come in order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pretrain_tiny import TINY, make_series

from tessera.base import InputError
from tessera.cubes import PixelSeries, concatenate, cube_of, series_of_arrays
from tessera.encode import embed_with, encoder_of, load_encoder, sample_indices
from tessera.models import (
    FAMILIES,
    STUDENT_SPEC,
    TEACHER_SPEC,
    Checkpoint,
    Shape,
    Statistics,
    read_checkpoint,
    write_published,
)
from tessera.pretrain import Augment, Lesson, Pupil, Said, distil, rounded, teach
from tessera.pretrain import teacher_cache as cache_module

pytestmark = pytest.mark.usefixtures("one_thread")


def teacher(dims: int = 24, seed: int = 1) -> Checkpoint:
    """A tiny network of the released teacher's family."""
    torch.manual_seed(seed)
    shape = Shape(latent_dim=4, num_layers=1, nhead=2, dim_feedforward=16, repr_dim=dims)
    spec = replace(TEACHER_SPEC, dims=dims, prefix_dims=(dims,))
    tensors = dict(FAMILIES["v2-teacher"].build(shape, 0.0).state_dict())
    return Checkpoint(shape, spec, tensors, "teacher")


def learn(out: Path, **changed: Any) -> Checkpoint:
    settings: dict[str, Any] = {
        "steps": 12, "batch": 16, "draws": 6, "save_every": 5, "log_every": 4, "dropout": 0.0,
        "lesson": Lesson(prefixes=(4, 8)),
    }  # fmt: skip
    return distil(make_series(), TINY, teacher(), out=out, **settings | changed)


def test_the_loss_by_hand() -> None:
    rng = np.random.default_rng(2)
    vectors, wanted = rng.normal(size=(2, 5, 8)), rng.normal(1, 3, size=(5, 6))
    mean, deviation = wanted.mean(axis=0), wanted.std(axis=0)
    spec = replace(STUDENT_SPEC, dims=8, prefix_dims=(3, 8))
    torch.manual_seed(3)
    pupil = Pupil(Lesson(cosine=2.0, squared=5.0), spec, torch.from_numpy(mean), torch.from_numpy(deviation)).double()
    parts = pupil(torch.from_numpy(vectors), Said(torch.from_numpy(wanted), True))
    cosine = squared = 0.0
    for size in (3, 8):
        weight, bias = (value.detach().numpy() for value in pupil.heads[str(size)].parameters())
        given = rounded(torch.from_numpy(vectors[..., :size]), spec.quantiser).numpy()
        for view in given:
            for row, truth in zip(view, wanted, strict=True):
                said = weight @ row + bias
                squared += sum((said - (truth - mean) / deviation) ** 2) / 6 / 10 / 2
                real = said * deviation + mean
                cosine += (1 - real @ truth / np.sqrt((real @ real) * (truth @ truth))) / 10 / 2
    assert float(parts["cosine"].detach()) == pytest.approx(2 * cosine, rel=1e-11)
    assert float(parts["squared"].detach()) == pytest.approx(5 * squared, rel=1e-11)


def test_a_student_learns_what_its_teacher_says_and_has_prefixes(tmp_path: Path) -> None:
    path = tmp_path / "pupil.safetensors"
    checkpoint = learn(path, steps=150, peak=1e-2)
    log = json.loads(Path(f"{path}.json").read_text())["log"]
    assert log[-1]["loss"] < 0.35 * log[0]["loss"]
    assert checkpoint.spec.prefix_dims == (4, 8, 16)
    assert checkpoint.spec.family == "v2-student"
    vectors, wanted = (
        embed_with(encoder_of(checkpoint), make_series()),
        embed_with(encoder_of(teacher()), make_series()),
    )
    for size in checkpoint.spec.prefix_dims:
        given = np.column_stack([vectors[:, :size], np.ones(len(vectors))])
        fitted = given @ np.linalg.lstsq(given, wanted, rcond=None)[0]
        assert ((fitted - wanted) ** 2).sum() < 0.4 * ((wanted - wanted.mean(axis=0)) ** 2).sum()


def test_what_comes_out_loads_and_is_published(tmp_path: Path) -> None:
    checkpoint = learn(tmp_path / "pupil.safetensors")
    assert load_encoder(tmp_path / "pupil.safetensors").identity.sha256 == checkpoint.sha256
    write_published(checkpoint, tmp_path / "pupil.pt")
    content = torch.load(tmp_path / "pupil.pt", weights_only=True)
    assert content["args"]["matryoshka_dims"] == "4,8,16"
    assert read_checkpoint(tmp_path / "pupil.pt").sha256 == checkpoint.sha256


def test_a_resumed_distillation_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole.safetensors")

    def stop(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "parts.safetensors", progress=stop)
    assert learn(tmp_path / "parts.safetensors").sha256 == whole.sha256
    with pytest.raises(InputError, match=r"is of a run with lesson .*; expected"):
        learn(tmp_path / "parts.safetensors", lesson=Lesson(prefixes=(4,)))


def test_views_without_radar_are_taught_too(tmp_path: Path) -> None:
    bare = learn(tmp_path / "a.safetensors", augment=Augment(no_radar=0.5, thin=0.5))
    assert bare.sha256 != learn(tmp_path / "b.safetensors").sha256


def test_vectors_are_kept_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "STRIDE", 20)
    series, folder = make_series(), tmp_path / "vectors"
    expected = teach(series, teacher()).vectors
    np.testing.assert_allclose(expected, embed_with(encoder_of(teacher()), series), atol=2e-3)

    def stop(done: int, total: int) -> None:
        assert total == 48
        if done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(series, teacher(), folder, progress=stop)
    seen: list[int] = []
    taught = teach(series, teacher(), folder, progress=lambda done, total: seen.append(done))
    assert seen == [48]
    np.testing.assert_array_equal(taught.vectors, expected)
    again: list[int] = []
    teach(series, teacher(), folder, progress=lambda done, total: again.append(done))
    assert again == []
    chosen = np.array([7, 3, 3])
    np.testing.assert_array_equal(taught.take(chosen).targets, expected[chosen].astype(np.float32))
    np.testing.assert_array_equal(taught.take(chosen).s2, series.take(chosen).s2)


def patchy_series() -> PixelSeries:
    """Pixels with few and with many observations, one without Sentinel-1, one without Sentinel-2; orbits mixed."""
    rng = np.random.default_rng(8)
    s2 = rng.integers(1, 9000, (40, 60, 10)).astype(np.uint16)
    s1 = rng.integers(1, 9000, (40, 50, 2)).astype(np.int16)
    seen = rng.random((40, 60)) < rng.random((40, 1))
    s1[rng.random((40, 50)) > rng.random((40, 1))] = 0
    s1[:4] = rng.integers(1, 9000, (4, 50, 2))
    seen[:2], s1[2], seen[3], seen[4] = True, 0, False, True
    days = np.sort(rng.integers(1, 367, 60)).astype(np.int16)
    return series_of_arrays(s2, seen, days, s1, days[:50], rng.random(50) < 0.5)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_weights_of_every_family_teach_what_their_encoder_says(family: str, tmp_path: Path) -> None:
    # of v1.1 the network makes more than is published
    dims = 16 if family == "v1.1" else 24
    given = untrained(family, dims)
    series = patchy_series()
    taught = teach(series, given)
    assert taught.vectors.shape == (40, dims)
    said = encoder_of(given).encode(cube_of(series))
    step = said.scales[0][:, None]
    assert (np.abs(taught.vectors - said.values()[0]) <= 0.51 * step + 2e-3).all()
    lesson = Lesson(prefixes=(4,))
    distil(
        series.take(np.r_[:3, 4:40]),
        TINY,
        given,
        lesson=lesson,
        steps=2,
        batch=16,
        draws=4,
        out=tmp_path / "pupil.safetensors",
    )


def untrained(family: str, dims: int) -> Checkpoint:
    """A tiny network of 24 numbers, `dims` of them published."""
    torch.manual_seed(4)
    shape = Shape(latent_dim=4, num_layers=1, nhead=4, dim_feedforward=16, repr_dim=24)
    spec = next(iter(FAMILIES[family].specs.values()))
    tensors = dict(FAMILIES[family].build(shape, 0.0).state_dict())
    return Checkpoint(shape, replace(spec, dims=dims, prefix_dims=(dims,)), tensors, family)


def standard(values: Any, days: Any, statistics: Statistics) -> NDArray[np.float32]:
    bands = (values - np.array(statistics.mean)) / (np.array(statistics.std) + 1e-9)
    return np.column_stack([bands, days]).astype(np.float32)


def test_a_teacher_reads_ascending_passes_first_in_any_order_of_the_table() -> None:
    series, given = patchy_series(), replace(STUDENT_SPEC, dims=16, prefix_dims=(16,))
    torch.manual_seed(6)
    checkpoint = Checkpoint(TINY, given, dict(FAMILIES["v2-student"].build(TINY, 0.0).state_dict()), "tiny")
    pixel = 0
    rows = slice(series.s1_offsets[pixel], series.s1_offsets[pixel + 1])
    falling = series.s1_descending[rows]
    order = np.argsort(falling, kind="stable")
    assert (order != np.arange(len(order))).any()
    optical = series.s2[: series.s2_offsets[1]], series.s2_day[: series.s2_offsets[1]], given.s2
    radar = series.s1[rows][order], series.s1_day[rows][order]
    s2 = standard(*optical)
    s1 = np.where(falling[order][:, None], standard(*radar, given.s1_desc), standard(*radar, given.s1_asc))
    s2, s1 = (part[sample_indices("v2", given.sampling.bins, len(part))][None] for part in (s2, s1))
    expected = encoder_of(checkpoint).encode_batch(s2, s1)[0]
    np.testing.assert_allclose(embed_with(encoder_of(checkpoint), series)[pixel], expected, atol=2e-5)


def test_a_pixel_year_without_observations_is_not_taught() -> None:
    bare = series_of_arrays(
        np.zeros((1, 1, 10), np.uint16), np.zeros((1, 1), np.bool_), np.array([5], np.int16),
        np.zeros((1, 1, 2), np.int16), np.array([5], np.int16), np.array([False]),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"1 pixel-years without any observation; expected at least one"):
        teach(concatenate([make_series(), bare]), teacher())


def test_a_batch_that_cannot_be_cut_is_refused_before_anything_is_taught(tmp_path: Path) -> None:
    seen: list[int] = []
    with pytest.raises(InputError, match=r"48 pixel-years for a batch of 64; expected at least as many"):
        learn(tmp_path / "pupil.safetensors", batch=64, teaching=lambda done, total: seen.append(done))
    assert seen == []


def test_vectors_that_do_not_fit_are_refused() -> None:
    given = untrained("v1.1", 24)
    last = max(key for key in given.tensors if key.startswith("dim_reducer"))
    big = replace(given, tensors={**given.tensors, last: given.tensors[last] + 1e5})
    with pytest.raises(InputError, match=r"v1.1 makes vectors with .*e\+0.; expected numbers that fit float16"):
        teach(make_series(), big)


def test_vectors_of_another_table_or_teacher_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    teach(make_series(), teacher(), folder)
    with pytest.raises(InputError, match=r"holds vectors with teacher .*; expected .*, or another folder"):
        teach(make_series(), teacher(seed=9), folder)
    with pytest.raises(InputError, match=r"holds vectors with table"):
        teach(make_series(44), teacher(), folder)
    with pytest.raises(InputError, match=r"vectors.json is a file; expected a folder for the teacher's vectors"):
        teach(make_series(), teacher(), folder / "vectors.json")
    (folder / "vectors.f16").write_bytes(b"short")
    with pytest.raises(InputError, match=r"has 5 bytes, 48 rows done; expected 2304 bytes, 48 rows"):
        teach(make_series(), teacher(), folder)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cosine": 0.0, "squared": 0.0}, r"weights 0.0 and 0.0; expected 0 or more, and not both 0"),
        ({"quantise_per": "row"}, r"quantise_per 'row'"),
        ({"prefixes": (0,)}, r"prefixes \(0,\)"),
    ],
)
def test_senseless_lessons(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Lesson(**given)
