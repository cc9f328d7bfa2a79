"""The loss of pretraining, as one network of projectors and heads on the encoder's vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from tessera.base import InputError

from .losses import OFF_DIAGONAL, barlow_twins, mix_term, regression, vicreg, whiten
from .projector import LAYERS, Projector
from .quantise import check_rounding, rounded
from .ranks import ALONE

if TYPE_CHECKING:
    from tessera.models import InputSpec

    from .ranks import Ranks

LOSSES = ("barlow", "vicreg")
RECALLED = 16
"""Medians of ten bands, means of VV and VH, and of the cosines and sines of once and twice the day."""
FAR = 5.0
"""Standard deviations to which truths are clipped; otherwise rare large heights would dominate."""


@dataclass(frozen=True)
class Objective:
    """The loss: weight * (loss of two views + mix term) + targets_weight * regression.

    Attributes
    ----------
    loss : one of `LOSSES`
    weight : of that loss and its mix term; 0 leaves only the regression
    mix : weight of the mix term as a multiple of the published one; 0 leaves it out, which saves one pass in three
    off_diagonal : weight of off-diagonal correlations, and of the mix term
    gather : compute correlations, whitening and batch normalisation over all processes and accumulated parts; the
        published run computed them on each process separately
    width, layers : of the projector; each prefix has one
    prefixes : also minimise the loss for these prefixes of the vector, which then become embeddings of their own
    targets_weight : of the Huber loss with which a head predicts the table's targets from the vectors of both views
    targets_hidden : width of that head's hidden layer; 0 for a linear head
    recall_weight : of the Huber loss with which a linear head predicts `RECALLED` numbers of a view from its vector
    quantise_from : step from which vectors are rounded like codes, None for never
    quantise_per : one scale a "pixel", as at inference, or a "tensor", as the published run had
    """

    loss: str = "barlow"
    weight: float = 1.0
    mix: float = 1.0
    off_diagonal: float = OFF_DIAGONAL
    gather: bool = False
    width: int = 512
    layers: int = LAYERS
    prefixes: tuple[int, ...] = ()
    targets_weight: float = 0.0
    targets_hidden: int = 0
    recall_weight: float = 0.0
    quantise_from: int | None = None
    quantise_per: str = "pixel"

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"loss {self.loss!r}; expected {' or '.join(LOSSES)}")
        check_rounding(self.quantise_from, self.quantise_per, self.prefixes)
        for name in ("weight", "mix", "off_diagonal", "targets_weight", "targets_hidden", "recall_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}; expected 0 or more, and finite")
        if self.weight == self.targets_weight == self.recall_weight == 0:
            raise InputError("weight, targets_weight and recall_weight are 0; expected something to minimise")
        if self.targets_hidden and not self.targets_weight:
            raise InputError(f"targets_hidden {self.targets_hidden} without targets_weight; expected both, or neither")
        if self.width < 1 or self.layers < 1:
            raise InputError(f"a projector of {self.layers} layers, {self.width} wide; expected at least 1")

    @property
    def mixes(self) -> bool:
        """Whether a third, mixed view is encoded."""
        return self.weight > 0 and self.mix > 0


class Truths(NamedTuple):
    """Input of the objective for a batch besides the vectors.

    Attributes
    ----------
    targets : (B, K), NaN = unknown
    alpha : share of the first view in the mixed one
    order : (B,) int64, rows of the second view that were mixed in
    quantised : whether vectors are rounded in this step
    recall : (2, B, RECALLED), summary of each view, NaN = nothing observed
    """

    targets: Tensor
    alpha: float
    order: Tensor
    quantised: bool
    recall: Tensor


class Twins(nn.Module):
    """Projectors and heads, one of each for every prefix; discarded after training.

    Parameters
    ----------
    objective : the loss
    spec : its `prefix_dims` are the prefixes, including the whole vector; its quantiser rounds
    targets : number of targets
    ranks : processes over which statistics are computed
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, objective: Objective, spec: InputSpec, targets: int, ranks: Ranks = ALONE) -> None:
        super().__init__()
        self.objective, self.ranks, self.quantiser = objective, ranks, spec.quantiser
        self.sizes = spec.prefix_dims
        self.projectors, self.heads, self.recallers = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for size in self.sizes:
            if objective.weight:
                self.projectors[str(size)] = Projector(size, objective.width, objective.layers, ranks)
            if objective.targets_weight:
                self.heads[str(size)] = head(size, objective.targets_hidden, targets)
            if objective.recall_weight:
                self.recallers[str(size)] = nn.Linear(size, RECALLED)
        self.register_buffer("mean", torch.zeros(targets))
        self.register_buffer("deviation", torch.ones(targets))

    def forward(self, vectors: Tensor, truths: Truths) -> dict[str, Tensor]:
        """The terms of the loss, to be summed.

        Parameters
        ----------
        vectors : (views, B, D), of the first, the second, and if `mixes` the mixed view
        """
        objective = self.objective
        parts: dict[str, Tensor] = {}
        for size in self.sizes:
            given = vectors[..., :size]
            if truths.quantised:
                given = rounded(given, self.quantiser, objective.quantise_per, self.ranks)
            found: dict[str, Tensor] = {}
            if objective.weight:
                found |= self._twins(self.projectors[str(size)](given), truths)
            if objective.targets_weight:
                wanted = ((truths.targets - self.mean) / self.deviation).clamp(-FAR, FAR)
                predicted = _wide(self.heads[str(size)](given[:2]))
                huber = regression(predicted, wanted.expand_as(predicted), self.ranks)
                found["targets"] = objective.targets_weight * huber
            if objective.recall_weight:
                recalled = regression(_wide(self.recallers[str(size)](given[:2])), truths.recall, self.ranks)
                found["recall"] = objective.recall_weight * recalled
            for name, value in found.items():
                parts[name] = parts.get(name, 0.0) + value / len(self.sizes)
        return parts

    def _twins(self, projected: Tensor, truths: Truths) -> dict[str, Tensor]:
        objective, ranks = self.objective, self.ranks
        # sums of thousands of squares: never in half precision
        with torch.autocast(projected.device.type, enabled=False):
            z = _wide(projected)
            white = whiten(z, ranks) if objective.loss == "barlow" or objective.mixes else z
            if objective.loss == "barlow":
                parts = {"barlow_twins": barlow_twins(white[0], white[1], objective.off_diagonal, ranks)}
            else:
                parts = {"vicreg": vicreg(z[0], z[1], ranks=ranks)}
            if objective.mixes:
                parts["mix"] = objective.mix * mix_term(
                    white[2], white[0], white[1], truths.alpha, truths.order, objective.off_diagonal, ranks
                )
        return {name: objective.weight * value for name, value in parts.items()}


def head(inputs: int, hidden: int, outputs: int) -> nn.Module:
    """A linear layer, or two with a ReLU between where `hidden` is above 0."""
    if not hidden:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
