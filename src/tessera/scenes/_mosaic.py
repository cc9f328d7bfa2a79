"""One day of scenes laid into images, going on with other copies where a file cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tessera.cubes import S1_BANDS, S2_BANDS
from tessera.net import CredentialError, LoadError, NetError

from ._assets import SCL
from .rules import covers_enough, is_clear, remove_offset, remove_offset_by_date, scale_s1, take_first_valid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ._plan import Copies, Day
    from .recipe import Recipe
    from .scene import Scene

_MOST_SCENES = 255
"""Scenes that one day's mosaic can tell apart."""


class Bands(Protocol):
    """Gives bands of scenes on the window, several at once."""

    def __call__(self, scene: Scene, bands: Sequence[str]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Band names with their images, (H, W), in whichever order they come.

        Raises
        ------
        UnreadableError
        """
        ...


class UnreadableError(Exception):
    """A band of a scene that cannot be had."""

    def __init__(self, scene: Scene, band: str, error: NetError) -> None:
        super().__init__(f"item {scene.id}, {band}: {error}")
        self.scene, self.band, self.error = scene, band, error

    def told(self) -> dict[str, str]:
        """As provenance holds it."""
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


def lay_day(
    bands: Bands, stack: str, day: Day, recipe: Recipe, shape: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]] | None, dict[str, Any]]:
    """The images of a day as a cube holds them, None where it gives nothing, and a record of what they are made of.

    A photograph that cannot be read is taken from its next copy; one without any is lost, and the day is laid from the
    others. A pass that is not whole is taken from another source where that has it whole.

    Returns
    -------
    images : "s2" (H, W, 10) uint16 and "s2_mask" (H, W) uint8; or the stack's name (H, W, 2) int16
    record : scenes used, lost and replaced

    Raises
    ------
    LoadError, CredentialError
        A provider cannot be reached, and no other one has the photograph.
    """
    best: _Result | None = None
    tried: list[UnreadableError] = []
    silent: NetError | None = None
    for photographs in day.choices:
        try:
            result = _lay(bands, stack, photographs, recipe, shape)
        except UnreadableError as trouble:
            # a provider that does not answer: only another one helps
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
    """Images before none, and of none the one that says what was lost; then the fewest losses."""
    if result.images is None:
        return False, len(result.lost)
    return True, -len(result.lost)


def _record(result: _Result) -> dict[str, Any]:
    return {
        "used": [list(scene.key) for scene in result.used],
        "baselines": sorted({scene.baseline for scene in result.used if scene.baseline}),
        "lost": [trouble.told() for trouble in result.lost],
        "fallbacks": [{**trouble.told(), "taken": scene.id} for trouble, scene in result.replaced],
    }


def _lay(bands: Bands, stack: str, photographs: Iterable[Copies], recipe: Recipe, shape: tuple[int, int]) -> _Result:
    waiting = [list(copies) for copies in photographs]
    lost: list[UnreadableError] = []
    replaced: list[tuple[UnreadableError, Scene]] = []
    while True:
        scenes = [copies[0] for copies in waiting if copies]
        try:
            if stack == "s2":
                images, used = _optical(bands, scenes, recipe, shape)
            else:
                images, used = _radar(bands, scenes, recipe, shape, stack)
        except UnreadableError as trouble:
            copies = next(copies for copies in waiting if copies and copies[0] is trouble.scene)
            if isinstance(trouble.error, (LoadError, CredentialError)):
                # its other copies with the same provider would fail alike
                rest = [scene for scene in copies if scene.source != trouble.scene.source]
                if not rest:
                    raise
            else:
                rest = copies[1:]
            copies[:] = rest
            if rest:
                replaced.append((trouble, rest[0]))
            else:
                lost.append(trouble)
            continue
        return _Result(images, used, lost, replaced)


def _optical(
    bands: Bands, scenes: Sequence[Scene], recipe: Recipe, shape: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]] | None, list[Scene]]:
    """Scene classes choose a scene for every pixel, then the bands of the chosen are read."""
    pick = np.zeros(shape, dtype=np.uint8)
    filled = np.zeros(shape, dtype=np.bool_)
    chosen: list[Scene] = []
    for scene in scenes:
        ((_, classes),) = bands(scene, [SCL])
        code = np.full(shape, len(chosen) + 1, dtype=np.uint8)
        if take_first_valid(pick, filled, code, is_clear(classes)):
            chosen.append(scene)
        if filled.all() or len(chosen) == _MOST_SCENES:
            break
    if not chosen or not covers_enough(int(np.count_nonzero(filled)), filled.size, recipe.min_coverage_s2):
        return None, []
    # band by band in memory: a band is written in one piece
    mosaic = np.zeros((len(S2_BANDS), *shape), dtype=np.uint16)
    for place, scene in enumerate(chosen):
        mine = pick == place + 1
        alone = len(chosen) == 1 and bool(mine.all())
        for band, dn in bands(scene, S2_BANDS):
            plane = mosaic[S2_BANDS.index(band)]
            if alone and recipe.offset == "baseline":
                remove_offset(dn, scene.assets[band].offset, out=plane)
            else:
                np.copyto(plane, _harmonised(dn, scene, band, recipe), where=mine)
    return {"s2": np.ascontiguousarray(mosaic.transpose(1, 2, 0)), "s2_mask": filled.view(np.uint8)}, chosen


def _harmonised(dn: NDArray[np.uint16], scene: Scene, band: str, recipe: Recipe) -> NDArray[np.uint16]:
    offset = scene.assets[band].offset
    if recipe.offset == "date":
        return remove_offset_by_date(dn, scene.moment) if offset else dn
    return remove_offset(dn, offset)


def _radar(
    bands: Bands, scenes: Sequence[Scene], recipe: Recipe, shape: tuple[int, int], stack: str
) -> tuple[dict[str, NDArray[Any]] | None, list[Scene]]:
    """Each polarisation by itself, as published; a scene may lack one."""
    mosaic = np.zeros((*shape, len(S1_BANDS)), dtype=np.int16)
    filled = np.zeros(mosaic.shape, dtype=np.bool_)
    total = np.zeros(mosaic.shape if recipe.radar_mosaic == "mean" else (0,), dtype=np.int64)
    count = np.zeros(total.shape, dtype=np.int64)
    used: list[Scene] = []
    for scene in scenes:
        gave = 0
        for band, power in bands(scene, [band for band in S1_BANDS if band in scene.assets]):
            place = S1_BANDS.index(band)
            image = scale_s1(power)
            valid = image > 0
            if not covers_enough(int(np.count_nonzero(valid)), valid.size, recipe.min_coverage_s1):
                continue
            if recipe.radar_mosaic == "mean":
                total[..., place] += image
                count[..., place] += valid
                gave += int(np.count_nonzero(valid))
                filled[..., place] |= valid
            else:
                gave += take_first_valid(mosaic[..., place], filled[..., place], image, valid)
        if gave:
            used.append(scene)
        if recipe.radar_mosaic == "first" and filled.all():
            break
    if recipe.radar_mosaic == "mean":
        mosaic = (total // np.maximum(count, 1)).astype(np.int16)
    return ({stack: mosaic} if used else None), used
