"""What changed in an area between years."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, TesseraError, checked, silent, spooling, staging, sync_folder
from tessera.embeddings import CodedVectors
from tessera.geo import Window, parse_area
from tessera.heads import check_pixel_head
from tessera.labels import Labels, parse_source, parse_year, read_labels
from tessera.validation import PARTS

from ._blocks import SIDE, Blocks, Plan
from ._pictures import draw_change, draw_timeline, draw_transitions
from ._stable import read_reference, shapes_of
from .distance import FALSE_ALARMS, Histogram, Threshold, find_threshold, parse_false_alarms
from .drift import Drift, measure_drift
from .files import TAG, beside, check_change, left_over, transitions_csv, write_classes, write_distances
from .result import Change, Moved
from .timeline import TimeLine, gather
from .transitions import Transitions, correct_transitions, count_transitions, sample_transitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tessera.base import Progress, Spool
    from tessera.heads import Head

    from ._asked import ChangeSource

_MOST_YEARS = 40
_MOST_ROWS = 1_000_000
"""Of labels in the file of a head."""
_MOST_COUNTED = 10**9
"""Labels of one row: sums of all rows then fit into int64."""


@checked
def change(
    store: ChangeSource | str | Path,
    area: object,
    years: Sequence[int],
    out: str | Path = "change.tif",
    *,
    head: Head | None = None,
    labels: object = None,
    column: str | None = None,
    learner: str = "linear",
    stable: object = None,
    threshold: float | None = None,
    false_alarms: float = FALSE_ALARMS,
    polygons: object = None,
    name: str | None = None,
    table: str | Path | None = None,
    reference: object = None,
    reference_columns: tuple[str, str] | None = None,
    design: str = "stratified",
    png: bool = True,
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Change:
    """Map what changed in an area from year to year, and say how much.

    Each year is compared with the next. `out` holds for each of these pairs the cosine distance between the vectors of
    a pixel in the two years, and whether it lies beyond a threshold. With a head of classes, files beside it hold the
    class in each year and the hectares that went from one class to another. The area is read once, in bounded memory; a
    run that was stopped goes on where it was.

    Parameters
    ----------
    store : embeddings of two or more years, made by one model: open, or its path or URL
    area : what `parse_area` reads, or a `Window`; None: the polygons' own
    years : two or more of the store's years, rising
    out : GeoTIFF to write
    head : a `Head` of one year, whose classes or numbers are compared
    labels, column, learner : in place of `head`: labels that hold in every year, or have years of their own, and what
        learns from them in all years
    stable : polygons or points that have not changed (a vector file, GeoJSON, a GeoDataFrame): the threshold and the
        drift are measured there
    threshold : cosine distance above which a pixel has changed, 0 to 2; None: it is found, see `find_threshold`
    false_alarms : share of stable pixels beyond the threshold, above 0 and below 0.5
    polygons, name, table : polygons to follow year by year, the column that names them, and the table (.csv or
        .parquet) to write
    reference, reference_columns, design : points of a probability sample and their two columns with the class in the
        first and the second year, for areas with intervals; "random" or "stratified" (random within mapped transitions)
    png : draw pictures
    seed : draws the sample from which drift is measured, and the head's
    overwrite : replace files that are no earlier change
    progress : called as `progress(done, total)`, blocks

    Raises
    ------
    InputError
        Years that the store lacks, an area without data, a head of other embeddings or of several years, features that
        do not fit, or a file that may not be replaced.

    Examples
    --------
    >>> import tessera
    >>> store = tessera.open_store("years.zarr")
    >>> found = tessera.change(store, "5.246,50.691,5.252,50.694", (2023, 2024), "change.tif")
    >>> [path.name for path in found.files], found.moved[0].threshold.source
    (['change.png', 'change.tif'], 'robust')
    """
    source: ChangeSource = parse_source(store)
    chosen = _parse_years(source, years)
    share = parse_false_alarms(false_alarms)
    if threshold is not None and not 0 <= threshold <= 2:
        raise InputError(f"threshold {threshold:g}; expected a cosine distance from 0 to 2")
    if head is not None and labels is not None:
        raise InputError("a head and labels given; expected one of them")
    if (reference is None) != (reference_columns is None):
        raise InputError("reference and reference_columns go together; expected both or neither")
    if table is not None and polygons is None:
        raise InputError("a table without polygons; expected polygons to follow")
    target = check_change(
        out, table=table, png=png, classes=head is not None or labels is not None, overwrite=overwrite
    )
    if labels is not None:
        head = _fit(source, labels, column, chosen, learner, seed)
    if head is not None:
        check_pixel_head(head.head, head.inputs, source.model)
    plan, line_names = _plan(source, area, chosen, head, polygons, name, stable, seed)
    source.refuse_empty(plan.area, plan.years)
    request = _request(plan, source)
    with spooling(target, request) as spool:
        spool.fill(plan.parts(), plan.grid[0] * plan.grid[1], progress)
        if _request(plan, source) != request:
            raise TesseraError("the store was written to while it was read; run the same command again")
        given = None if threshold is None else Threshold(float(threshold), "given", 0, share)
        found = _measured(plan, spool, given, share)
        transitions, notes = _transitions(plan, found, reference, reference_columns, design, seed)
        line = gather(line_names, chosen, head.classes if head else (), iter(found.blocks)) if line_names else None
        notes += [note for one in found.moved for note in one.threshold.notes()]
        drift = _drift(plan, found)
        files = _write(target, spool, found, transitions, png=png)
        if line is not None and table is not None:
            files += _write_line(Path(table), line, plan, png=png)
        spool.finished = True
    return Change(target, tuple(files), tuple(found.moved), transitions, drift, line, tuple(dict.fromkeys(notes)))


def _parse_years(store: ChangeSource, years: Sequence[int]) -> tuple[int, ...]:
    found = tuple(parse_year(store, year) for year in years)
    if not 2 <= len(found) <= _MOST_YEARS or list(found) != sorted(set(found)):
        raise InputError(
            f"years {', '.join(map(str, found)) or 'none'}; expected 2 to {_MOST_YEARS} years of the store, rising"
        )
    return found


def _fit(store: Any, labels: object, column: str | None, years: tuple[int, ...], learner: str, seed: int) -> Head:
    """One head on the labels of all years; labels without years of their own hold in each."""
    from tessera.heads import fit

    if column is None and not isinstance(labels, Labels):
        raise InputError("labels without a column; expected the column that holds the class or the number")
    places = labels if isinstance(labels, Labels) else read_labels(labels, str(column))
    if places.years is None:
        count, each = len(places), len(years)
        groups = np.arange(count, dtype=np.int64) if places.groups is None else places.groups

        def repeated(values: Any) -> Any:
            return None if values is None else np.concatenate([values] * each)

        places = replace(
            places,
            values=repeated(places.values),
            groups=repeated(groups),
            lonlat=repeated(places.lonlat),
            test=repeated(places.test),
            regions=repeated(places.regions),
            years=np.repeat(np.array(years, dtype=np.int64), count),
        )
    return fit(store, places, places.column, head=learner, seed=seed)


def _plan(
    store: ChangeSource,
    area: object,
    years: tuple[int, ...],
    head: Head | None,
    polygons: object,
    name: str | None,
    stable: object,
    seed: int,
) -> tuple[Plan, tuple[str, ...]]:
    """What is read, and the names of the polygons."""
    if area is None and polygons is None:
        raise InputError("neither an area nor polygons given; expected one of them")
    wanted = polygons if area is None else area
    parsed = wanted if isinstance(wanted, Window) else parse_area(wanted)
    window = store.region_grid(parsed)
    names: tuple[str, ...] = ()
    shapes = known = np.empty(0, dtype=object)
    if polygons is not None:
        shapes, features = shapes_of(polygons, window, "polygons")
        column = features.column(name).tolist() if name is not None else range(1, len(shapes) + 1)
        names = tuple(str(value) for value in column)
    if stable is not None:
        known, _ = shapes_of(stable, window, "stable places")
    dims = store.dims if head is None else head.dims
    return Plan(store, parsed, window, years, dims, head, shapes, known, seed), names


def _request(plan: Plan, store: ChangeSource) -> dict[str, Any]:
    """All that the parts depend on, as plain values."""
    import shapely

    digest = hashlib.sha256()
    for shapes in (plan.polygons, plan.stable):
        for shape in shapes.tolist():
            digest.update(shapely.to_wkb(shape))
        digest.update(b"|")
    if not isinstance(plan.area, Window):
        digest.update(shapely.to_wkb(plan.area.geometry))
    if plan.head is not None:
        for key, array in sorted(plan.head.learnt.arrays().items()):
            digest.update(f"{key} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        digest.update("\0".join(plan.head.classes).encode())
    window = plan.window
    return {
        "change": 1,
        "state": [store.state(plan.area, year) for year in plan.years],
        "window": [window.zone, window.west, window.north, window.width, window.height],
        "years": list(plan.years),
        "dims": plan.dims,
        "side": SIDE,
        "seed": plan.seed,
        "asked": digest.hexdigest(),
    }


class _Found:
    """What the blocks hold together: thresholds, pixels of each transition, sampled vectors."""

    def __init__(self, plan: Plan, blocks: Blocks) -> None:
        count, pairs = plan.classes, len(plan.pairs)
        self.blocks = blocks
        self.moved: list[Moved] = []
        self.unmoved_pixels = np.zeros((pairs, count, count), dtype=np.int64)
        self.moved_pixels = np.zeros((pairs, count, count), dtype=np.int64)
        self.codes: list[NDArray[np.int8]] = []
        self.scales: list[NDArray[np.float32]] = []
        self.classes: list[NDArray[np.int64]] = []
        self.distance: list[NDArray[np.float32]] = []
        self.known: list[NDArray[np.bool_]] = []

    @property
    def thresholds(self) -> list[Threshold]:
        """Of each pair of years."""
        return [one.threshold for one in self.moved]


def _measured(plan: Plan, spool: Spool, given: Threshold | None, share: float) -> _Found:
    """Find thresholds from all blocks, then count what lies beyond them."""
    blocks = Blocks(plan, spool)
    found = _Found(plan, blocks)
    pairs, has_stable = range(len(plan.pairs)), bool(len(plan.stable))
    everything, same, stable = ([Histogram() for _ in pairs] for _ in range(3))
    for block in blocks:
        distance, kinds = block["distance"], block.get("found")
        for pair in pairs:
            everything[pair].add(distance[pair])
            if plan.classes and kinds is not None:
                same[pair].add(distance[pair][kinds[pair] == kinds[pair + 1]])
            if has_stable:
                stable[pair].add(distance[pair][block["stable"].astype(np.bool_)])
        _keep_sample(plan, found, block)
    for pair, years in zip(pairs, plan.pairs, strict=True):
        threshold = given or find_threshold(
            everything[pair],
            same[pair] if plan.classes else None,
            stable[pair] if has_stable else None,
            share,
        )
        found.moved.append(Moved(years, everything[pair].total, 0, threshold))
    beyond = [0 for _ in pairs]
    for block in blocks:
        for pair in pairs:
            moved = block["distance"][pair] > np.float32(found.moved[pair].threshold.distance)
            beyond[pair] += int(moved.sum())
            if plan.classes:
                there = np.isfinite(block["distance"][pair])
                code = block["found"][pair].astype(np.int64) * plan.classes + block["found"][pair + 1]
                shape = plan.classes, plan.classes
                for which, counts in ((there & moved, found.moved_pixels), (there & ~moved, found.unmoved_pixels)):
                    counts[pair] += np.bincount(code[which], minlength=plan.classes**2).reshape(shape)
    found.moved = [replace(one, changed=count) for one, count in zip(found.moved, beyond, strict=True)]
    return found


def _keep_sample(plan: Plan, found: _Found, block: dict[str, NDArray[Any]]) -> None:
    drawn = block["sample"]
    found.codes.append(block["codes"])
    found.scales.append(block["scales"])
    found.distance.append(block["distance"].reshape(len(plan.pairs), -1)[:, drawn])
    if plan.classes:
        found.classes.append(block["found"].reshape(len(plan.years), -1)[:, drawn].astype(np.int64))
    if len(plan.stable):
        found.known.append(block["stable"].reshape(-1)[drawn].astype(np.bool_))


def _transitions(
    plan: Plan,
    found: _Found,
    reference: object,
    columns: tuple[str, str] | None,
    design: str,
    seed: int,
) -> tuple[tuple[Transitions, ...], list[str]]:
    if plan.head is None or not plan.classes:
        if reference is not None:
            raise InputError("a reference sample without a head of classes; expected --head or --labels of classes")
        return (), []
    if reference is not None and len(plan.pairs) > 1:
        raise InputError(f"a reference sample for {len(plan.years)} years; expected two years")
    out: list[Transitions] = []
    notes: list[str] = []
    confusion = _confusion(plan.head)
    for pair, years in enumerate(plan.pairs):
        unmoved, moved = found.unmoved_pixels[pair], found.moved_pixels[pair]
        if reference is not None and columns is not None:
            mapped, truth, lost = read_reference(reference, columns, plan.head, plan.store, years, plan.dims)
            out.append(sample_transitions(years, plan.head.classes, unmoved + moved, mapped, truth, design=design))
            notes += [f"{lost} points of the reference sample have no data"] if lost else []
        elif confusion is None:
            out.append(count_transitions(years, plan.head.classes, unmoved + moved))
        else:
            parts, pairs = _labels_of(plan.head, years)
            out.append(
                correct_transitions(
                    years, plan.head.classes, unmoved, moved, confusion, parts=parts, pairs=pairs, seed=seed
                )
            )
        notes += out[-1].notes
    return tuple(out), notes


def _confusion(head: Head) -> NDArray[np.int64] | None:
    """The head's confusion on labels that were held out, in the order of its classes; None if it was not tested."""
    held = head.metrics.get("confusion")
    if isinstance(held, dict):
        names, counts = held.get("classes"), held.get("counts")
    else:
        names, counts = list(head.classes), held
    if counts is None or names != list(head.classes):
        return None
    found = _whole_numbers(counts)
    shape = len(head.classes), len(head.classes)
    return found if found is not None and found.shape == shape else None


