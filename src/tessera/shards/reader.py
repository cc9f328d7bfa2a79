"""Read sharded arrays: indexes first, scales before codes, exact ranges for points, verified chunks for windows."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tessera.embeddings import is_valid
from tessera.geo import points_in_zones
from tessera.net import ChangedError, CorruptError, MissingError

from .extent import lattice_extent
from .layout import SCALES
from .shard import Reading, Shard, in_parallel, open_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.net import DiskCache, Objects

    from .extent import Extent, Rectangle, ShardPosition
    from .layout import ArraySpec, Layout, ShardFormat

Result = TypeVar("Result")
SMALL_THREADS = 32
"""Requests of a few bytes under way at once."""
LARGE_THREADS = 12
"""Requests of up to 8 MiB under way at once."""
PLACES = 4
"""Shards' places under way at once."""
_ATTEMPTS = 6
"""Reads of a place that keeps changing, 0.6 s in all."""


class _LackingError(CorruptError):
    """Codes lack pixels that have scales: damage, unless the place is being replaced."""


@dataclass(frozen=True)
class ShardedSource:
    """Sharded arrays that are read by byte ranges; a `Source`.

    A commit removes the scales of a place, moves the other shards and puts the scales last. A reader opens the shards
    of a place, then reads the scales and after them the codes, each of the version that it opened: what it reads is of
    one commit, or a read finds another version and all begin again.

    Attributes
    ----------
    reading : what all reads share
    specs : the arrays
    forms : array name -> how its shards are laid out; all have the same side
    extents : zone -> what its arrays cover; several where a zone is split by hemisphere
    clean : whether scales were checked when they were written; those beyond 0 to 1 are no data otherwise
    whole : whether every chunk with a valid pixel must be there, as commits write them; else what is absent is filled
    """

    reading: Reading
    specs: tuple[ArraySpec, ...]
    forms: Mapping[str, ShardFormat]
    extents: Mapping[int, tuple[Extent, ...]]
    clean: bool = True
    whole: bool = True

    @property
    def _side(self) -> int:
        return next(iter(self.forms.values())).shard

    def time_index(self, extent: Extent, year_index: int) -> int | None:  # noqa: ARG002 - other stores differ by zone
        """Position of a year on the time axis of an extent's arrays, None where it has none of that year."""
        return year_index

    def read_window(self, window: Window, year_index: int, specs: tuple[ArraySpec, ...]) -> dict[str, NDArray[Any]]:
        """Read arrays over a window, always with the scales; every chunk is verified, each place is of one version.

        Returns
        -------
        Array name -> (height, width, bands) of its dtype, (height, width) without a band axis; filled where nothing is

        Raises
        ------
        CorruptError
            A shard is truncated, a checksum does not fit, or codes lack pixels that have scales.
        ChangedError
            A place kept changing.
        """
        specs = (SCALES, *(spec for spec in specs if spec != SCALES))
        return self.read_rectangle(self.extents.get(window.zone, ()), window, year_index, specs)

    def read_rectangle(
        self, extents: Iterable[Extent], window: Rectangle, year_index: int, specs: tuple[ArraySpec, ...]
    ) -> dict[str, NDArray[Any]]:
        """Like `read_window`, for pixels of any size; scales must come first where they are read."""
        out = {spec.name: spec.blank(*window.shape) for spec in specs}
        held = tuple(spec for spec in specs if spec in self.specs)
        with ThreadPoolExecutor(PLACES) as places, ThreadPoolExecutor(LARGE_THREADS) as pool:
            jobs = []
            for extent in extents:
                index = self.time_index(extent, year_index)
                if index is not None:
                    for place in extent.places(window, self._side):
                        once = partial(self._read_place, place, window, index, held, out, pool)
                        jobs.append(partial(self._steady, once, place, index))
            in_parallel(places, lambda job: job(), jobs)
        return out

    def _read_place(
        self,
        place: ShardPosition,
        window: Rectangle,
        time_index: int,
        specs: tuple[ArraySpec, ...],
        out: dict[str, NDArray[Any]],
        pool: ThreadPoolExecutor,
    ) -> None:
        overlap = place.overlap(window)
        if overlap is None:
            return
        inside, there = overlap
        shards = self._open(place, time_index, specs, pool)
        valid = None
        for spec in specs:
            view, shard = out[spec.name][there], shards[spec.name]
            view[...] = spec.fill
            if valid is not None and spec.dtype == "int8" and not valid.any():
                continue
            if valid is not None and self.whole and valid.any():
                self._check_there(shard, spec, place, inside, valid)
            if shard is not None:
                shard.read_box(inside, view, pool)
            if spec == SCALES:
                if not self.clean:
                    drop_bad_scales(view)
                valid = is_valid(view)

    def _open(
        self, place: ShardPosition, time_index: int, specs: tuple[ArraySpec, ...], pool: ThreadPoolExecutor
    ) -> dict[str, Shard | None]:
        """The shards of a place, opened at once: no bytes of them are read before all are open.

        Either all indexes were seen lately, or all are asked for anew: one that is older than the others could lack
        what they have, and no byte of it would be read that could tell.
        """
        keys = {spec.name: place.key(spec, time_index) for spec in specs}
        trust = all(self.reading.indexes.get(key)[0] for key in keys.values())
        jobs = {
            name: pool.submit(open_shard, self.reading, key, self.forms[name], trust=trust)
            for name, key in keys.items()
        }
        return {name: job.result() for name, job in jobs.items()}

    def _check_there(
        self,
        shard: Shard | None,
        spec: ArraySpec,
        place: ShardPosition,
        inside: tuple[slice, slice],
        valid: NDArray[np.bool_],
    ) -> None:
        """Every chunk that holds a valid pixel must be there: an absent one would read as vectors of zeros."""
        form = self.forms[spec.name]
        rows, cols = np.nonzero(valid)
        numbers = np.unique((rows + inside[0].start) // form.chunk * form.side + (cols + inside[1].start) // form.chunk)
        lacking = len(numbers) if shard is None else int((shard.index.offsets[numbers] < 0).sum())
        if lacking:
            where = place.name if shard is None else shard.name
            what = f"codes ({spec.name})" if spec.dtype == "int8" else spec.name
            raise _LackingError(f"{where} lacks the {what} of {lacking} chunks that have scales")

    def read_points(
        self, lonlat: NDArray[np.float64], year_index: int, spec: ArraySpec, dims: int, *, verify: bool
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Read the codes and the scale of the pixel that holds each point.

        Parameters
        ----------
        lonlat : (N, 2), degrees
        spec : the array of codes to read, at least `dims` bands
        verify : read whole chunks and check them, instead of exact ranges

        Returns
        -------
        codes (N, dims) int8, scales (N,) float32; 0 and +inf where nothing was written
        """
        codes = np.zeros((len(lonlat), dims), dtype=np.int8)
        scales = np.full(len(lonlat), np.inf, dtype=np.float32)
        with ThreadPoolExecutor(PLACES) as places, ThreadPoolExecutor(SMALL_THREADS) as pool:

            def read(job: tuple[ShardPosition, int, NDArray[np.int64], NDArray[np.int64]]) -> None:
                place, index, members, pixels = job
                distinct, back = np.unique(pixels, axis=0, return_inverse=True)
                once = partial(self._read_pixels, place, distinct, index, spec, dims, pool, verify=verify)
                found = self._steady(once, place, index)
                codes[members], scales[members] = found[0][back.reshape(-1)], found[1][back.reshape(-1)]

            jobs = []
            for zone, numbers, px, py in points_in_zones(lonlat):
                for extent in self.extents.get(zone, ()):
                    index = self.time_index(extent, year_index)
                    if index is not None:
                        for place, members, rows, cols in extent.place_points(px, py, self._side):
                            jobs.append((place, index, numbers[members], np.stack([rows, cols], axis=1)))
            in_parallel(places, read, jobs)
        return codes, scales

    def _read_pixels(
        self,
        place: ShardPosition,
        pixels: NDArray[np.int64],
        time_index: int,
        spec: ArraySpec,
        dims: int,
        pool: ThreadPoolExecutor,
        *,
        verify: bool,
    ) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
        """Codes and scales of pixels (row, column) of one place; codes only of those that are valid."""
        shards = self._open(place, time_index, (spec, SCALES), pool)
        codes = np.zeros((len(pixels), dims), dtype=np.int8)
        scales = np.full(len(pixels), np.inf, dtype=np.float32)
        rows, cols = pixels[:, 0], pixels[:, 1]
        shard = shards[SCALES.name]
        if shard is not None:
            found, values = _pixels_of(shard, rows, cols, 4, pool, verify=verify)
            scales[found] = values.view("<f4")[:, 0]
            if not self.clean:
                drop_bad_scales(scales)
        valid = np.flatnonzero(is_valid(scales))
        if len(valid):
            shard = shards[spec.name]
            there = 0
            if shard is not None:
                found, values = _pixels_of(shard, rows[valid], cols[valid], dims, pool, verify=verify)
                codes[valid[found]] = values.view(np.int8)
                there = len(found)
            if there < len(valid):
                where = place.name if shard is None else shard.name
                raise _LackingError(
                    f"{where} lacks the codes ({spec.name}) of {len(valid) - there} pixels that have scales"
                )
        return codes, scales

    def _steady(self, read: Callable[[], Result], place: ShardPosition, time_index: int) -> Result:
        """Call `read` until it meets one version of a place: again if one was replaced, removed or lacked pixels."""
        for attempt in range(_ATTEMPTS):
            try:
                return read()
            except (ChangedError, MissingError, _LackingError) as error:
                self.reading.indexes.drop(place.key(spec, time_index) for spec in self.specs)
                if attempt == _ATTEMPTS - 1:
                    if isinstance(error, MissingError):
                        raise ChangedError(f"{place.name} kept changing while it was read, try again") from None
                    raise
                time.sleep(0.02 * 2**attempt)
        raise AssertionError("unreachable")


def _pixels_of(
    shard: Shard,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    length: int,
    pool: ThreadPoolExecutor,
    *,
    verify: bool,
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    exact = shard.form.exact and not verify
    return (shard.read_pixels if exact else shard.read_verified_pixels)(rows, cols, length, pool)


def drop_bad_scales(scales: NDArray[np.float32]) -> None:
    """A scale of 0 or less, or of 1 or more, is no scale: published tiles that were corrupt had such (see `codes`)."""
    with np.errstate(invalid="ignore"):
        scales[(scales <= 0) | ((scales >= 1) & ~np.isposinf(scales))] = np.nan


def lattice_source(
    objects: Objects, layout: Layout, zones: tuple[int, ...], cache: DiskCache | None = None
) -> ShardedSource:
    """Open arrays of our own layout, which cover the whole lattice of each zone."""
    forms = {spec.name: layout.format(spec) for spec in layout.arrays}
    extents = {zone: (lattice_extent(zone),) for zone in zones}
    return ShardedSource(Reading(objects, cache), layout.arrays, forms, extents)


def read_window(
    objects: Objects, layout: Layout, window: Window, year_index: int, specs: tuple[ArraySpec, ...]
) -> dict[str, NDArray[Any]]:
    """Read one window without keeping a source."""
    return lattice_source(objects, layout, (window.zone,)).read_window(window, year_index, specs)
