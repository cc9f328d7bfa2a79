"""Predictions of labels by heads that had not met them, as points of a vector file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.geo import check_vector, write_vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.labels import Labels
    from tessera.validation import OutOfFold

KIND = "predictions"


def check_out_of_fold(path: str | Path, *, inputs: Iterable[object] = (), overwrite: bool = False) -> Path:
    """Check the path of a file of predictions before a head is fitted; an earlier one may be replaced.

    Raises
    ------
    InputError
        See `tessera.geo.check_vector`.
    """
    return check_vector(path, KIND, inputs=inputs, overwrite=overwrite)


def write_out_of_fold(path: Path, found: OutOfFold, labels: Labels, classes: Sequence[str]) -> None:
    """Write a point for each label that was tested: truth, predicted, probability (of classes), fold, unit
    and the name of the group.

    Parameters
    ----------
    path : that `check_out_of_fold` has checked
    found : predictions of some of the labels; its probabilities are written as the learner gave them
    labels : with places
    classes : K names; () of numbers
    """
    import shapely

    columns: dict[str, NDArray[Any]] = {"truth": found.truth, "predicted": found.raw}
    if classes:
        names, said = np.array(classes, dtype=object), found.raw.argmax(axis=1)
        columns = {"truth": names[found.truth], "predicted": names[said], "probability": found.raw.max(axis=1)}
    columns |= {"fold": found.fold + 1, "unit": found.unit}
    if labels.groups is not None:
        groups, member = np.unique(labels.groups[found.rows], return_inverse=True)
        called = [labels.group_name(group) for group in groups.tolist()]
        columns["group"] = np.array(called, dtype=object)[member.reshape(-1)]
    assert labels.lonlat is not None  # noqa: S101 - labels of a store have places
    points = np.asarray(shapely.points(labels.lonlat[found.rows]), dtype=object)
    write_vector(path, points, columns, kind=KIND, notes={"source": labels.source})
