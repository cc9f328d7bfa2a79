"""Mosaics of one day's scenes; where a file cannot be read, another copy is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tessera.cubes import S1_BANDS, S2_BANDS
from tessera.net import CredentialError, LoadError, NetError

from .records import (
    SCL,
    cover_footprint,
    covers_enough,
    is_clear,
    nearest_copy,
    remove_offset,
    remove_offset_by_date,
    scale_s1,
    take_first_valid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from .plan import Copies, Day
    from .recipe import Recipe
    from .records import Scene

    Bands = Callable[[Scene, Sequence[str]], Iterator[tuple[str, NDArray[Any]]]]
    """Reads bands of a scene on the window, several at once: names with images, (H, W), in any order."""

_MOST_SCENES = 255
"""Scenes that one day's mosaic can distinguish (uint8)."""
_SLIVER = 0.01
"""Share of a window that a copy with the same footprint may add at an edge: reprocessing moves an edge by a pixel or
two."""


class _Seen(NamedTuple):
    """Where a product is clear and where it has data, one bit a pixel."""

    clear: NDArray[np.uint8]
    data: NDArray[np.uint8]


class UnreadableError(Exception):
    """A band of a scene that cannot be read."""

    def __init__(self, scene: Scene, band: str, error: NetError) -> None:
        super().__init__(f"item {scene.id}, {band}: {error}")
        self.scene, self.band, self.error = scene, band, error

    def to_json(self) -> dict[str, str]:
        """The entry in provenance."""
        kind = type(self.error).__name__.removesuffix("Error").lower()
        return {
            "id": self.scene.id,
            "source": self.scene.source,
            "band": self.band,
            "reason": kind,
            "said": str(self.error),
        }


@dataclass
class _Result:
    images: dict[str, NDArray[Any]] | None
    used: list[Scene]
    lost: list[UnreadableError] = field(default_factory=list)
    replaced: list[tuple[UnreadableError, Scene]] = field(default_factory=list)


def mosaic_day(
    bands: Bands, stack: str, day: Day, recipe: Recipe, shape: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]] | None, dict[str, Any]]:
    """Mosaic one day: images in the form of a cube, and a record of the scenes that they are made of.

    Within one acquisition a pixel takes its value from the first product that has data there. So a later piece of a
    split granule adds pixels, and a copy with the same footprint adds none. Products that cover the same footprint
    replace one that cannot be read; if there are none, it is recorded as lost, and the mosaic is made of the others.
    A pass with losses is read from another source if that has it complete.

    Returns
    -------
    images : "s2" (H, W, 10) uint16 and "s2_mask" (H, W) uint8; or the stack's name (H, W, 2) int16; None without data
    record : scenes used, lost and replaced

    Raises
    ------
    LoadError, CredentialError
        A provider cannot be reached, and no other one has the acquisition.
    """
    best: _Result | None = None
    tried: list[UnreadableError] = []
    silent: NetError | None = None
    for acquisitions in day.choices:
        try:
            result = _lay(bands, stack, acquisitions, recipe, shape)
        except UnreadableError as trouble:
            # the provider does not answer: try the next source
            tried.append(trouble)
            silent = silent or trouble.error
            continue
        if tried and result.used:
            result.replaced += [(trouble, result.used[0]) for trouble in tried]
        tried += result.lost
        if best is None or _worth(result) > _worth(best):
            best = result
        if result.images is not None and not result.lost:
            break
    if silent is not None and (best is None or best.images is None):
        raise silent
    return (None, _record(_Result(None, []))) if best is None else (best.images, _record(best))


def _worth(result: _Result) -> tuple[bool, int]:
    """Rank of a result: those with images are higher; then fewer losses, or without images more, as they say why."""
    if result.images is None:
        return False, len(result.lost)
    return True, -len(result.lost)


def _record(result: _Result) -> dict[str, Any]:
    return {
        "used": [list(scene.key) for scene in result.used],
        "baselines": sorted({scene.baseline for scene in result.used if scene.baseline}),
        "lost": [trouble.to_json() for trouble in result.lost],
        "fallbacks": [{**trouble.to_json(), "taken": scene.id} for trouble, scene in result.replaced],
    }


