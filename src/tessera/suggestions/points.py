"""From an area, a head and labels to the points where the next labels help most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, checked, silent
from tessera.geo import PIXEL_SIZE, from_lonlat, to_lonlat
from tessera.heads import check_pixel_head
from tessera.labels import Labels, parse_source, parse_year, read_labels, refuse_empty

from ._candidates import draw_candidates
from ._choose import choose_points
from ._reach import Reach, parse_reach
from .result import Suggestion, Suggestions

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.base import Progress
    from tessera.heads import Head
    from tessera.labels import EmbeddingSource

_CANDIDATES = 4000
"""Pixels among which to choose: their distances to each other take 64 MB."""
_MOST = 1000
_MOST_LABELLED = 20_000


@checked
def suggest(
    store: EmbeddingSource | str | Path,
    area: object,
    count: int = 20,
    *,
    head: Head | None = None,
    labels: object = None,
    column: str | None = None,
    year: int | None = None,
    within: object = None,
    roads: object = None,
    road_m: float = 250.0,
    spacing_m: float = 100.0,
    seed: int = 0,
    progress: Progress = silent,
) -> Suggestions:
    """Suggest where to label next.

    A point is worth more where the head is unsure, where its vector is unlike those that are labelled or suggested
    already, and where many other pixels resemble it. Mixed pixels, those least like their neighbours, are left out,
    since nobody can say in the field what they are.

    Parameters
    ----------
    store : embeddings, open or at a path or URL; of the head's model where a head is given
    area : what `parse_area` reads, or a `Window`
    count : number of points, 1 to 1000
    head : whose uncertainty counts: 1 less the difference between its two highest probabilities, calibrated where the
        head has a `trust`. Without one, or with one of numbers, all pixels count the same, and the points cover what
        the area holds
    labels : the labels that there are: a vector file, GeoJSON, a GeoDataFrame or `Labels`
    column : of the labels, unless they are `Labels`
    year : one of the store's years; the head's if None, else the store's only one
    within : polygons that the points must lie in
    roads : lines that the points must lie near: a vector file, GeoJSON or a GeoDataFrame
    road_m : distance to a road, metres
    spacing_m : distance between two points, and between a point and a label, metres
    seed : draws the pixels among which points are chosen; the same arguments give the same points
    progress : called as `progress(done, total)`, rows

    Returns
    -------
    `Suggestions`, the most useful point first; fewer than `count` where no more are left.

    Raises
    ------
    InputError
        No pixel with data can be reached; the head is of another model; labels without a place; or a number out of
        range.

    Examples
    --------
    >>> import tessera
    >>> store, head = tessera.open_store("store.zarr"), tessera.load_head("head.json")
    >>> area = "5.246,50.691,5.252,50.694"
    >>> labels = {"labels": "labels.geojson", "column": "class"}
    >>> found = tessera.suggest(store, area, 5, head=head, spacing_m=20, **labels)
    >>> len(found), found[0].rank, found[0].predicted in head.classes
    (5, 1, True)
    >>> path = found.write("points.gpx")
    """
    if isinstance(count, bool) or not 1 <= count <= _MOST:
        raise InputError(f"{count} points; expected 1 to {_MOST}")
    if not 0 <= spacing_m <= 1e6:
        raise InputError(f"{spacing_m} m between points; expected 0 or more")
    source: EmbeddingSource = parse_source(store)
    if head is not None:
        check_pixel_head(head.head, head.inputs, source.model)
    chosen_year = parse_year(source, head.year if year is None and head is not None else year)
    dims = None if head is None or head.dims == source.dims else head.dims
    given = _labels_of(labels, column)
    place = parse_reach(area, within)
    window = source.region_grid(place)
    refuse_empty(source, place, chosen_year)
    candidates = draw_candidates(
        source.iter_codes(place, chosen_year, dims),
        window,
        Reach(place, window, roads, road_m),
        lambda values: _unsure(head, values),
        _CANDIDATES,
        seed,
        progress,
    )
    x = (window.west + candidates.cols + 0.5) * PIXEL_SIZE
    y = (window.north - candidates.rows - 0.5) * PIXEL_SIZE
    places = np.column_stack([x, y])
    labelled = np.zeros((0, candidates.values.shape[1]), np.float32)
    known = np.zeros((0, 2))
    if given is not None and given.lonlat is not None:
        found = source.sample_codes(given.lonlat, chosen_year, dims)
        labelled = _thinned(found.values()[found.valid], seed)
        known = np.column_stack(from_lonlat(given.lonlat[:, 0], given.lonlat[:, 1], window.zone))
        free = np.flatnonzero(_apart(places, known, spacing_m))
        if not len(free):
            raise InputError(
                f"none of {len(candidates)} sampled pixels lies {spacing_m:g} m or more from the {len(known)} labels; "
                "expected a smaller spacing_m (--spacing-m) or a larger area"
            )
        candidates, places = candidates.take(free), places[free]
    order, gains = choose_points(
        candidates.values, candidates.weights, labelled, places, count, max(spacing_m, PIXEL_SIZE)
    )
    lon, lat = to_lonlat(places[order, 0], places[order, 1], window.zone)
    told = _predicted(head, candidates.values[order])
    points = tuple(
        Suggestion(
            rank + 1, float(lon[rank]), float(lat[rank]), *told[rank], float(candidates.weights[one]), float(gain)
        )
        for rank, (one, gain) in enumerate(zip(order.tolist(), gains.tolist(), strict=True))
    )
    return Suggestions(points, count, chosen_year, window, candidates.reached, len(known), known)


def _labels_of(labels: object, column: str | None) -> Labels | None:
    if labels is None or isinstance(labels, Labels):
        if isinstance(labels, Labels) and labels.lonlat is None:
            raise InputError(f"{labels.source} has no places; expected lon and lat")
        return labels
    if column is None:
        raise InputError("labels without the name of their column; expected column=")
    return read_labels(labels, column)


def _unsure(head: Head | None, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, D) -> (n,) 0 to 1: one less the difference between the two highest probabilities."""
    if head is None or not head.classes:
        return np.ones(len(values))
    two = np.sort(_chances(head, values), axis=1)[:, -2:].astype(np.float64)
    out: NDArray[np.float64] = 1.0 - (two[:, 1] - two[:, 0])
    return out


