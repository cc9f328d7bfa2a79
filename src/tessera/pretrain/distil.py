"""Distillation: a small network learns to predict, from its first coordinates, the whole vector of a large one.

Barlow Twins determines vectors only up to rotation, so a prefix of such a vector means nothing. Here a linear head for
each prefix maps the student's first K coordinates to the whole vector of a frozen teacher, so that the first ones hold
the most important information. The heads are discarded. The published loss is not known; this one is cosine and squared
distance.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tessera.base import InputError, silent
from tessera.models import FAMILIES

from .data import Augment
from .devices import Machine, gpus_of
from .loop import Run, check_run
from .plan import STUDENT, RunPlan, batches_of, plain, spec_of
from .pretraining import target_statistics
from .quantise import check_rounding, rounded
from .teacher_cache import teach

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tessera.base import Progress
    from tessera.models import Checkpoint, InputSpec, Shape

    from .batch import Batch
    from .views import Table

PREFIXES = (16, 32, 64, 128)
"""Prefixes of the released students."""


@dataclass(frozen=True)
class Lesson:
    """The loss of a student: the mean over prefixes of cosine * (1 - cosine similarity) + squared * mean squares.

    Attributes
    ----------
    prefixes : lengths whose prefixes become embeddings of their own; the whole vector always is one
    cosine, squared : weights; squares are of the teacher's coordinates standardised over the table
    quantise_from : step from which vectors are rounded like codes, None for never
    quantise_per : one scale a "pixel", as at inference, or a "tensor"
    """

    prefixes: tuple[int, ...] = PREFIXES
    cosine: float = 1.0
    squared: float = 1.0
    quantise_from: int | None = None
    quantise_per: str = "pixel"

    def __post_init__(self) -> None:
        weights = (self.cosine, self.squared)
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise InputError(f"weights {self.cosine} and {self.squared}; expected 0 or more, and not both 0; finite")
        check_rounding(self.quantise_from, self.quantise_per, self.prefixes)


class Said(NamedTuple):
    """The teacher's vectors of a batch.

    Attributes
    ----------
    vectors : (B, D)
    quantised : whether the student's vectors are rounded in this step
    """

    vectors: Tensor
    quantised: bool


class Pupil(nn.Module):
    """The linear heads, one a prefix; discarded after training."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, lesson: Lesson, spec: InputSpec, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.lesson, self.sizes, self.quantiser = lesson, spec.prefix_dims, spec.quantiser
        self.heads = nn.ModuleDict({str(size): nn.Linear(size, len(mean)) for size in self.sizes})
        self.register_buffer("mean", mean.clone())
        self.register_buffer("deviation", deviation.clone())

    def forward(self, vectors: Tensor, said: Said) -> dict[str, Tensor]:
        """The terms of the loss, to be summed.

        Parameters
        ----------
        vectors : (views, B, D) of the student
        """
        lesson = self.lesson
        parts: dict[str, Tensor] = {}
        wanted = (said.vectors - self.mean) / self.deviation
        for size in self.sizes:
            given = vectors[..., :size]
            if said.quantised:
                given = rounded(given, self.quantiser, lesson.quantise_per)
            standard = self.heads[str(size)](given)
            standard = standard if standard.dtype == torch.float64 else standard.float()
            if lesson.cosine:
                similar = functional.cosine_similarity(standard * self.deviation + self.mean, said.vectors, dim=-1)
                parts["cosine"] = parts.get("cosine", 0) + lesson.cosine * (1 - similar).mean() / len(self.sizes)
            if lesson.squared:
                squares = (standard - wanted).square().mean()
                parts["squared"] = parts.get("squared", 0) + lesson.squared * squares / len(self.sizes)
        return parts


@dataclass(frozen=True)
class _PupilTask:
    lesson: Lesson

    @property
    def gathers(self) -> bool:
        return False

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        s2, s1 = (
            torch.stack([torch.from_numpy(getattr(view, name)) for view in (batch.first, batch.second)])
            for name in ("s2", "s1")
        )
        return s2, s1

    def truths(self, batches: Sequence[Batch], step: int) -> Said:
        since = self.lesson.quantise_from
        vectors = np.concatenate([batch.targets for batch in batches])
        return Said(torch.from_numpy(vectors), since is not None and step >= since)


def distil(
    table: Table,
    shape: Shape,
    teacher: Checkpoint,
    *,
    steps: int,
    batch: int,
    out: str | Path,
    lesson: Lesson | None = None,
    augment: Augment | None = None,
    machine: Machine | None = None,
    cache: str | Path | None = None,
    probe: Callable[[Checkpoint], dict[str, float]] | None = None,
    progress: Progress = silent,
    teaching: Progress = silent,
    **plan: Any,
) -> Checkpoint:
    """Train a student on a frozen teacher's vectors; after an interruption the same call continues where it stopped.

    The teacher sees all observations of a pixel-year, sampled by its own rules. The student sees two views, thinned by
    `draws` and `augment`, and learns to predict the teacher's vector.

    Parameters
    ----------
    table : pixel-years, each with at least one observation
    shape : sizes of the student
    teacher : weights of any family; v1.0 draws its observations with seed 0
    steps, batch, plan : the fields of `RunPlan`
    out : the safetensors file; its stem is the name of the checkpoint; states and the log are beside it
    lesson : the loss
    augment : augmentation of the student's views
    machine : hardware
    cache : folder for the teacher's vectors; without one they are only in memory
    probe : called with the student so far; the numbers that it returns are logged
    progress, teaching : called with steps done and their total, and with pixel-years that the teacher has embedded

    Returns
    -------
    Checkpoint of the family v2-student with the lesson's prefixes

    Raises
    ------
    InputError, TesseraError
        See `pretrain`; or the cache is of another table or teacher.
    """
    lesson, machine, augment = lesson or Lesson(), machine or Machine(), augment or Augment()
    settings = RunPlan(steps, batch, **plan)
    out = check_run(out)
    spec = spec_of(STUDENT, shape, lesson.prefixes)
    about = {**asdict(shape), "lesson": plain(lesson), "augment": plain(augment), "teacher": teacher.sha256}
    fabric = machine.start()
    parts = fabric.world_size * settings.accumulate
    # checked now, before the teacher embeds the table
    batches_of(table, spec, settings, parts, augment)
    taught = teach(table, teacher, cache, device=str(fabric.device), progress=teaching)
    with torch.random.fork_rng(devices=gpus_of(fabric)):
        torch.manual_seed(settings.seed)
        student = FAMILIES[STUDENT].build(shape, settings.dropout)
        pupil = Pupil(lesson, spec, *target_statistics(taught))
        batches = batches_of(taught, spec, settings, parts, augment)
        run = Run(fabric, machine, settings, spec, shape, Path(out), student, pupil, _PupilTask(lesson))
        return run.go(batches, about, probe, progress)
