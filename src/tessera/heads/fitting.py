"""From labels to a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, checked, shown
from tessera.embeddings import StackedVectors
from tessera.figures import choose_colours
from tessera.labels import (
    CLASSES,
    FEW_LABELS,
    SPLITS,
    HeldOut,
    Labels,
    class_text,
    hold_out,
    parse_kind,
    parse_year,
    read_chips,
    read_labels,
    sample_labels,
    sort_classes,
)
from tessera.learners import LEARNERS, SPATIAL, learn
from tessera.maps import edges_of, ramp
from tessera.validation import cross_validate

from .head import Head
from .inputs import HeadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tessera.labels import EmbeddingSource

_LEAST = 4
"""Numbers that a regression learns from, at least."""


@checked
def fit(
    store: EmbeddingSource,
    labels: object,
    column: str,
    head: str = "linear",
    split: str = "spatial",
    *,
    kind: str | None = None,
    block_km: float | None = None,
    year: int | None = None,
    dims: int | None = None,
    seed: int = 0,
    colours: Mapping[str, str] | None = None,
) -> Head:
    """Learn classes or numbers from labelled places.

    The head learns from all labels. Its report is a cross-validation in five folds.

    Parameters
    ----------
    store : embeddings: a `Store`, or anything with its `sample_points`
    labels : the path of a vector file or table with points or polygons, a GeoDataFrame, GeoJSON, or `Labels`
    column : the attribute that holds the class or the number
    head : "linear" (logistic regression, or ridge regression of numbers, on standardised vectors), "knn", "forest",
        "mlp", or "unet", which looks at the pixels around a label, too
    split : how labels are held out: "spatial" keeps labels of one block of land and of one polygon in the same fold,
        "group" those of one polygon, "given" tests the labels that `Labels.test` marks. "random" keeps nothing
        together, and the report says that it flatters
    kind : "classification" or "regression"; decided from the labels if None
    block_km : side of a block of "spatial", kilometres; 10 km if None, less where the labels lie in fewer than 60
        blocks
    year : the year whose embeddings to learn from; the store's only year if None
    dims : length of the prefix to learn from; all if None
    seed : deals labels to folds, and seeds the head; the same arguments give the same head
    colours : class -> "#rrggbb", for some or all classes

    Returns
    -------
    A `Head`, with its report.

    Raises
    ------
    InputError
        There is no such head, split, kind, year or column; the labels cannot be read; nothing can be learnt from them
        (fewer than two classes with two labels each, or fewer than four numbers, where there is data); or a colour
        names no class.

    Examples
    --------
    >>> import tessera
    >>> store = tessera.open_store("store.zarr")
    >>> head = tessera.fit(store, "labels.geojson", "class")
    >>> head.classes
    ('crop', 'forest', 'other')
    >>> forest = tessera.fit(store, "labels.geojson", "class", head="forest", block_km=0.32)
    >>> forest.head
    'forest'
    """
    if head not in LEARNERS:
        raise InputError(f"head {head!r}; expected one of {', '.join(LEARNERS)}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {shown(seed)}; expected 0 to 2**32 - 1")
    if split not in SPLITS:
        raise InputError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    year = parse_year(store, year)
    places = labels if isinstance(labels, Labels) else read_labels(labels, column, kind)
    if places.column != column:
        raise InputError(f"labels of column {places.column!r} were given for column {column!r}")
    if parse_kind(kind) not in (None, places.kind):
        raise InputError(f"kind {kind!r} for labels of a {places.kind}; leave kind out, or read them anew")
    if places.lonlat is None:
        raise InputError(f"{places.source} has no places; expected lon and lat to look up in a store")
    values = sample_labels(
        lambda lonlat: store.sample_points(lonlat, year, dims=dims), places.lonlat, year, places.source
    )
    good: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    label = places.values[good]
    x: Any = np.ascontiguousarray(values[good], dtype=np.float32)
    if head in SPATIAL:
        x = read_chips([(store, year, dims)], places.lonlat[good])
    classes = sort_classes(label) if places.kind == CLASSES else ()
    lost = [name for name in places.classes if name not in classes]
    span = None if classes else (float(label.min()), float(label.max()))
    target = _target(label, classes, places, year)
    if span is None:
        given = {class_text(str(name)): colour for name, colour in (colours or {}).items()}
        chosen = choose_colours(classes, {name: c for name, c in given.items() if name not in lost})
    elif colours:
        raise InputError(f"colours for column {shown(column)}, which holds numbers; leave them out")
    else:
        chosen = ramp(len(edges_of(*span)) + 1)
    held = hold_out(places, good, split, block_km)
    vectors = StackedVectors.of(store.sample_codes(places.lonlat[good], year, dims=dims))
    learnt = learn(head, vectors, target, len(classes), seed)
    own = np.arange(len(places), dtype=np.int64) if places.groups is None else places.groups
    together = held if held.split == "spatial" else hold_out(places, good, "spatial", block_km)
    metrics = cross_validate(
        head,
        x,
        target,
        classes,
        HeldOut(held.split, held.groups[good], held.block_km, held.notes, held.advice),
        seed=seed,
        places=together.groups[good],
        features=own[good],
        test=places.test[good] if held.split == "given" and places.test is not None else None,
    )
    metrics |= {"labels": len(label), "features": len(np.unique(own[good]))}
    metrics |= {"missing": places.missing, "no_data": int((~good).sum())}
    metrics["notes"].extend(places.notes)
    if lost:
        metrics["notes"].append(f"not learnt, as no label has data in {year}: {', '.join(lost)}")
    inputs = (HeadInput(year, learnt.dims, store.model),)
    return Head(head, learnt, classes, span, column, inputs, chosen, metrics)


def _target(label: NDArray[Any], classes: tuple[str, ...], places: Labels, year: int) -> NDArray[Any]:
    """The class of each label as its index, or the numbers, if something can be learnt from them.

    Raises
    ------
    InputError
        Too few labels or classes, or as many classes as labels.
    """
    where = f"{len(label)} of {len(places)} labels of {places.source} have data in {year}"
    if places.kind != CLASSES:
        if len(label) < _LEAST or label.min() == label.max():
            same = f", all of them {label[0]:g}" if len(label) >= _LEAST else ""
            raise InputError(f"{where}{same}; expected at least {_LEAST} numbers that differ")
        low, high = float(label.min()), float(label.max())
        if np.float32(low) == np.float32(high):
            raise InputError(
                f"{where}, from {low!r} to {high!r}, one number in the float32 of a map; expected numbers that differ "
                "more, such as what is left of them without a constant"
            )
        return label.astype(np.float64)
    if len(classes) < 2:
        raise InputError(f"{where}, all of class {classes[0]!r}; expected at least two classes")
    index = {name: number for number, name in enumerate(classes)}
    target = np.array([index[name] for name in label], dtype=np.int64)
    if len(classes) == len(label) > FEW_LABELS:
        raise InputError(
            f"column {places.column!r} of {places.source} has {len(classes)} classes for as many labels; expected a "
            f"column that names classes"
        )
    if (np.bincount(target) >= 2).sum() < 2:
        raise InputError(
            f"{where}, of {len(classes)} classes of which {int((np.bincount(target) >= 2).sum())} have two labels or "
            "more; expected two labels or more of at least two classes"
        )
    return target