def _whole_numbers(value: list[Any]) -> NDArray[np.int64] | None:
    """Counts and indices of a file; None where they are something else, below 0, or more than labels can be."""
    try:
        found = np.array(value)
    except ValueError:
        return None
    if found.dtype.kind not in "iu" or not found.size or found.min() < 0 or found.max() > _MOST_COUNTED:
        return None
    return found.astype(np.int64)


def _labels_of(head: Head, years: tuple[int, int]) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """The labels behind the confusion by what was held out together, and those of both years at one place."""
    held = head.metrics.get("confusion")
    kept = held if isinstance(held, dict) else {}
    parts, pairs = _rows(kept.get("parts"), 4, len(head.classes)), _rows(kept.get("pairs"), 8, len(head.classes))
    if parts is None or pairs is None:
        return parts, None
    own = pairs[(pairs[:, 0] == years[0]) & (pairs[:, 1] == years[1])]
    return parts, own[:, 2:] if len(own) else None


def _rows(value: Any, width: int, classes: int) -> NDArray[np.int64] | None:
    """Rows of whole numbers of a file: years, part, classes, count; None where they are something else."""
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_ROWS:
        return None
    found = _whole_numbers(value)
    if found is None or found.shape != (len(value), width):
        return None
    first = 1 if width == 4 else 3
    good = found[:, first - 1].max() < PARTS and found[:, first:-1].max() < classes
    return found if good else None


