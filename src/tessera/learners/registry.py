"""The registry of learners: what `tessera fit`, `tessera evaluate` and the probe of a training know by name."""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require, shown
from tessera.embeddings import StackedVectors

from .forest import ForestModel, fit_forest
from .knn import fit_knn, read_knn
from .linear import fit_linear, read_linear
from .mlp import MlpModel, fit_mlp
from .training import EVEN, WEIGHTS, Training
from .unet import SETTINGS, UnetModel, fit_unet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from .model import Model


@dataclass(frozen=True)
class Learner:
    """How a head learns, and how it comes back from a file.

    Attributes
    ----------
    fit : features, labels and settings -> the model that they give
    read : arrays by name, K -> the model that gave them
    settings : the learner's own settings, by name, with their defaults
    grid : values of some settings that a search tries
    """

    fit: Callable[[Training], Model]
    read: Callable[[Mapping[str, NDArray[Any]], int], Model]
    settings: Mapping[str, Any] = field(default_factory=dict)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


HEADS: dict[str, Learner] = {
    "linear": Learner(fit_linear, read_linear),
    "knn": Learner(fit_knn, read_knn, {"neighbours": 0}),
    "mlp": Learner(fit_mlp, MlpModel.from_arrays),
    "forest": Learner(fit_forest, ForestModel.from_arrays),
}
"""Heads that look at single pixels."""
SPATIAL: dict[str, Learner] = {"unet": Learner(fit_unet, UnetModel.from_arrays, SETTINGS)}
"""Heads that look at the pixels around, too: they learn from `labels.ChipVectors`."""
LEARNERS: dict[str, Learner] = {**HEADS, **SPATIAL}
"""All heads."""


def parse_heads(given: str | Iterable[str]) -> tuple[str, ...]:
    """Names of heads, each once.

    Raises
    ------
    InputError
        There is no such head, or none was given.
    """
    names = [part.strip() for part in given.split(",")] if isinstance(given, str) else list(given)
    for name in names:
        if name not in tuple(HEADS):
            raise InputError(f"head {name!r}; expected some of {', '.join(HEADS)}")
    if not names:
        raise InputError(f"no heads; expected some of {', '.join(HEADS)}")
    return tuple(dict.fromkeys(names))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Learn without threads, which cost more than they bring to small products, and without what scikit-learn warns of.

    Those are few labels a class, and steps that end before the last digits of a penalised, convex objective.
    """
    pools: Any = require("threadpoolctl", extra="heads", purpose="fitting a head")
    torch: Any = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    try:
        with pools.threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        # torch would keep the one thread of the limit around it
        if torch:
            torch.set_num_threads(threads)


def learn(
    head: str,
    x: NDArray[Any] | StackedVectors,
    y: NDArray[Any],
    classes: int,
    seed: int = 0,
    *,
    settings: Mapping[str, Any] | None = None,
    weights: str = EVEN,
    groups: NDArray[Any] | None = None,
) -> Model:
    """Fit a learner.

    Parameters
    ----------
    head : a name in `LEARNERS`
    x : (N, D) float, finite; or N valid vectors as a store keeps them, of which some learners make a model that is
        exact on codes
    y : (N,) int64, 0 to `classes` - 1, each of which occurs; or float64 numbers
    classes : how many; 0 of a number
    seed : of whatever the learner draws
    settings : some of the learner's own settings, by name
    weights : "even": all classes weigh the same; "occur": all labels do
    groups : (N,) labels of one group are never split by a learner that holds some out to stop early

    Raises
    ------
    InputError
        No such head or setting, shapes that do not match, or values that are not finite.
    """
    if head not in LEARNERS:
        raise InputError(f"head {shown(head)}; expected some of {', '.join(LEARNERS)}")
    if weights not in WEIGHTS:
        raise InputError(f"weights {shown(weights)}; expected {' or '.join(WEIGHTS)}")
    own = LEARNERS[head].settings
    strange = sorted(set(settings or ()) - set(own))
    if strange:
        raise InputError(f"setting {shown(strange[0])} of head {head}; expected some of {', '.join(own) or 'none'}")
    codes = x if isinstance(x, StackedVectors) else None
    features = np.asarray(x if codes is None else codes.values(), dtype=np.float64)
    if features.ndim != 2 or y.shape != (len(features),) or 0 in features.shape:
        raise InputError(f"features {features.shape} and labels {y.shape}; expected (N, D) and (N,)")
    broken = int((~np.isfinite(features).all(axis=1)).sum())
    if broken:
        raise InputError(f"{broken} of {len(features)} rows of features are not finite; expected finite numbers")
    met = len(np.unique(y)) if classes else 0
    if classes and (met < 2 or met != classes or y.min() != 0 or y.max() != classes - 1):
        raise InputError(f"labels of {met} classes; expected each of {max(2, classes)}")
    if groups is not None and groups.shape != y.shape:
        raise InputError(f"groups {groups.shape} of labels {y.shape}; expected one a label")
    training = Training(features, y, classes, seed, weights, {**own, **(settings or {})}, groups, codes)
    with _one_thread():
        return LEARNERS[head].fit(training)


def learn_and_score(
    head: str,
    x: NDArray[Any] | StackedVectors,
    y: NDArray[Any],
    classes: int,
    seed: int,
    new: NDArray[Any] | StackedVectors,
    *,
    settings: Mapping[str, Any] | None = None,
    weights: str = EVEN,
    groups: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Fit on some labels and predict others.

    Parameters
    ----------
    head, x, y, classes, seed, settings, weights, groups : as of `learn`, but a class may be missing in `y`
    new : (M, D) float, finite; or M valid vectors as a store keeps them

    Returns
    -------
    (M, K) float64 probabilities, 0 for a class that was never met; or (M,) numbers
    """
    met, index = np.unique(y, return_inverse=True) if classes else (np.zeros(0, np.int64), y)
    out = np.zeros((len(new), classes or 1))
    if len(met) == 1:
        out[:, met] = 1.0
        return out
    model = learn(head, x, index.reshape(-1), len(met), seed, settings=settings, weights=weights, groups=groups)
    with _one_thread():
        if isinstance(new, StackedVectors):
            scores = model.scores_of(new)
        else:
            scores = model.scores(np.asarray(new, dtype=np.float32))
    if not classes:
        return np.asarray(scores, dtype=np.float64)
    out[:, met] = model.chances(scores)
    return out
