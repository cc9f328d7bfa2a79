"""Distillation: a frozen teacher, one head a prefix, coordinates that come in order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretrain_tiny import TINY, make_series

from tessera.base import InputError
from tessera.encode import load_encoder
from tessera.models import FAMILIES, STUDENT_SPEC, TEACHER_SPEC, Checkpoint, Shape, read_checkpoint, write_published
from tessera.pretrain import Augment, Lesson, Pupil, Said, distil, embed_series, rounded, teach
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
    vectors, wanted = embed_series(checkpoint, make_series()), embed_series(teacher(), make_series())
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
    blind = learn(tmp_path / "c.safetensors", lesson=Lesson(prefixes=(4,), radar=False))
    vectors = embed_series(blind, make_series(), radar=False)
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors, embed_series(blind, make_series()))


def test_vectors_are_kept_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "STRIDE", 20)
    series, folder = make_series(), tmp_path / "vectors"
    expected = teach(series, teacher()).vectors
    np.testing.assert_allclose(expected, embed_series(teacher(), series), atol=2e-3)

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


def test_vectors_of_another_table_or_teacher_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    teach(make_series(), teacher(), folder)
    with pytest.raises(InputError, match=r"holds vectors with teacher .*; expected .*, or another folder"):
        teach(make_series(), teacher(seed=9), folder)
    with pytest.raises(InputError, match=r"holds vectors with table"):
        teach(make_series(44), teacher(), folder)
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