class _Waiting:
    """Acquisitions of a day: the products that may still be read, best first, and those lost or replaced."""

    def __init__(self, acquisitions: Iterable[Copies]) -> None:
        self.acquisitions = [list(copies) for copies in acquisitions]
        self.lost: list[UnreadableError] = []
        self.replaced: list[tuple[UnreadableError, Scene]] = []

    def give_up(self, trouble: UnreadableError, gave: float = 0.0) -> None:
        """Drop a product: record it as replaced if others of its acquisition cover its footprint, else as lost.

        `gave` is the share of the window that was to be read from it. Raises `UnreadableError` where its provider does
        not answer and no other covers its footprint.
        """
        scene = trouble.scene
        copies = next(copies for copies in self.acquisitions if scene in copies)
        place = copies.index(scene)
        before, after = copies[:place], copies[place + 1 :]
        # the traceback's frames keep the day's images in memory
        trouble.with_traceback(None)
        if gave < _SLIVER and cover_footprint(before, scene):
            copies[:] = [*before, *self._answering(trouble, before, after)]
            return
        rest = self._answering(trouble, before, after)
        others = [other for other in rest if other.source != scene.source] if _is_silent(trouble) else rest
        covered = cover_footprint([*before, *others], scene) and bool(others)
        if _is_silent(trouble) and not covered:
            raise trouble
        copies[:] = [*before, *rest]
        if covered:
            self.replaced.append((trouble, nearest_copy(others, scene)))
        else:
            self.lost.append(trouble)

    def _answering(self, trouble: UnreadableError, before: list[Scene], after: list[Scene]) -> list[Scene]:
        """Products that may still be read. If a provider does not answer, its other products are dropped where others
        cover their footprints."""
        if not _is_silent(trouble):
            return after
        held = [*before, *(scene for scene in after if scene.source != trouble.scene.source)]
        return [one for one in after if one.source != trouble.scene.source or not cover_footprint(held, one)]


def _is_silent(trouble: UnreadableError) -> bool:
    return isinstance(trouble.error, (LoadError, CredentialError))


def _lay(bands: Bands, stack: str, acquisitions: Iterable[Copies], recipe: Recipe, shape: tuple[int, int]) -> _Result:
    """Mosaic one list of acquisitions; no file is read twice, since a failure changes only what comes after it."""
    waiting = _Waiting(acquisitions)
    if stack == "s2":
        images, used = _optical(bands, waiting, recipe, shape)
    else:
        images, used = _radar(bands, waiting, recipe, shape, stack)
    return _Result(images, used, waiting.lost, waiting.replaced)


def _optical(
    bands: Bands, waiting: _Waiting, recipe: Recipe, shape: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]] | None, list[Scene]]:
    """Choose a scene for every pixel by the scene classification, then read the bands of the chosen scenes."""
    # bands first: each band is written contiguously
    mosaic = np.zeros((len(S2_BANDS), *shape), dtype=np.uint16)
    seen: dict[tuple[str, str, str], _Seen] = {}
    gone: list[tuple[UnreadableError, NDArray[np.uint8]]] = []
    whole = 0
    while True:
        pick, filled, chosen = _choose(bands, waiting, shape, seen)
        if not chosen or not covers_enough(int(np.count_nonzero(filled)), filled.size, recipe.min_coverage_s2):
            _tell_holes(waiting, gone, filled, seen)
            return None, []
        try:
            # scenes before a failed one keep their pixels
            for place in range(whole, len(chosen)):
                _fill(mosaic, bands, chosen[place], pick == place + 1, recipe)
                whole = place + 1
        except UnreadableError as trouble:
            mine = pick == whole + 1
            mosaic[:, mine] = 0
            waiting.give_up(trouble, float(mine.mean()))
            gone.append((trouble, np.packbits(mine)))
            continue
        _tell_holes(waiting, gone, filled, seen)
        return {"s2": np.ascontiguousarray(mosaic.transpose(1, 2, 0)), "s2_mask": filled.view(np.uint8)}, chosen


def _tell_holes(
    waiting: _Waiting,
    gone: Iterable[tuple[UnreadableError, NDArray[np.uint8]]],
    filled: NDArray[np.bool_],
    seen: dict[tuple[str, str, str], _Seen],
) -> None:
    """Record a replaced product as lost if its replacements, whose outlines cover it, have no data there."""
    for trouble, mine in gone:
        stand_in = next((scene for lost, scene in waiting.replaced if lost is trouble), None)
        if stand_in is None:
            continue
        copies = next((copies for copies in waiting.acquisitions if stand_in in copies), [stand_in])
        held = np.packbits(filled)
        for scene in copies:
            held |= seen[scene.key].data if scene.key in seen else 0
        wanted = np.unpackbits(mine).sum()
        if np.unpackbits(mine & held).sum() < wanted / 2:
            waiting.replaced = [pair for pair in waiting.replaced if pair[0] is not trouble]
            waiting.lost.append(trouble)


