"""A simulated cube in memory, equal to what `build_cube` reads from the simulated scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.cubes import PixelCube
from tessera.scenes import has_offset, is_clear, remove_offset, scale_s1
from tessera.simulator.landscape._world import COARSE, FINE, World

if TYPE_CHECKING:
    import datetime as dt

    from numpy.typing import NDArray

    from tessera.geo import Window
    from tessera.simulator.landscape._world import S1Dates, S2Dates


def simulate_cube(
    window: Window,
    year: int,
    *,
    seed: int = 0,
    s2_dates: S2Dates = 30,
    s1_dates: S1Dates = 25,
) -> tuple[PixelCube, NDArray[np.uint8]]:
    """The cube of a place and a year with its true land cover (H, W) uint8, made without writing scenes."""
    world = World(window, year, seed, s2_dates, s1_dates)
    rows, cols = world.frame.slices(window)
    s2, masks, s2_days = [], [], []
    for index in range(len(world.s2_dates)):
        scene = world.optical(index)
        clear = is_clear(scene.scl).repeat(2, axis=0).repeat(2, axis=1)[rows, cols]
        if clear.any():
            dn = np.empty((*window.shape, len(FINE) + len(COARSE)), dtype=np.uint16)
            dn[..., FINE[0] : FINE[-1] + 1] = scene.fine[rows, cols]
            dn[..., COARSE[0] : COARSE[-1] + 1] = double(scene.coarse)[rows, cols]
            dn = remove_offset(dn, has_offset(scene.baseline))
            dn[~clear] = 0
            s2.append(dn)
            masks.append(clear.astype(np.uint8))
            s2_days.append(scene.day)
    orbits: dict[bool, tuple[list[NDArray[np.int16]], list[dt.date]]] = {True: ([], []), False: ([], [])}
    for ascending, (images, days) in orbits.items():
        for index in range(len(world.s1_asc_dates if ascending else world.s1_desc_dates)):
            passed = world.radar(index, ascending)
            image = scale_s1(passed.power[rows, cols])
            if image.any():
                images.append(image)
                days.append(passed.day)
    (asc, asc_days), (desc, desc_days) = orbits[True], orbits[False]
    cube = PixelCube(
        s2=_stack(s2, (*window.shape, 10), np.uint16),
        s2_mask=_stack(masks, window.shape, np.uint8),
        s2_doy=_days(s2_days),
        s1_asc=_stack(asc, (*window.shape, 2), np.int16),
        s1_asc_doy=_days(asc_days),
        s1_desc=_stack(desc, (*window.shape, 2), np.int16),
        s1_desc_doy=_days(desc_days),
        grid=window.grid,
        provenance={
            "year": year,
            "source": f"simulation, seed {seed}",
            "s2_dates": [day.isoformat() for day in s2_days],
            "s1_asc_dates": [day.isoformat() for day in asc_days],
            "s1_desc_dates": [day.isoformat() for day in desc_days],
        },
    )
    return cube, world.truth


def double(coarse: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """20 m bands (h, w, bands) on the 10 m grid (2h, 2w, bands): bilinear, 0 = no data takes no part, .5 rounds up.

    A 10 m centre lies a quarter of a 20 m pixel from the nearest 20 m centre, so the weights are 3/4 and 1/4 each way;
    this is what GDAL's bilinear warp gives on such a grid.
    """
    seen = (coarse[..., :1] != 0).astype(np.float32)
    total = _quarters(coarse.astype(np.float32) * seen)
    weight = _quarters(seen)
    return np.where(weight > 0, np.floor(total / np.maximum(weight, 1e-9) + np.float32(0.5)), 0).astype(np.uint16)


def _quarters(field: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in (0, 1):
        padded = np.pad(field, [(1, 1) if a == axis else (0, 0) for a in range(field.ndim)])
        lower, centre, upper = (
            padded[_at(axis, slice(None, -2))],
            padded[_at(axis, slice(1, -1))],
            padded[_at(axis, slice(2, None))],
        )
        pair = np.stack([0.75 * centre + 0.25 * lower, 0.75 * centre + 0.25 * upper], axis=axis + 1)
        shape = list(field.shape)
        shape[axis] *= 2
        field = pair.reshape(shape).astype(np.float32)
    return field


def _at(axis: int, part: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (part,)


def _stack(images: list[Any], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    return np.stack(images) if images else np.zeros((0, *shape), dtype=dtype)


def _days(days: list[dt.date]) -> NDArray[np.int16]:
    return np.array([day.timetuple().tm_yday for day in days], dtype=np.int16)
