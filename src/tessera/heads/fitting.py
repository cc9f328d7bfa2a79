"""From labels to a head."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera._version import __version__
from tessera.base import InputError, checked, shown, silent
from tessera.figures import choose_colours
from tessera.labels import (
    CLASSES,
    FEW_LABELS,
    SPLITS,
    Labels,
    class_text,
    hold_out,
    parse_kind,
    read_chips,
    read_labels,
    sort_classes,
)
from tessera.learners import LEARNERS, SPATIAL, WEIGHTS, learn
from tessera.maps import edges_of, ramp
from tessera.validation import (
    FLATTERED,
    OutOfFold,
    Task,
    counted_rows,
    cross_validate,
    fit_applicability,
    fit_trust,
    parts_of,
)

from ._drawing import draw_labels
from .head import Head
from .out_of_fold import check_out_of_fold, write_out_of_fold
from .sampling import Sample, parse_stores, sample_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.embeddings import StackedVectors
    from tessera.labels import HeldOut

SCHEMA = 2
"""Version of `Head.metrics`."""
MOST_LEARNT = 200_000
"""Labels that a head learns from, at most: of 128 dims they take 0.2 GB as float64, several times over."""
MOST_VALIDATED = 20_000
"""Labels of the cross-validation, at most: it fits some ten heads."""
_LEAST = 4
"""Numbers that a regression learns from, at least."""
_FEW_UNITS = 4
"""Units from which calibration and sets are learnt."""


@checked
def fit(
    store: Any,
    labels: object,
    column: str,
    head: str = "linear",
    split: str = "spatial",
    *,
    kind: str | None = None,
    block_km: float | str | None = None,
    buffer_km: float | str | None = None,
    year: int | None = None,
    years: Sequence[int] | None = None,
    dims: int | None = None,
    seed: int = 0,
    colours: Mapping[str, str] | None = None,
    group: str | None = None,
    region: str | None = None,
    year_column: str | None = None,
    weights: str = "even",
    settings: Mapping[str, Any] | None = None,
    tune: bool = False,
    curve: bool | None = None,
    sample: str | None = None,
    out_of_fold: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Head:
    """Learn classes or numbers from labelled places.

    The head learns from all labels. Its report is a cross-validation: each fold is predicted by a head that met none of
    its blocks, none of its groups and nothing near them.

    Parameters
    ----------
    store : embeddings: a `Store`, its path or URL, or anything with its `sample_codes`; several
        stores put their vectors side by side
    labels : the path of a vector file or table with points or polygons, a GeoDataFrame, GeoJSON, or `Labels`
    column : the attribute that holds the class or the number
    head : "linear" (logistic regression, or ridge regression of numbers, on standardised vectors), "prototype",
        "knn", "forest", "boosting" (extra `boosting`), "mlp", or "unet", which looks at the pixels around a label, too
    split : how labels are held out. "spatial": blocks of land; "group": the labels' own groups; "region": one region
        after another; "year": one year after another; "given": the labels that `Labels.test` marks. No split but
        "random" and "given" divides a group. "random" keeps nothing together, and the report says that it flatters
    kind : "classification" or "regression"; decided from the labels if None
    block_km : side of a block, kilometres; None or "auto": 10 km, less where the labels lie in fewer than 60 blocks
    buffer_km : labels nearer than this to a tested one are not learnt from, kilometres; None or "auto": the distance
        from which labels of different groups agree no more than far ones
    year : the year whose embeddings to learn from; the store's only year if None, or the labels' own years where they
        have some
    years : several years, whose vectors stand side by side
    dims : length of the prefix to learn from, of each store and year; all if None
    seed : deals labels to folds, and seeds the head; the same arguments give the same head
    colours : class -> "#rrggbb", for some or all classes
    group, region, year_column : attributes that name the site or field, the region, and the year of each label
    weights : "even": all classes weigh the same; "occur": as often as they are labelled
    settings : settings of the learner, by name
    tune : choose settings, in each fold from the labels that it learns from alone
    curve : measure scores by the number of labels; None: of heads that are quick to fit
    sample : "random" if the labels were drawn at random from the mapped area, so that areas can be estimated. A sample
        that was stratified by a finished map is for `Head.write_report`
    out_of_fold : a vector file (.parquet, .gpkg, .fgb, .geojson) to write: a point for each label that was tested, with
        its truth, what a head that had not met it predicted, the probability of that class as learnt, the fold, the
        unit that intervals leave out, and the group
    overwrite : replace a file in that place that holds no predictions
    progress : called as `progress(done, total)`, fits

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
    _check_words(head, split, seed, weights, sample)
    target_file = None if out_of_fold is None else check_out_of_fold(out_of_fold, inputs=(labels,), overwrite=overwrite)
    stores = parse_stores(store)
    places = _read(labels, column, kind, group, region, year_column)
    read = sample_vectors(stores, places, year, years, dims)
    good: NDArray[np.bool_] = np.asarray(read.vectors.valid, dtype=np.bool_)
    names = sort_classes(places.values[good]) if places.kind == CLASSES else ()
    target = _target(places.values[good], names, places, read.told)
    chosen = _colours(colours, names, places, target)
    span = None if names else (float(target.min()), float(target.max()))
    kept, vectors = _rows(places, good), read.vectors[good]
    x: Any = vectors
    if head in SPATIAL and kept.lonlat is not None:
        x = read_chips(read.windows(dims), kept.lonlat)
    every = Task(head, x, target, len(names), seed, dict(settings or {}), weights, kept.groups)
    learnt, taken = draw_labels(every, MOST_LEARNT, "even" if weights == "even" else "share")
    # a random sample stays one
    tested, rows = draw_labels(every, MOST_VALIDATED, "share" if sample is None else "random")
    own = kept if len(rows) == len(kept) else _rows(kept, rows)
    held, units = _held(own, split, block_km, buffer_km)
    if held.unit == "block":
        # what stops a learner early must be no neighbour of what it learns from either
        tested = replace(tested, apart=units)
        learnt = replace(learnt, apart=units if len(taken) == len(rows) else _blocks(_rows(kept, taken), held.block_km))
    metrics, found = cross_validate(
        tested, names, held, units=units, tuning=tune, curve=curve, lonlat=own.lonlat, progress=progress
    )
    if tune:
        search = tested.tuned(np.arange(len(tested.y)), held.inner(units))
        learnt = replace(learnt, settings=search.settings)
        metrics["tuning"] = {**(metrics["tuning"] or {"per_fold": []}), **search.to_json()}
    model = learn(
        head, learnt.x, learnt.y, len(names), seed, settings=learnt.settings, weights=weights, groups=learnt.stopping
    )
    if target_file is not None and found is not None:
        write_out_of_fold(target_file, found, own, names)
    elif target_file is not None:
        old = f"; {target_file.name} is that of an earlier fit" if target_file.exists() else ""
        metrics["notes"].append(f"nothing could be tested, so no prediction was written{old}")
    if found is not None and metrics["confusion"] is not None and read.years is not None:
        metrics["confusion"]["pairs"] = _pairs(found, own, seed)
    trust, applicability = _trust(metrics, found, names, own, vectors[rows], seed)
    metrics = _about(places, read, good, len(taken)) | metrics
    for index, name in enumerate(names):
        metrics["per_class"][name]["labels"] = int((target == index).sum())
        metrics["per_class"][name]["places"] = _tested_places(own, found, index)
    metrics |= {"weights": weights, "settings": dict(learnt.settings or {}), "sample": _sampled(sample, own)}
    metrics["grouped_by"] = own.grouped_by
    for row in metrics["worst"]:
        row["name"] = "" if own.groups is None else own.group_name(row["group"])
    metrics["notes"] = _notes(metrics, places, read, names) + (_mixed(kept.groups, target) if names else [])
    provenance = _provenance(places, read, metrics, head, seed)
    return Head(head, model, names, span, column, read.inputs, chosen, metrics, trust, applicability, provenance)