def _choose(
    bands: Bands, waiting: _Waiting, shape: tuple[int, int], seen: dict[tuple[str, str, str], _Seen]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[Scene]]:
    """The scene of each pixel, counted from 1, where filled, and the scenes; `seen` caches the classifications."""
    pick = np.zeros(shape, dtype=np.uint8)
    filled = np.zeros(shape, dtype=np.bool_)
    chosen: list[Scene] = []
    for copies in waiting.acquisitions:
        # masks of data instead of footprints: those may be wrong, and those of pieces meet in slanted lines
        held = np.zeros(shape, dtype=np.bool_)
        place = 0
        while place < len(copies) and len(chosen) < _MOST_SCENES and not (held | filled).all():
            scene = copies[place]
            if scene.key not in seen:
                try:
                    ((_, classes),) = bands(scene, [SCL])
                except UnreadableError as trouble:
                    waiting.give_up(trouble)
                    continue
                seen[scene.key] = _Seen(np.packbits(is_clear(classes)), np.packbits(classes != 0))
            clear, data = (np.unpackbits(bits, count=held.size).reshape(shape) for bits in seen[scene.key])
            number = np.full(shape, len(chosen) + 1, dtype=np.uint8)
            if take_first_valid(pick, filled, number, clear.astype(np.bool_) & ~held):
                chosen.append(scene)
            held |= data.astype(np.bool_)
            place += 1
    return pick, filled, chosen


def _fill(mosaic: NDArray[np.uint16], bands: Bands, scene: Scene, mine: NDArray[np.bool_], recipe: Recipe) -> None:
    """Read a scene's bands into its pixels of a mosaic, (bands, H, W)."""
    alone = bool(mine.all())
    for band, dn in bands(scene, S2_BANDS):
        plane = mosaic[S2_BANDS.index(band)]
        if alone and recipe.offset == "baseline":
            remove_offset(dn, scene.assets[band].offset, out=plane)
        else:
            np.copyto(plane, _harmonised(dn, scene, band, recipe), where=mine)


def _harmonised(dn: NDArray[np.uint16], scene: Scene, band: str, recipe: Recipe) -> NDArray[np.uint16]:
    offset = scene.assets[band].offset
    if recipe.offset == "date":
        return remove_offset_by_date(dn, scene.moment) if offset else dn
    return remove_offset(dn, offset)


def _radar(
    bands: Bands, waiting: _Waiting, recipe: Recipe, shape: tuple[int, int], stack: str
) -> tuple[dict[str, NDArray[Any]] | None, list[Scene]]:
    """Mosaic each polarisation separately, as in the published preprocessing; a scene may lack one."""
    mosaic = np.zeros((*shape, len(S1_BANDS)), dtype=np.int16)
    filled = np.zeros(mosaic.shape, dtype=np.bool_)
    total = np.zeros(mosaic.shape if recipe.radar_mosaic == "mean" else (0,), dtype=np.int64)
    count = np.zeros(total.shape, dtype=np.int64)
    used: list[Scene] = []
    for copies in waiting.acquisitions:
        held = np.zeros(mosaic.shape, dtype=np.bool_)
        place = 0
        while place < len(copies):
            scene = copies[place]
            # reading a copy costs as much as the first, so outlines are trusted once the first has data
            if held.any() and cover_footprint(copies[:place], scene):
                place += 1
                continue
            read = _polarisations(bands, scene, waiting)
            if read is None:
                continue
            gave = 0
            for band, image in read.items():
                valid = image > 0
                if not covers_enough(int(np.count_nonzero(valid)), valid.size, recipe.min_coverage_s1):
                    continue
                valid &= ~held[..., band]
                held[..., band] |= valid
                if recipe.radar_mosaic == "mean":
                    np.add(total[..., band], image, out=total[..., band], where=valid)
                    count[..., band] += valid
                    gave += int(np.count_nonzero(valid))
                    filled[..., band] |= valid
                else:
                    gave += take_first_valid(mosaic[..., band], filled[..., band], image, valid)
            if gave:
                used.append(scene)
            place += 1
        if recipe.radar_mosaic == "first" and filled.all():
            break
    if recipe.radar_mosaic == "mean":
        mosaic = (total // np.maximum(count, 1)).astype(np.int16)
    return ({stack: mosaic} if used else None), used


def _polarisations(bands: Bands, scene: Scene, waiting: _Waiting) -> dict[int, NDArray[np.int16]] | None:
    """All polarisations of a scene by band index, read before any is used; None if the next copy must be read."""
    try:
        found = bands(scene, [band for band in S1_BANDS if band in scene.assets])
        return {S1_BANDS.index(band): scale_s1(power) for band, power in found}
    except UnreadableError as trouble:
        waiting.give_up(trouble)
        return None
