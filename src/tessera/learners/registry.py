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
from tessera.labels import NUMBERS

from ._prototype import fit_prototype
from .boosting import SETTINGS as BOOSTING
from .boosting import BoostingModel, fit_boosting
from .forest import SETTINGS as FOREST
from .forest import ForestModel, fit_forest
from .knn import SETTINGS as KNN
from .knn import fit_knn, read_knn
from .linear import SETTINGS as LINEAR
from .linear import fit_linear, read_linear
from .mlp import SETTINGS as MLP
from .mlp import MlpModel, fit_mlp
from .settings import Setting, grid_of, parse_own
from .training import EVEN, WEIGHTS, Training
from .unet import SETTINGS as UNET
from .unet import UnetModel, fit_unet

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
    settings : the learner's own settings, by name
    numbers : whether it learns numbers as well as classes
    """

    fit: Callable[[Training], Model]
    read: Callable[[Mapping[str, NDArray[Any]], int], Model]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    numbers: bool = True

    @property
    def defaults(self) -> dict[str, float | str]:
        """The learner's own value of every setting."""
        return {name: setting.default for name, setting in self.settings.items()}

    def grid(self, classes: int) -> tuple[dict[str, float | str], ...]:
        """What a search tries: of classes, or of numbers where `classes` is 0."""
        return grid_of(self.settings, classes)


HEADS: dict[str, Learner] = {
    "linear": Learner(fit_linear, read_linear, LINEAR),
    "prototype": Learner(fit_prototype, read_linear, numbers=False),
    "knn": Learner(fit_knn, read_knn, KNN),
    "forest": Learner(fit_forest, ForestModel.from_arrays, FOREST),
    "boosting": Learner(fit_boosting, BoostingModel.from_arrays, BOOSTING),
    "mlp": Learner(fit_mlp, MlpModel.from_arrays, MLP),
}
"""Heads that look at single pixels."""
SPATIAL: dict[str, Learner] = {"unet": Learner(fit_unet, UnetModel.from_arrays, UNET)}
"""Heads that look at the pixels around, too: they learn from `labels.ChipVectors`."""
LEARNERS: dict[str, Learner] = {**HEADS, **SPATIAL}
"""All heads."""


def parse_heads(given: str | Iterable[str], kind: str | None = None) -> tuple[str, ...]:
    """Names of heads, each once.

    Parameters
    ----------
    given : names, in a list or with commas
    kind : the kind of labels that they have to learn, `tessera.labels.KINDS`; None: any

    Raises
    ------
    InputError
        There is no such head, none was given, or one does not learn this kind of labels.
    """
    names = [part.strip() for part in given.split(",")] if isinstance(given, str) else list(given)
    for name in names:
        if name in tuple(SPATIAL):
            raise InputError(
                f"head {name!r} looks at the pixels around a label; expected heads of single pixels: {', '.join(HEADS)}"
            )
        if name not in tuple(HEADS):
            raise InputError(f"head {name!r}; expected some of {', '.join(HEADS)}")
        if kind == NUMBERS:
            refuse_numbers(name)
    if not names:
        raise InputError(f"no heads; expected some of {', '.join(HEADS)}")
    return tuple(dict.fromkeys(names))


def refuse_numbers(head: str) -> None:
    """Refuse a head that learns classes alone.

    Raises
    ------
    InputError
        It is one.
    """
    if not LEARNERS[head].numbers:
        others = ", ".join(name for name, learner in LEARNERS.items() if learner.numbers)
        raise InputError(f"head {head!r} learns classes, and the labels are numbers; expected one of {others}")


def parse_settings(head: str, given: Mapping[str, Any] | str | None) -> dict[str, float | str]:
    """Some of a head's own settings: a mapping, or a text such as "neighbours=7,vote=distance".

    Raises
    ------
    InputError
        The head has no such setting, one is given twice, or a value is outside its limits.
    """
    if head not in LEARNERS:
        raise InputError(f"head {shown(head)}; expected one of {', '.join(LEARNERS)}")
    return parse_own(head, LEARNERS[head].settings, given)


def settings_by_head(heads: Iterable[str], given: Mapping[str, Any] | None) -> dict[str, dict[str, float | str]]:
    """The settings of each of several heads: a setting goes to all heads that have one of its name.

    Raises
    ------
    InputError
        None of the heads has such a setting, or a value is outside its limits.
    """
    names = tuple(heads)
    known = {name: LEARNERS[name].settings for name in names}
    for setting in given or {}:
        if not any(setting in own for own in known.values()):
            have = "; ".join(f"{name}: {', '.join(own) or 'none'}" for name, own in known.items())
            raise InputError(
                f"setting {shown(setting)} of heads {', '.join(names)}; expected one that they have: {have}"
            )
    return {
        name: parse_settings(name, {key: value for key, value in (given or {}).items() if key in own})
        for name, own in known.items()
    }


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
    settings: Mapping[str, Any] | str | None = None,
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
    settings : some of the learner's own settings, by name; the others keep their defaults
    weights : "even": all classes weigh the same; "occur": all labels do
    groups : (N,) labels of one group are never split by a learner that holds some out to stop early

    Raises
    ------
    InputError
        No such head or setting, shapes that do not match, or values that are not finite.
    """
    if head not in LEARNERS:
        raise InputError(f"head {shown(head)}; expected some of {', '.join(LEARNERS)}")
    if not classes:
        refuse_numbers(head)
    if weights not in WEIGHTS:
        raise InputError(f"weights {shown(weights)}; expected {' or '.join(WEIGHTS)}")
    chosen = LEARNERS[head].defaults | parse_settings(head, settings)
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
    training = Training(features, y, classes, seed, weights, chosen, groups, codes)
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
    settings: Mapping[str, Any] | str | None = None,
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