def _check_words(head: str, split: str, seed: int, weights: str, sample: str | None) -> None:
    if head not in LEARNERS:
        raise InputError(f"head {head!r}; expected one of {', '.join(LEARNERS)}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {shown(seed)}; expected 0 to 2**32 - 1")
    if split not in SPLITS:
        raise InputError(f"split {split!r}; expected one of {', '.join(SPLITS)}")
    if weights not in WEIGHTS:
        raise InputError(f"weights {weights!r}; expected {' or '.join(WEIGHTS)}")
    if sample == "stratified":
        raise InputError(
            "sample 'stratified'; fit does not know the map whose classes were the strata: expected 'random' or none; "
            "give such a sample and the finished map to tessera report --sample"
        )
    if sample not in (None, "random"):
        raise InputError(f"sample {sample!r}; expected random, or none if the labels are no probability sample")


def _read(
    labels: object, column: str, kind: str | None, group: str | None, region: str | None, year_column: str | None
) -> Labels:
    if isinstance(labels, Labels):
        parts = {"group": group, "region": region, "year_column": year_column}
        named = [name for name, value in parts.items() if value is not None]
        if named:
            raise InputError(f"{named[0]} beside Labels, which hold their own; leave it out")
        places = labels
    else:
        places = read_labels(labels, column, kind, group=group, region=region, year=year_column)
    if places.column != column:
        raise InputError(f"labels of column {places.column!r} were given for column {column!r}")
    if parse_kind(kind) not in (None, places.kind):
        raise InputError(f"kind {kind!r} for labels of a {places.kind}; leave kind out, or read them anew")
    if places.lonlat is None:
        raise InputError(f"{places.source} has no places; expected lon and lat to look up in a store")
    return places


