"""Pretraining: two views of a pixel's year get similar vectors, unlike those of others, and predict known targets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tessera.base import InputError, silent
from tessera.models import FAMILIES

from .data import Augment
from .devices import Machine, gpus_of
from .loop import Run, check_run
from .objective import Objective, Truths, Twins
from .plan import STUDENT, RunPlan, batches_of, plain, spec_of
from .ranks import Ranks
from .views import recall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from tessera.base import Progress
    from tessera.models import Checkpoint, Shape

    from .batch import Batch
    from .views import Table


@dataclass(frozen=True)
class _TwinTask:
    objective: Objective

    @property
    def gathers(self) -> bool:
        return self.objective.gather

    def tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        views = []
        for name in ("s2", "s1"):
            first, second = (torch.from_numpy(getattr(view, name)) for view in (batch.first, batch.second))
            seen = [first, second]
            if self.objective.mixes:
                seen.append(batch.alpha * first + (1 - batch.alpha) * second[torch.from_numpy(batch.order)])
            views.append(torch.stack(seen))
        return views[0], views[1]

    def truths(self, batches: Sequence[Batch], step: int) -> Truths:
        since = self.objective.quantise_from
        size = len(batches[0].order)
        return Truths(
            torch.from_numpy(np.concatenate([batch.targets for batch in batches])),
            batches[0].alpha,
            torch.from_numpy(np.concatenate([batch.order + i * size for i, batch in enumerate(batches)])),
            since is not None and step >= since,
            torch.from_numpy(self._recalls(batches)),
        )

    def _recalls(self, batches: Sequence[Batch]) -> NDArray[np.float32]:
        if not self.objective.recall_weight:
            return np.empty((2, 0, 0), dtype=np.float32)
        views = [[recall(view) for view in (batch.first, batch.second)] for batch in batches]
        return np.concatenate([np.stack(pair) for pair in views], axis=1)


def pretrain(
    table: Table,
    shape: Shape,
    *,
    steps: int,
    batch: int,
    out: str | Path,
    objective: Objective | None = None,
    augment: Augment | None = None,
    machine: Machine | None = None,
    family: str = STUDENT,
    probe: Callable[[Checkpoint], dict[str, float]] | None = None,
    progress: Progress = silent,
    **plan: Any,
) -> Checkpoint:
    """Train an encoder from pixel-years without labels; after an interruption the same call continues where it stopped.

    Beside `out` it writes `<out>.state` and `<out>.state.before`, the last two full states, and `<out>.json`, the log.
    On one machine with a fixed number of threads the weights depend only on the arguments, however often the run was
    interrupted. Under torchrun, all processes call it with the same arguments.

    Parameters
    ----------
    table : pixel-years, each with at least one observation
    shape : sizes of the encoder
    steps, batch, plan : the fields of `RunPlan`; `width` is also taken, as that of `objective`
    out : the safetensors file; its stem is the name of the checkpoint
    objective : the loss; by default the published Barlow Twins loss with its mix term
    augment : augmentation of views; by default the published rule
    machine : hardware
    family : one of `TRAINABLE`
    probe : called with the encoder so far; the numbers that it returns are logged, since the loss does not predict
        downstream quality
    progress : called with steps done and their total

    Returns
    -------
    Checkpoint whose prefix_dims are those of the objective; a loss without prefixes gives none

    Raises
    ------
    InputError
        There are too few pixel-years, the seed is negative, or the state at `out` is of a run with other settings or
        other data.
    TesseraError
        The loss is not finite, the vectors have collapsed, a state cannot be written, or another process has ended.
    """
    objective, machine, augment = objective or Objective(), machine or Machine(), augment or Augment()
    if "width" in plan:
        objective = replace(objective, width=plan.pop("width"))
    settings = RunPlan(steps, batch, **plan)
    out = check_run(out)
    spec = spec_of(family, shape, objective.prefixes)
    about = {**asdict(shape), "family": family, "objective": plain(objective), "augment": plain(augment)}
    fabric = machine.start()
    parts = fabric.world_size * settings.accumulate
    ranks = Ranks(fabric.world_size if objective.gather else 1)
    with torch.random.fork_rng(devices=gpus_of(fabric)):
        torch.manual_seed(settings.seed)
        encoder = FAMILIES[family].build(shape, settings.dropout)
        batches = batches_of(table, spec, settings, parts, augment)
        truths = batches.part(0, 0).targets.shape[1]
        if objective.targets_weight and not truths:
            raise InputError(f"targets_weight {objective.targets_weight}, and the pixel-years have no targets")
        twins = Twins(objective, spec, truths, ranks)
        if objective.targets_weight:
            mean, deviation = target_statistics(table)
            twins.mean.copy_(mean)
            twins.deviation.copy_(deviation)
        run = Run(fabric, machine, settings, spec, shape, Path(out), encoder, twins, _TwinTask(objective))
        return run.go(batches, about, probe, progress)


def target_statistics(table: Table, most: int = 65_536) -> tuple[Tensor, Tensor]:
    """Mean and deviation (K,) of each target over evenly spaced pixel-years; 0 and 1 for a target never known."""
    chosen = np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).astype(np.int64))
    parts = np.array_split(chosen, -(-len(chosen) // 4096))
    known = np.concatenate([table.take(part).targets for part in parts]).astype(np.float64)
    seen = ~np.isnan(known)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, known, 0).sum(axis=0) / count
    deviation = np.sqrt((np.where(seen, known - mean, 0) ** 2).sum(axis=0) / count)
    deviation[deviation < 1e-9] = 1
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()
