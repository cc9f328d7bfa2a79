"""Tiny networks of every family with random weights, and their checkpoints in the published containers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tessera.models import FAMILIES, STUDENT_SPEC, Checkpoint, Shape, Student

TINY = Shape(latent_dim=2, num_layers=1, nhead=2, dim_feedforward=8, repr_dim=16)
SPEC = replace(STUDENT_SPEC, dims=16, prefix_dims=(8, 16))
SHAPES = {
    "v1.0-early": Shape(4, 2, 8, 12, 16),
    "v1.0": Shape(2, 2, 4, 12, 16),
    "v1.1": Shape(3, 2, 4, 20, 24),
    "v2-student": TINY,
    "v2-student, QK-norm": replace(TINY, qk_norm=True),
    "v2-teacher": Shape(2, 2, 2, 12, 16),
}
KINDS = tuple(SHAPES)


def family_of_kind(kind: str) -> str:
    return kind.partition(",")[0]


def source_of_kind(kind: str) -> str | None:
    return "mpc" if kind == "v1.1" else None


def tiny(seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    return Checkpoint(TINY, SPEC, dict(Student(TINY).state_dict()), "tiny")


def tiny_of(kind: str, seed: int = 0) -> Checkpoint:
    """A checkpoint of a kind as the published code would bind it; for v1.1 to the statistics of mpc."""
    family, shape = family_of_kind(kind), SHAPES[kind]
    rng = torch.Generator().manual_seed(seed)
    tensors = {key: torch.randn(sizes, generator=rng) for key, sizes in FAMILIES[family].shapes_of(shape).items()}
    spec = FAMILIES[family].spec(source_of_kind(kind), kind)
    dims = shape.repr_dim
    prefixes = (8, dims) if family == "v2-student" else (dims,)
    training: dict[str, torch.Tensor] = {}
    if family == "v1.0-early":
        training = {
            "projector.net.0.weight": torch.randn(6, 16, generator=rng),
            "projector.net.1.num_batches_tracked": torch.tensor(7),
            "projector.net.1.running_var": torch.ones(6),
        }
    return Checkpoint(shape, replace(spec, dims=dims, prefix_dims=prefixes), tensors, "tiny", training)


def container(checkpoint: Checkpoint, **changes: Any) -> dict[str, Any]:
    """What the authors would give to torch.save; `changes` replace tensors, or take them away where None."""
    shape, family = checkpoint.shape, checkpoint.spec.family
    state = {**checkpoint.tensors, **checkpoint.training, **changes}
    weights = {key: value for key, value in state.items() if value is not None}
    sizes = {key: getattr(shape, key) for key in ("repr_dim", "latent_dim", "num_layers", "nhead", "dim_feedforward")}
    if family == "v2-student":
        args = {**sizes, "max_seq_len": 256, "matryoshka_dims": "8,16", "enable_qk_norm": shape.qk_norm}
        return {"args": args, "model": weights}
    if family == "v2-teacher":
        return {"arch": {**sizes, "final_layernorm": True}, "encoder_state_dict": weights}
    compiled = {f"_orig_mod.{key}": value for key, value in weights.items()}
    if family == "v1.1":
        return {"model_state": {**compiled, "segmented_matryoshka_projector.x": torch.zeros(3)}, "config": {}}
    return {"epoch": 0, "model_state_dict": compiled, "best_val_acc": 0.5}


def published(checkpoint: Checkpoint, path: Path, **changes: Any) -> Path:
    torch.save(container(checkpoint, **changes), path)
    return path


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    assert (one.shape, one.spec, one.sha256) == (other.shape, other.spec, other.sha256)
    for mine, theirs in ((one.tensors, other.tensors), (one.training, other.training)):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            assert value.dtype == theirs[key].dtype
            assert torch.equal(value, theirs[key])
