"""The linear head: multinomial logistic regression on standardised features."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require

from .codes import NO_DATA
from .labels import MAX_CLASSES, sort_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_VARIANCE = 10.0
"""Prior variance of a logit: logits of about +-3. On 114 real raw bands it came within 0.005 macro-F1 of the best of
0.1 to 1000 at 5, 10, 20 and 50 labels a class; choosing by cross-validated log loss lost up to 0.03 at 5 and 10 labels
and gained at most 0.004 at 50."""
_CHUNK = 65536
"""Pixels predicted at a time: 32 MB of 128 float32."""


@dataclass(frozen=True)
class LinearModel:
    """A linear classifier of feature vectors.

    Attributes
    ----------
    classes : K names
    weights : (K, D) float32, on standardised features
    bias : (K,) float32
    mean, std : (D,) float32, of the features
    """

    classes: tuple[str, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.classes)
        if not 2 <= count <= MAX_CLASSES or len(set(self.classes)) != count:
            raise InputError(f"{count} classes; expected 2 to {MAX_CLASSES} of distinct names")
        shape = (count, self.mean.shape[-1] if self.mean.ndim == 1 else -1)
        for name, want in (("weights", shape), ("bias", shape[:1]), ("mean", shape[1:]), ("std", shape[1:])):
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != want or not np.isfinite(array).all():
                raise InputError(f"{name} {array.dtype} {array.shape}; expected finite float32 {want}")
        if not (self.std > 0).all():
            raise InputError("a standard deviation of 0 or less; expected above 0")

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The most probable class of each vector.

        Parameters
        ----------
        values : (..., D) float32

        Returns
        -------
        (...) uint8, an index into `classes`; 255 where a value is not finite

        Raises
        ------
        InputError
            Vectors of another length.
        """
        rows, shape = self._rows(values)
        out = np.full(len(rows), NO_DATA, dtype=np.uint8)
        for start in range(0, len(rows), _CHUNK):
            logits, good = self._logits(rows[start : start + _CHUNK])
            out[start : start + _CHUNK][good] = logits.argmax(axis=1)
        return out.reshape(shape)

    def probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class: (..., D) float32 -> (..., K) float32, NaN where a value is not finite.

        They are those of a training set in which each class weighs the same; on land where a class is rare they are
        too high for it.

        Raises
        ------
        InputError
            Vectors of another length.
        """
        rows, shape = self._rows(values)
        out = np.full((len(rows), len(self.classes)), np.nan, dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            logits, good = self._logits(rows[start : start + _CHUNK])
            grown = np.exp(logits - logits.max(axis=1, keepdims=True))
            out[start : start + _CHUNK][good] = grown / grown.sum(axis=1, keepdims=True)
        return out.reshape(*shape, len(self.classes))

    def _rows(self, values: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
        values = np.asarray(values)
        dims = len(self.mean)
        if values.ndim < 1 or values.shape[-1] != dims:
            raise InputError(f"values of shape {values.shape}; expected (..., {dims})")
        return values.reshape(-1, dims), values.shape[:-1]

    def _logits(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        good = np.isfinite(rows).all(axis=1)
        scaled = (rows[good].astype(np.float32, copy=False) - self.mean) / self.std
        logits = np.asarray(scaled @ self.weights.T + self.bias, dtype=np.float32)
        return logits, np.asarray(good, dtype=np.bool_)


def fit_linear(x: ArrayLike, y: ArrayLike, *, seed: int = 0, classes: Sequence[str] | None = None) -> LinearModel:
    """Fit multinomial logistic regression on any features: embeddings, raw bands.

    Features are standardised; each class weighs the same, because where people click says little about how much land
    a class covers. The penalty is L2 with C = 10 / D, which gives a logit the prior variance 10 whatever the number D
    of features, so that 16 and 128 dims, or raw bands, are treated alike; with many labels it ceases to matter.

    Parameters
    ----------
    x : (N, D) float, finite
    y : (N,) class names
    seed : handed to the solver; the present one draws nothing
    classes : the order of the classes, all of which must occur; None: in numerical or alphabetical order

    Raises
    ------
    InputError
        Shapes that do not match, values that are not finite, fewer than two classes, or a class without a label.
    """
    features = np.asarray(x, dtype=np.float64)
    names = np.asarray(y, dtype=object)
    if features.ndim != 2 or names.shape != (len(features),) or features.shape[1] == 0:
        raise InputError(f"features {features.shape} and classes {names.shape}; expected (N, D) and (N,)")
    broken = int((~np.isfinite(features).all(axis=1)).sum())
    if broken:
        raise InputError(f"{broken} of {len(features)} rows of features are not finite; expected finite numbers")
    found = sort_classes(names)
    order = found if classes is None else tuple(str(name) for name in classes)
    if len(found) < 2:
        raise InputError(f"labels of {len(found)} class; expected at least two")
    if sorted(order) != sorted(found):
        raise InputError(f"labels of {', '.join(found)}; expected just the classes {', '.join(order)}")
    place = {name: index for index, name in enumerate(order)}
    target = np.array([place[str(name)] for name in names], dtype=np.int64)
    mean, std = features.mean(axis=0), features.std(axis=0)
    std[~(std > 1e-12 * np.maximum(1.0, np.abs(mean)))] = 1.0
    weights, bias = _solve((features - mean) / std, target, seed)
    numbers = [np.ascontiguousarray(array, dtype=np.float32) for array in (weights, bias, mean, std)]
    return LinearModel(order, *numbers)


def _solve(x: NDArray[np.float64], y: NDArray[np.int64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K, D) and bias (K,) of the classes 0 to K - 1, each of which occurs in `y`."""
    linear: Any = require("sklearn.linear_model", extra="heads", purpose="a linear head")
    exceptions: Any = require("sklearn.exceptions", extra="heads", purpose="a linear head")
    pools: Any = require("threadpoolctl", extra="heads", purpose="a linear head")
    penalty = _VARIANCE / x.shape[1]
    model = linear.LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000, tol=1e-5, random_state=seed)
    # the products are small: on a busy machine threads that wait for each other make a fit 30 times slower
    with warnings.catch_warnings(), pools.threadpool_limits(limits=1):
        # the objective is convex and penalised: after 1000 steps the last digits do not matter
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        model.fit(x, y)
    weights, bias = model.coef_, model.intercept_
    if len(weights) > 1:
        return weights, bias
    # two classes come as one logit; halves of it with opposite signs give the same softmax
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