def _chances(head: Head, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, D) -> (n, K) probabilities, calibrated where the head can: a head that is too sure hides what it does not
    know."""
    raw = head.probabilities(values)
    return raw if head.trust is None else head.trust.probabilities(raw)


def _predicted(
    head: Head | None, values: NDArray[np.float32]
) -> list[tuple[str | float | None, float | None, str | None, float | None]]:
    """Of each point the prediction and its probability, then the second class and its probability."""
    if head is None:
        return [(None, None, None, None)] * len(values)
    if not head.classes:
        return [(float(number), None, None, None) for number in head.predict(values)]
    chances = _chances(head, values).astype(np.float64)
    rank = np.argsort(-chances, axis=1, kind="stable")[:, :2]
    return [
        (head.classes[a], float(row[a]), head.classes[b], float(row[b]))
        for row, (a, b) in zip(chances, rank.tolist(), strict=True)
    ]


def _thinned(labelled: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    if len(labelled) <= _MOST_LABELLED:
        return labelled
    kept = np.random.default_rng([seed, 5]).choice(len(labelled), _MOST_LABELLED, replace=False)
    return labelled[np.sort(kept)]


def _apart(places: NDArray[np.float64], known: NDArray[np.float64], spacing: float) -> NDArray[np.bool_]:
    import shapely

    if not len(known) or spacing <= 0:
        return np.ones(len(places), dtype=np.bool_)
    tree = shapely.STRtree(np.asarray(shapely.points(known)))
    near, _ = tree.query(shapely.points(places), predicate="dwithin", distance=spacing)
    good = np.ones(len(places), dtype=np.bool_)
    good[near] = False
    return good
