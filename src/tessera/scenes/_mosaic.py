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


class _Waiting:
    """Photographs of a day, each with the copies that may still be read, best first; and what became of the others."""

    def __init__(self, photographs: Iterable[Copies]) -> None:
        self.photographs = [list(copies) for copies in photographs]
        self.lost: list[UnreadableError] = []
        self.replaced: list[tuple[UnreadableError, Scene]] = []

    def give_up(self, trouble: UnreadableError) -> None:
        """Go on with the next copy of a photograph, if there is one.

        Raises
        ------
        UnreadableError
            Its provider does not answer, and no other one has the photograph.
        """
        copies = next(copies for copies in self.photographs if copies and copies[0] is trouble.scene)
        rest = copies[1:]
        if isinstance(trouble.error, (LoadError, CredentialError)):
            # its other copies with the same provider would fail alike
            rest = [scene for scene in copies if scene.source != trouble.scene.source]
            if not rest:
                raise trouble
        copies[:] = rest
        # its frames hold the day's images
        trouble.with_traceback(None)
        if rest:
            self.replaced.append((trouble, rest[0]))
        else:
            self.lost.append(trouble)


def _lay(bands: Bands, stack: str, photographs: Iterable[Copies], recipe: Recipe, shape: tuple[int, int]) -> _Result:
    """No file is read twice: what a photograph that fails changes is what comes after it."""
    waiting = _Waiting(photographs)
    if stack == "s2":
        images, used = _optical(bands, waiting, recipe, shape)
    else:
        images, used = _radar(bands, waiting, recipe, shape, stack)
    return _Result(images, used, waiting.lost, waiting.replaced)


def _optical(
    bands: Bands, waiting: _Waiting, recipe: Recipe, shape: tuple[int, int]
) -> tuple[dict[str, NDArray[Any]] | None, list[Scene]]:
    """Scene classes choose a scene for every pixel, then the bands of the chosen are read."""
    # band by band in memory: a band is written in one piece
    mosaic = np.zeros((len(S2_BANDS), *shape), dtype=np.uint16)
    clear: dict[tuple[str, str, str], NDArray[np.uint8]] = {}
    whole = 0
    while True:
        pick, filled, chosen = _choose(bands, waiting, shape, clear)
        if not chosen or not covers_enough(int(np.count_nonzero(filled)), filled.size, recipe.min_coverage_s2):
            return None, []
        try:
            # those before one that failed keep their pixels
            for place in range(whole, len(chosen)):
                _fill(mosaic, bands, chosen[place], pick == place + 1, recipe)
                whole = place + 1
        except UnreadableError as trouble:
            mosaic[:, pick == whole + 1] = 0
            waiting.give_up(trouble)
            continue
        return {"s2": np.ascontiguousarray(mosaic.transpose(1, 2, 0)), "s2_mask": filled.view(np.uint8)}, chosen


def _choose(
    bands: Bands, waiting: _Waiting, shape: tuple[int, int], clear: dict[tuple[str, str, str], NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[Scene]]:
    """Which scene each pixel is taken from, counted from 1; `clear` keeps what was read, a bit a pixel."""
    pick = np.zeros(shape, dtype=np.uint8)
    filled = np.zeros(shape, dtype=np.bool_)
    chosen: list[Scene] = []
    for copies in waiting.photographs:
        while copies and copies[0].key not in clear:
            try:
                ((_, classes),) = bands(copies[0], [SCL])
                clear[copies[0].key] = np.packbits(is_clear(classes))
            except UnreadableError as trouble:
                waiting.give_up(trouble)
        if not copies:
            continue
        valid = np.unpackbits(clear[copies[0].key], count=filled.size).reshape(shape)
        if take_first_valid(pick, filled, np.full(shape, len(chosen) + 1, dtype=np.uint8), valid):
            chosen.append(copies[0])
        if filled.all() or len(chosen) == _MOST_SCENES:
            break
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
    """Each polarisation by itself, as published; a scene may lack one."""
    mosaic = np.zeros((*shape, len(S1_BANDS)), dtype=np.int16)
    filled = np.zeros(mosaic.shape, dtype=np.bool_)
    total = np.zeros(mosaic.shape if recipe.radar_mosaic == "mean" else (0,), dtype=np.int64)
    count = np.zeros(total.shape, dtype=np.int64)
    used: list[Scene] = []
    for copies in waiting.photographs:
        read: dict[int, NDArray[np.int16]] | None = None
        while copies and read is None:
            read = _polarisations(bands, copies[0], waiting)
        if read is None:
            continue
        scene, gave = copies[0], 0
        for place, image in read.items():
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


def _polarisations(bands: Bands, scene: Scene, waiting: _Waiting) -> dict[int, NDArray[np.int16]] | None:
    """All that a scene has, by place, before any of it is laid; None where the next copy must be taken."""
    try:
        found = bands(scene, [band for band in S1_BANDS if band in scene.assets])
        return {S1_BANDS.index(band): scale_s1(power) for band, power in found}
    except UnreadableError as trouble:
        waiting.give_up(trouble)
        return None
