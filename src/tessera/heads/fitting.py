"""From labels to a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, checked, shown
from tessera.figures import choose_colours

from ._report import cross_validate
from .head import Head
from .labels import Labels, class_text, read_labels, sort_classes
from .linear import fit_linear
from .source import parse_year, sample_labels
from .splits import spatial_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .source import EmbeddingSource

HEADS = ("linear",)
SPLITS = ("spatial", "random")


@checked
def fit(
    store: EmbeddingSource,
    labels: object,
    column: str,
    head: str = "linear",
    split: str = "spatial",
    *,
    year: int | None = None,
    dims: int | None = None,
    seed: int = 0,
    colours: Mapping[str, str] | None = None,
) -> Head:
    """Learn classes from labelled places.

    The head learns from all labels; the report is a cross-validation. The split "spatial" keeps labels within the same
    block of 320 m, and of the same polygon, in one fold; "random" does not, and says that it flatters.

    Parameters
    ----------
    store : embeddings
    labels : what `read_labels` reads, or `Labels`
    column : the attribute that names the class
    head : "linear", multinomial logistic regression on standardised vectors
    split : "spatial" or "random"
    year : None: the store's only year
    dims : None: the store's; else a prefix that it holds
    seed : deals labels to folds; the same arguments give the same head
    colours : class -> "#rrggbb", for some or all classes

    Raises
    ------
    InputError
        A head, split, year or column that does not exist, labels that `read_labels` refuses, labels of fewer than two
        classes where there is data, or a colour for no class.

    Examples
    --------
    >>> import tessera
    >>> store = tessera.open_store("store.zarr")
    >>> head = tessera.fit(store, "labels.geojson", "class")
    >>> head.classes
    ('crop', 'forest', 'other')
    """
    if head not in HEADS:
        raise InputError(f"head {head!r}; there is {', '.join(HEADS)}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {shown(seed)}; expected 0 to 2**32 - 1")
    if split not in SPLITS:
        raise InputError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    year = parse_year(store, year)
    places = labels if isinstance(labels, Labels) else read_labels(labels, column)
    if places.column != column:
        raise InputError(f"labels of column {places.column!r} were given for column {column!r}")
    values = sample_labels(
        lambda lonlat: store.sample_points(lonlat, year, dims=dims), places.lonlat, year, places.source
    )
    good = np.isfinite(values).all(axis=1)
    x, names = np.ascontiguousarray(values[good], dtype=np.float32), places.values[good]
    classes = sort_classes(names)
    lost = [name for name in places.classes if name not in classes]
    if len(classes) < 2:
        raise InputError(
            f"{len(names)} of {len(places)} labels of {places.source} have data in {year}, all of class "
            f"{classes[0]!r}; expected at least two classes"
        )
    if len(classes) == len(names) > 2:
        raise InputError(
            f"column {column!r} of {places.source} has {len(classes)} classes for as many labels; expected a "
            f"column that names classes"
        )
    model = fit_linear(x, names, seed=seed, classes=classes)
    given = {class_text(str(name)): colour for name, colour in (colours or {}).items()}
    chosen = choose_colours(classes, {name: c for name, c in given.items() if name not in lost})
    alone = np.arange(len(names), dtype=np.int64)
    own = places.groups[good]
    together = spatial_groups(places.lonlat[good], own)
    groups = together if split == "spatial" else alone
    metrics = cross_validate(x, names, groups, split=split, seed=seed, places=together, features=own)
    features = len(np.unique(places.groups[good]))
    metrics |= {"labels": len(names), "features": features, "missing": places.missing, "no_data": int((~good).sum())}
    metrics["notes"].extend(places.notes)
    if lost:
        metrics["notes"].append(f"not learnt, as no label has data in {year}: {', '.join(lost)}")
    return Head(
        classes=model.classes,
        weights=model.weights,
        bias=model.bias,
        mean=model.mean,
        std=model.std,
        column=column,
        year=year,
        model=store.model,
        colours=chosen,
        metrics=metrics,
    )
