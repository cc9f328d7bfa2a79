"""Checkpoint: weights with their network sizes and input specification, checked, under one identity."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from tessera.base import InputError

from .families import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .families import Family
    from .layers import TwoBackbones
    from .shape import Shape
    from .spec import InputSpec

TRAINING_FAMILY = "v1.0-early"
"""The one family whose published loader requires tensors that only training used."""
TRAINING_PREFIX = "projector."


@dataclass(frozen=True)
class Checkpoint:
    """Weights with their network sizes and input specification.

    Attributes
    ----------
    shape : sizes of the network
    spec : the input that the weights require
    tensors : name -> float32 tensor
    name : an alias for messages
    training : tensors that only training used, kept if the published loader requires them; no network uses them
    published : alias of the published file with the weights, identified by its SHA-256
    """

    shape: Shape
    spec: InputSpec
    tensors: dict[str, Tensor]
    name: str
    training: dict[str, Tensor] = field(default_factory=dict)
    published: str | None = None

    def __post_init__(self) -> None:
        family = family_of(self.spec, self.name)
        if self.spec.dims > self.shape.repr_dim:
            raise InputError(f"{self.name}: {self.shape.repr_dim} dims in the network, {self.spec.dims} specified")
        _check_tensors(self.tensors, self.shape, family, self.name)
        if self.training and self.spec.family != TRAINING_FAMILY:
            raise InputError(
                f"{self.name}: tensors of training such as {min(self.training)}; {family.title} keeps none"
            )

    @cached_property
    def sha256(self) -> str:
        """The model's identity; see `identity_of`."""
        return identity_of(self.tensors, self.spec)

    @property
    def source(self) -> str | None:
        """The provider whose statistics are bound ("mpc", "aws"), or None if there is one set for all."""
        return source_of(self.spec, self.name)

    @property
    def parameters(self) -> int:
        """Number of learned parameters of the network."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    def network(self) -> TwoBackbones:
        """The network with these weights, on the CPU, in evaluation mode."""
        with torch.device("meta"):
            network = family_of(self.spec, self.name).build(self.shape, 0.0)
        network.load_state_dict(self.tensors, strict=True, assign=True)
        return network.eval().requires_grad_(False)


def source_of(spec: InputSpec, name: str) -> str | None:
    """The source whose statistics a specification has; None if the family has one set, or if they are others."""
    for source, known in family_of(spec, name).specs.items():
        if (spec.s2, spec.s1_asc, spec.s1_desc) == (known.s2, known.s1_asc, known.s1_desc):
            return source
    return None


def identity_of(tensors: Mapping[str, Tensor], spec: InputSpec) -> str:
    """SHA-256 over the tensors (by name: dtype, shape, little-endian bytes) and the specification's canonical JSON."""
    total = hashlib.sha256(json.dumps(spec.to_json(), sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        total.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        total.update(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).data)
    return total.hexdigest()


def _check_tensors(tensors: Mapping[str, Tensor], shape: Shape, family: Family, name: str) -> None:
    expected = family.shapes_of(shape)
    missing = sorted(expected.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - expected.keys())
    if missing or unknown:
        parts = [
            f"{len(keys)} {what} such as {keys[0]}"
            for what, keys in (("missing", missing), ("unknown", unknown))
            if keys
        ]
        raise InputError(f"{name}: {' and '.join(parts)}; expected the {len(expected)} tensors of {family.title}")
    for key, wanted in expected.items():
        tensor = tensors[key]
        if tuple(tensor.shape) != wanted or tensor.dtype != torch.float32:
            raise InputError(f"{name}: {key} is {tensor.dtype} {tuple(tensor.shape)}; expected float32 {wanted}")
        # the extremes propagate NaN without a copy of the tensor, which may be half a gigabyte
        low, high = torch.aminmax(tensor)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(f"{name}: {key} holds values that are not finite")
