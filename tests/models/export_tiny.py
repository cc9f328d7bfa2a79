"""Tiny random models of every family, and random observations for them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tessera.models import FAMILIES, Checkpoint, Shape

MODELS = {
    "v1.0-early": (Shape(4, 2, 4, 32, 16), None),
    "v1.0": (Shape(4, 2, 4, 32, 16), None),
    "v1.1": (Shape(4, 2, 4, 32, 24), "mpc"),
    "v2-student": (Shape(4, 2, 4, 32, 16), None),
    "v2-student-qk": (Shape(4, 2, 4, 32, 16, qk_norm=True), None),
    "v2-teacher": (Shape(4, 2, 4, 32, 16), None),
}
"""Name -> sizes and source."""
LENGTHS = ((1, 1, 1), (3, 9, 1), (2, 1, 14), (5, 33, 40))
"""Pixels, Sentinel-2 and Sentinel-1 observations."""


def tiny(model: str, name: str = "tiny") -> Checkpoint:
    """Weights with every norm, bias and gate away from its default."""
    shape, source = MODELS[model]
    family = FAMILIES[model.removesuffix("-qk")]
    spec = family.spec(source, name)
    prefixes = (8, 16) if model.startswith("v2-student") else (16,)
    generator = torch.Generator().manual_seed(len(model))
    tensors = {}
    for key, size in family.shapes_of(shape).items():
        value = torch.randn(size, generator=generator) * (0.4 if len(size) > 1 else 0.2)
        tensors[key] = value + 1 if "norm" in key and key.endswith("weight") else value
    return Checkpoint(shape, replace(spec, dims=16, prefix_dims=prefixes), tensors, name)


def observations(batch: int, time: int, time1: int) -> tuple[Tensor, Tensor]:
    """Standardised bands and days of year, (batch, time, 11) and (batch, time1, 3)."""
    generator = torch.Generator().manual_seed(batch + 10 * time + 100 * time1)

    def one(length: int, channels: int) -> Tensor:
        days = torch.randint(0, 367, (batch, length, 1), generator=generator).float()
        return torch.cat([torch.randn(batch, length, channels, generator=generator), days], dim=-1)

    return one(time, 10), one(time1, 2)
