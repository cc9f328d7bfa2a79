"""The heads of an evaluation: features and labels in, a function from features to predictions out.

Every head standardises by its training labels, has settings of its own and looks at no test label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require
from tessera.heads import fit_linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Predictor = Callable[[Array], Array]
    """(N, D) to (N, K) probabilities, or to (N,) numbers."""
    Head = Callable[[Array, NDArray[Any], int, int], Predictor]
    """(features, target, classes or 0 of a regression, seed)."""

NEIGHBOURS = 5
"""At most; with few labels the largest odd number up to their root, so that a class of two is not outvoted."""
TREES = 100
_ALPHAS = np.logspace(-4, 4, 33)
"""Ridge penalties per feature, relative to the noise; the data's own likelihood chooses one."""


def standard(x: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each feature; 1 where it does not vary."""
    mean, std = x.mean(axis=0), x.std(axis=0)
    std[~(std > 1e-12 * np.maximum(1.0, np.abs(mean)))] = 1.0
    return mean, std


def linear(x: Array, y: NDArray[Any], classes: int, seed: int) -> Predictor:
    """Logistic regression with classes weighing the same, as of `tessera.heads.fit_linear`; ridge of a number.

    The penalty of the ridge is the one under which the training labels are likeliest (type-II maximum likelihood): no
    label is held out for it.
    """
    if classes:
        model = fit_linear(x, y.astype(str), seed=seed, classes=sorted({str(v) for v in y.tolist()}, key=int))
        columns = np.array([int(name) for name in model.classes])

        def probabilities(new: Array) -> Array:
            out = np.zeros((len(new), classes))
            out[:, columns] = model.probabilities(new.astype(np.float32))
            return out

        return probabilities
    mean, std = standard(x)
    centre = float(y.mean())
    weights = _ridge((x - mean) / std, y - centre)
    return lambda new: ((new - mean) / std) @ weights + centre


def _ridge(x: Array, y: Array) -> Array:
    """(D,) weights under the likeliest penalty."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along, count = u.T @ y, len(y)
    rest = max(0.0, float(y @ y - along @ along))
    best, chosen = -np.inf, float(_ALPHAS[-1]) * x.shape[1]
    for alpha in _ALPHAS * x.shape[1]:
        # the labels' covariance over the noise: I + X X' / alpha
        scale = 1 + s**2 / alpha
        noise = (float((along**2 / scale).sum()) + rest) / count
        likelihood = -count * np.log(max(noise, 1e-300)) - float(np.log(scale).sum())
        if likelihood > best:
            best, chosen = likelihood, alpha
    out: Array = vt.T @ (s / (s**2 + chosen) * along)
    return out


def knn(x: Array, y: NDArray[Any], classes: int, seed: int) -> Predictor:  # noqa: ARG001 - one shape for all heads
    """The nearest by Euclid on standardised features, all of one weight: 1 below 9 labels, 3 below 25, else 5."""
    mean, std = standard(x)
    own = (x - mean) / std
    near = min(NEIGHBOURS, (int(len(own) ** 0.5) + 1) // 2 * 2 - 1)

    def predict(new: Array) -> Array:
        found = []
        for part in np.array_split((new - mean) / std, max(1, -(-len(new) // 1024))):
            # less the new one's own square, which orders nothing
            distance = (own**2).sum(axis=1) - 2 * part @ own.T
            found.append(np.argsort(distance, axis=1, kind="stable")[:, :near])
        index = np.concatenate(found)
        if not classes:
            numbers: Array = y[index].mean(axis=1)
            return numbers
        votes: Array = np.stack([(y[index] == k).mean(axis=1) for k in range(classes)], axis=1)
        return votes

    return predict


def forest(x: Array, y: NDArray[Any], classes: int, seed: int) -> Predictor:
    """100 trees; of a number a third of the features at each split, of classes the root, classes weighing the same."""
    ensemble: Any = require("sklearn.ensemble", extra="heads", purpose="a forest")
    if not classes:
        model = ensemble.RandomForestRegressor(TREES, max_features=1 / 3, random_state=seed, n_jobs=1).fit(x, y)
        return lambda new: np.asarray(model.predict(new), dtype=np.float64)
    model = ensemble.RandomForestClassifier(TREES, class_weight="balanced", random_state=seed, n_jobs=1).fit(x, y)

    def probabilities(new: Array) -> Array:
        out = np.zeros((len(new), classes))
        out[:, model.classes_.astype(int)] = model.predict_proba(new)
        return out

    return probabilities


def mlp(x: Array, y: NDArray[Any], classes: int, seed: int) -> Predictor:
    """Layers of 512 and 256 with batch norm, ReLU and dropout, stopped early on a part of the training labels."""
    require("torch", extra="models", purpose="an MLP head")
    from ._mlp import fit_mlp

    return fit_mlp(x, y, classes, seed)


HEADS: dict[str, Head] = {"linear": linear, "knn": knn, "mlp": mlp, "forest": forest}


def parse_heads(given: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Names of heads, each once.

    Raises
    ------
    InputError
        There is no such head, or none was given.
    """
    names = [part.strip() for part in given.split(",")] if isinstance(given, str) else list(given)
    for name in names:
        if name not in HEADS:
            raise InputError(f"head {name!r}; expected some of {', '.join(HEADS)}")
    if not names:
        raise InputError(f"no heads; expected some of {', '.join(HEADS)}")
    return tuple(dict.fromkeys(names))