def _drift(plan: Plan, found: _Found) -> tuple[Drift, ...]:
    """How far stable places moved between each two years."""
    if not found.codes or (not plan.classes and not len(plan.stable)):
        return ()
    codes, scales = np.concatenate(found.codes, axis=1), np.concatenate(found.scales, axis=1)
    values = [CodedVectors(one, other).values() for one, other in zip(codes, scales, strict=True)]
    known = np.concatenate(found.known) if found.known else None
    out = []
    for pair, years in enumerate(plan.pairs):
        if plan.head is not None and plan.classes:
            classes = np.concatenate(found.classes, axis=1)
            same = np.where(classes[pair] == classes[pair + 1], classes[pair], -1)
            names = plan.head.classes
        else:
            same, names = np.zeros(codes.shape[1], dtype=np.int64), ("",)
        if known is not None:
            # a class that the head sees in one year only is drift too: the first year's class counts
            same = np.where(known, classes[pair] if plan.classes else 0, -1)
        drift = measure_drift(
            years, values[pair], values[pair + 1], same, names, "same class" if known is None else "stable"
        )
        if drift is not None:
            out.append(drift)
    return tuple(out)


def _write(target: Path, spool: Spool, found: _Found, transitions: tuple[Transitions, ...], *, png: bool) -> list[Path]:
    """Write all files into the spool, then place them beside the target, which comes last; those of an earlier change
    that this one does not have go."""
    plan, folder = found.blocks.plan, spool.staging
    model = plan.store.model
    tags = {
        TAG: "1",
        "TESSERA_MODEL": model.name,
        "TESSERA_MODEL_SHA256": model.sha256,
        "TESSERA_YEARS": ", ".join(map(str, plan.years)),
        "THRESHOLDS": "; ".join(one.text for one in found.thresholds),
    }
    write_distances(folder / target.name, found.blocks, found.thresholds, tags, target)
    names = []
    if png:
        draw_change(folder / target.with_suffix(".png").name, found.blocks, found.thresholds)
        names.append(target.with_suffix(".png").name)
    if transitions:
        path = beside(target, "classes.tif")
        write_classes(folder / path.name, found.blocks, tags, path)
        (folder / beside(target, "transitions.csv").name).write_text(
            transitions_csv(transitions), encoding="utf-8", newline=""
        )
        names += [path.name, beside(target, "transitions.csv").name]
        if png:
            draw_transitions(folder / beside(target, "transitions.png").name, transitions)
            names.append(beside(target, "transitions.png").name)
    names.append(target.name)
    spool.place(names, gone=left_over(target, names))
    return [target.with_name(name) for name in names]


def _write_line(table: Path, line: TimeLine, plan: Plan, *, png: bool) -> list[Path]:
    try:
        with staging(table) as folder:
            line.write(folder / table.name)
            (folder / table.name).replace(table)
            sync_folder(table.parent)
    except OSError as error:
        raise InputError(f"cannot write the time line {table}: {error.strerror or error}") from None
    if not png:
        return [table]
    picture = table.with_suffix(".png")
    head = plan.head
    draw_timeline(picture, line, head.colours if head and plan.classes else (), head.column if head else "")
    return [table, picture]