def _rows(labels: Labels, rows: NDArray[Any]) -> Labels:
    """Some of the labels, given as (N,) bool or as indices."""

    def part(values: Any) -> Any:
        return None if values is None else values[rows]

    return replace(
        labels,
        values=labels.values[rows],
        groups=part(labels.groups),
        lonlat=part(labels.lonlat),
        test=part(labels.test),
        regions=part(labels.regions),
        years=part(labels.years),
        series=None,
    )


def _held(
    labels: Labels, split: str, block_km: float | str | None, buffer_km: float | str | None
) -> tuple[HeldOut, NDArray[np.int64]]:
    """What is held out, and the units of intervals: blocks, also where single labels or large regions are held out."""
    held = hold_out(labels, np.ones(len(labels), dtype=np.bool_), split, block_km, buffer_km)
    return held, held.groups if held.unit == "block" else _blocks(labels, block_km)


def _blocks(labels: Labels, block_km: float | str | None) -> NDArray[np.int64]:
    return hold_out(labels, np.ones(len(labels), dtype=np.bool_), "spatial", block_km, 0).groups


def _pairs(found: OutOfFold, labels: Labels, seed: int) -> list[list[int]]:
    """Labels of one place in two years, each year and the next that it has: both years, part, classes, predictions,
    count."""
    assert labels.years is not None  # noqa: S101 - asked before
    assert labels.lonlat is not None  # noqa: S101 - asked before
    place = np.unique(labels.lonlat[found.rows], axis=0, return_inverse=True)[1].reshape(-1)
    year, said, part = labels.years[found.rows], found.raw.argmax(axis=1), parts_of(found.unit, seed)
    order = np.lexsort((year, place))
    one, other = order[:-1], order[1:]
    both = (place[one] == place[other]) & (year[one] < year[other])
    one, other = one[both], other[both]
    if not len(one):
        return []
    truth = found.truth
    return counted_rows(year[one], year[other], part[one], truth[one], truth[other], said[one], said[other])


def _trust(
    metrics: dict[str, Any],
    found: OutOfFold | None,
    classes: Sequence[str],
    own: Labels,
    vectors: StackedVectors,
    seed: int,
) -> tuple[Any, Any]:
    """What the predictions out of fold say of probabilities, sets and intervals, and how far labels reach."""
    metrics |= dict.fromkeys(("calibration", "conformal", "abstention", "applicability"))
    if found is None:
        return None, None
    trust = None
    # the head itself knows every class; and where few labels stand for many, each counts as often as it occurs
    drawn = np.random.default_rng([seed, 84]).random(len(found.rows)) * found.amount.max() < found.amount
    kept = found.met & drawn
    if len(np.unique(found.unit[kept])) >= _FEW_UNITS:
        places = None if own.groups is None else own.groups[found.rows[kept]]
        trust, told = fit_trust(found.truth[kept], found.raw[kept], found.unit[kept], classes, places=places, seed=seed)
        metrics["notes"].extend(told.pop("notes"))
        flattered = FLATTERED.get(metrics["split"])
        for key in ("calibration", "conformal", "abstention"):
            if told[key] is not None:
                told[key]["note"] = flattered
        metrics |= told
    else:
        metrics["notes"].append(
            f"probabilities are not calibrated: labels lie in fewer than {_FEW_UNITS} {metrics['unit']}s"
        )
    x, folds = vectors.values(), np.full(len(vectors), -1, dtype=np.int64)
    folds[found.rows] = found.fold
    if len(x) < 2 or not np.ptp(x, axis=0).any():
        return trust, None
    reach = fit_applicability(x, folds, seed=seed)
    metrics["applicability"] = {
        "threshold": reach.threshold,
        "references": len(reach.references),
        "inside": reach.inside,
    }
    return trust, reach


def _about(places: Labels, read: Sample, good: NDArray[np.bool_], learnt: int) -> dict[str, Any]:
    """What the labels are, before any test."""
    return {
        "schema": SCHEMA,
        "kind": places.kind,
        "labels": int(good.sum()),
        "groups": int(good.sum()) if places.groups is None else len(np.unique(places.groups[good])),
        "learnt": learnt,
        "missing": places.missing,
        "no_data": int((~good & ~read.outside).sum()),
        "outside": int((~good & read.outside).sum()),
        "years": [one.year for one in read.inputs],
        "label_years": None if read.years is None else {str(year): count for year, count in read.years.items()},
    }


