"""RunPlan: length, rate and schedule of a run, for any loss; and the input specification of its weights."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tessera.base import InputError
from tessera.models import FAMILIES

from .batches import SEED, Batches
from .views import DRAWS, span_of

if TYPE_CHECKING:
    from tessera.models import InputSpec, Shape

    from .data import Augment
    from .views import Table

LEARNING_RATE = 2e-3
WARM_UP = 0.1
DROPOUT = 0.1
"""Peak rate, share of warm-up and dropout of the released v1.0 run."""
STUDENT = "v2-student"
TRAINABLE = (STUDENT, "v2-teacher")
"""Families that can be trained here."""


def learning_rate(step: int, steps: int, peak: float = LEARNING_RATE, warm_up: float = WARM_UP) -> float:
    """Learning rate of the 0-based `step`: linear from 0 to `peak` over the share `warm_up`, then a cosine to 0."""
    rising = max(1, round(warm_up * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step + 1 - rising) / max(1, steps - rising)))


@dataclass(frozen=True)
class RunPlan:
    """Length and schedule of a run, for any loss.

    Attributes
    ----------
    steps, batch : optimiser steps; pixel-years a step over all processes and accumulated parts
    draws : observations a view and modality
    accumulate : parts a step on each process, for batches that do not fit into memory
    peak : learning rate after the warm-up
    dropout : of the encoder; twice as much in the layer that fuses the modalities
    seed : of weights, batches, views, mixtures and dropout
    save_every, log_every, probe_every : intervals in steps
    workers : processes that prefetch views; 0 for none
    skip : most steps without a finite loss that are left out before the run fails
    tensorboard : also write the log as TensorBoard events, in a folder beside the file
    """

    steps: int
    batch: int
    draws: int | tuple[int, int] = DRAWS
    accumulate: int = 1
    peak: float = LEARNING_RATE
    dropout: float = DROPOUT
    seed: int = SEED
    save_every: int = 100
    log_every: int = 10
    probe_every: int = 100
    workers: int = 0
    skip: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2:
            raise InputError(f"{self.steps} steps of {self.batch} pixel-years; expected at least 1 step of 2")
        span_of(self.draws)
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed {self.seed}; expected 0 to 2**63 - 1")
        for name in ("accumulate", "save_every", "log_every", "probe_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; expected at least 1")
        for name in ("workers", "skip"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 or more")
        if not 0 <= self.dropout < 0.5 or not 0 < self.peak < math.inf:
            raise InputError(
                f"dropout {self.dropout}, peak {self.peak}; expected 0 to below 0.5, and a finite rate above 0"
            )

    def identity(self) -> dict[str, Any]:
        """The settings that affect the weights."""
        given = asdict(self) | {"draws": list(self.draws) if isinstance(self.draws, tuple) else self.draws}
        quiet = ("accumulate", "save_every", "log_every", "probe_every", "workers", "tensorboard")
        return {key: value for key, value in given.items() if key not in quiet}


def spec_of(family: str, shape: Shape, prefixes: tuple[int, ...]) -> InputSpec:
    """The input specification of the weights of a run: the rules of its family, and its own sizes.

    Raises
    ------
    InputError
        The family cannot be trained here, or a prefix is longer than the vector.
    """
    if family not in TRAINABLE:
        raise InputError(f"family {family!r}; expected {' or '.join(TRAINABLE)}")
    sizes = tuple(sorted({*prefixes, shape.repr_dim}))
    return replace(FAMILIES[family].specs[None], dims=shape.repr_dim, prefix_dims=sizes)


def batches_of(table: Table, spec: InputSpec, plan: RunPlan, parts: int, augment: Augment) -> Batches:
    """The batches of a plan.

    Raises
    ------
    InputError
        See `Batches`; or parts have one pixel-year, for which correlations and ranks are undefined.
    """
    if plan.batch < 2 * parts:
        raise InputError(f"a batch of {plan.batch} in {parts} parts; expected at least 2 pixel-years a part")
    return Batches(table, spec, batch=plan.batch, parts=parts, draws=plan.draws, seed=plan.seed, augment=augment)


def plain(settings: Any) -> dict[str, Any]:
    """Settings as plain values."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return value