def _sampled(sample: str | None, labels: Labels) -> dict[str, Any]:
    """Whether labels are a probability sample, and whether each is a unit of it."""
    alone = labels.groups is None or len(np.unique(labels.groups)) == len(labels)
    return {"design": sample, "single": bool(alone)}


def _tested_places(labels: Labels, found: OutOfFold | None, index: int) -> int:
    """Groups of which labels of a class were tested."""
    if found is None:
        return 0
    rows = found.rows[found.truth == index]
    return len(rows) if labels.groups is None else len(np.unique(labels.groups[rows]))


def _mixed(groups: NDArray[np.int64] | None, target: NDArray[Any]) -> list[str]:
    """What groups with labels of several classes mean."""
    if groups is None:
        return []
    pairs = np.unique(np.column_stack([groups, target]), axis=0)
    size = np.unique(pairs[:, 0], return_counts=True)[1]
    mixed = int((size > 1).sum())
    if not mixed:
        return []
    return [
        f"{mixed:,} of {len(size):,} groups have labels of several classes: each is still tested as a whole, but one "
        "vote cannot be right for two classes, so accuracy by the vote of a group leaves them out"
    ]


def _notes(metrics: dict[str, Any], places: Labels, read: Sample, names: tuple[str, ...]) -> list[str]:
    notes = [*metrics["notes"], *places.notes, *places.counted, *read.notes]
    lost = [name for name in places.classes if name not in names]
    if lost:
        notes.append(f"not learnt, as no label has data in {read.told}: {', '.join(lost)}")
    if metrics["learnt"] < metrics["labels"]:
        notes.append(f"learnt from {metrics['learnt']:,} of {metrics['labels']:,} labels, {_drawn(names)}")
    if metrics["validated"] < metrics["labels"]:
        how = "drawn at random" if metrics["sample"]["design"] else f"{_drawn(names)}; scores weigh them back"
        notes.append(f"tested on {metrics['validated']:,} of {metrics['labels']:,} labels, {how}")
    if metrics["sample"]["design"] and not metrics["sample"]["single"]:
        notes.append("areas need one label a unit of the sample: labels of one group are several pixels of one place")
    return list(dict.fromkeys(notes))


def _drawn(names: tuple[str, ...]) -> str:
    return f"drawn at random within each {'class and group' if names else 'group'}"


def _provenance(places: Labels, read: Sample, metrics: dict[str, Any], head: str, seed: int) -> dict[str, Any]:
    """What the head was made from, and how: plain values."""
    return {
        "labels": {
            "source": places.source,
            "column": places.column,
            "count": len(places),
            "sha256": _digest(places),
        },
        "stores": [
            {"name": one.store, "year": one.year, "dims": one.dims, "model": one.model.name, "sha256": one.model.sha256}
            for one in read.inputs
        ],
        "split": {key: metrics[key] for key in ("split", "block_km", "buffer_km", "folds", "split_why")},
        "head": head,
        "settings": metrics["settings"],
        "weights": metrics["weights"],
        "tuning": metrics["tuning"],
        "seed": seed,
        "software": f"tessera {__version__}",
    }


def _digest(labels: Labels) -> str:
    """SHA-256 of what was learnt from: values, places, groups, regions, years and the given split, in their order."""
    found = hashlib.sha256()
    parts = (labels.values, labels.lonlat, labels.groups, labels.regions, labels.years, labels.test)
    for part in parts:
        if part is None:
            found.update(b"-\n")
        elif part.dtype == object:
            found.update(("\x1f".join(map(str, part.tolist())) + "\n").encode("utf-8", "surrogatepass"))
        else:
            found.update(np.ascontiguousarray(part).astype(part.dtype.newbyteorder("<")).tobytes() + b"\n")
    return found.hexdigest()


def _colours(
    colours: Mapping[str, str] | None, classes: tuple[str, ...], places: Labels, target: NDArray[Any]
) -> tuple[str, ...]:
    if classes:
        given = {class_text(str(name)): colour for name, colour in (colours or {}).items()}
        lost = set(places.classes) - set(classes)
        return choose_colours(classes, {name: c for name, c in given.items() if name not in lost})
    if colours:
        raise InputError(f"colours for column {shown(places.column)}, which holds numbers; leave them out")
    return ramp(len(edges_of(float(target.min()), float(target.max()))) + 1)


def _target(label: NDArray[Any], classes: tuple[str, ...], places: Labels, years: str) -> NDArray[Any]:
    """The class of each label as its index, or the numbers, if something can be learnt from them.

    Raises
    ------
    InputError
        Too few labels or classes, or as many classes as labels.
    """
    where = f"{len(label)} of {len(places)} labels of {places.source} have data in {years}"
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
