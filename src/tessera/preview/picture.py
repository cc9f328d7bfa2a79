"""A picture of a whole store, in degrees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tessera.base import InputError, check_picture
from tessera.figures import degrees, draw_plainly, new_figure, save_figure
from tessera.net import CorruptError, NetError

from ._colours import update_colours
from ._document import read_overviews
from ._globe import LAST, SIDE, Scale, halve
from ._pyramid import read_chunk, read_pyramid

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tessera.store import Store

    from ._colours import Colours

LONG_SIDE = 1600
"""Most pixels along a side of the picture."""
_OVER = 2
"""Pixels by which a level may reach beyond the next coarser level."""
_ROWS = 64
"""Rows of 10 m pixels that are coloured at once: 52 MB of 1,600 x 128 float32."""
_DPI = 160
_INCHES = 7.0
"""Longer side of the frame."""


def draw_preview(
    store: Store, path: str | Path, *, overwrite: bool = False
) -> tuple[Path, float, tuple[float, float, float, float]]:
    """Draw the part of the globe where a store has data, at most 1,600 pixels wide and high.

    A small store is drawn from its 10 m pixels or means of 2 x 2 of them, a larger one from the finest level of the
    pyramid that fits.

    Parameters
    ----------
    store : a local store after `update_preview`
    path : .png file; an earlier preview is replaced
    overwrite : replace any other file too

    Returns
    -------
    The path, the side of a pixel, and (west, south, east, north), in degrees; east > 180 over the date line

    Raises
    ------
    InputError
        No pyramid, no data, another suffix, a path that holds something else, or matplotlib is not installed.
    """
    path = check_picture(path, "preview", overwrite=overwrite)
    root = store.objects.folder
    if root is None:
        raise InputError(f"{store.objects.root} is read by URL; a picture is drawn where the store is a local folder")
    state = read_pyramid(root)
    if state is None:
        raise InputError(f"{store.objects.root} has no pyramid; make it: tessera store preview {store.objects.root}")
    picture, side, (west, north) = _cut(root, state.finest)
    if side > Scale(0).step:
        finer = _own_pixels(store, root, state.year, (west, north), picture.shape, side)
        picture, side, (west, north) = finer or (picture, side, (west, north))
    east, south = west + picture.shape[1] * side, north - picture.shape[0] * side
    title = f"{store.model.name}, {state.year}"
    _draw(path, picture, (west, south, east, north), title)
    return path, side, (west, south, east, north)


def _cut(root: Path, finest: int) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
    """The picture, the side of a pixel, and (longitude, latitude) of its north-west corner, degrees."""
    # the coarsest level is small enough to read whole, and shows where the data are
    scale = Scale(LAST)
    picture = _read(root, scale, 0, 0, *scale.shape)
    row, col, height, width = _extent(picture, scale)
    for number in range(LAST - 1, finest - 1, -1):
        finer = Scale(number)
        # a coarse pixel is coloured by its centre: finer data may reach over its edge, and are trimmed below
        top, left = max(0, 2 * (row - _OVER)), 2 * (col - _OVER)
        tall, wide = min(2 * (row + height + _OVER), finer.shape[0]) - top, 2 * (width + 2 * _OVER)
        if max(tall, wide) > 2 * LONG_SIDE:
            break
        inner = _trim(_read(root, finer, top, left, tall, wide))
        if inner is None or max(inner[2:]) > LONG_SIDE:
            break
        scale, (row, col, height, width) = finer, (top + inner[0], left + inner[1], inner[2], inner[3])
    picture = _read(root, scale, row, col, height, width)
    side, corner = scale.step, (-180 + col * scale.step, 90 - row * scale.step)
    while max(picture.shape[:2]) > LONG_SIDE:
        picture = halve(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])
        side *= 2
    return picture, side, corner


def _own_pixels(
    store: Store, root: Path, year: int, corner: tuple[float, float], shape: tuple[int, ...], side: float
) -> tuple[NDArray[np.uint8], float, tuple[float, float]] | None:
    """Like `_cut`, from 10 m pixels; None if they are too many, cross 180 E or cannot be read."""
    step, about = Scale(0).step, read_overviews(store)
    # a coarse pixel is coloured by its centre, so data may reach over its edge
    west, north = corner[0] - _OVER * side, min(corner[1] + _OVER * side, 90.0)
    east, south = corner[0] + (shape[1] + _OVER) * side, max(corner[1] - (shape[0] + _OVER) * side, -90.0)
    if about is None or west < -180 or east > 180 or max(shape[:2]) * side > 2 * LONG_SIDE * step:
        return None
    colours, _ = update_colours(store, root, about)
    try:
        transform, painted = None, []
        for strip in store.iter_region((west, south, east, north), year, crs="EPSG:4326", resolution=step, rows=_ROWS):
            transform = transform or strip.attrs["transform"]
            painted.append(_paint(colours, np.asarray(strip.values)))
    except (CorruptError, NetError):
        return None
    picture = np.concatenate(painted)
    inner = _trim(picture)
    if inner is None or transform is None:
        return None
    row, col, height, width = inner
    place = float(transform[2]) + col * step, float(transform[5]) - row * step
    picture = picture[row : row + height, col : col + width]
    while max(picture.shape[:2]) > LONG_SIDE:
        picture, step = halve(np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)))), 2 * step
        height, width = picture.shape[:2]
    return picture, step, place


def _paint(colours: Colours, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Vectors (H, W, D) to RGBA (H, W, 4), all 0 without data."""
    out = np.zeros((*values.shape[:2], 4), dtype=np.uint8)
    good = np.isfinite(values).all(axis=2)
    if good.any():
        out[good, :3], out[good, 3] = colours.colour(values[good]), 255
    return out


def _extent(picture: NDArray[np.uint8], scale: Scale) -> tuple[int, int, int, int]:
    """(row, column, height, width) of the data around the globe, without the widest gap."""
    there = picture[..., 3] > 0
    rows, cols = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if not len(rows):
        raise InputError("the pyramid holds no data; embed a cube first, and make the preview again")
    gaps = np.diff(np.append(cols, cols[0] + scale.shape[1]))
    after = int(gaps.argmax())
    first = int(cols[(after + 1) % len(cols)])
    width = scale.shape[1] - int(gaps[after]) + 1
    return int(rows[0]), first, int(rows[-1] - rows[0]) + 1, width


def _trim(picture: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    there = picture[..., 3] > 0
    rows, cols = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(cols[0]), int(rows[-1] - rows[0]) + 1, int(cols[-1] - cols[0]) + 1


def _read(root: Path, scale: Scale, row: int, col: int, height: int, width: int) -> NDArray[np.uint8]:
    """Read a rectangle of a level; columns continue over the date line."""
    out = np.zeros((height, width, 4), dtype=np.uint8)
    around = scale.shape[1]
    for start, left in ((col % around, 0), (0, around - col % around)):
        stop = min(around, start + width - left)
        if left < width and stop > start:
            _read_part(root, scale, row, start, out[:, left : left + stop - start])
    return out


def _read_part(root: Path, scale: Scale, row: int, col: int, out: NDArray[np.uint8]) -> None:
    height, width = out.shape[:2]
    for down in range(row // SIDE, (row + height - 1) // SIDE + 1):
        for right in range(col // SIDE, (col + width - 1) // SIDE + 1):
            if not (root / scale.key((down, right))).exists():
                continue
            chunk = read_chunk(root, scale, (down, right))
            top, left = down * SIDE - row, right * SIDE - col
            rows, cols = slice(max(0, top), min(height, top + SIDE)), slice(max(0, left), min(width, left + SIDE))
            out[rows, cols] = chunk[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


def _draw(path: Path, picture: NDArray[np.uint8], bounds: tuple[float, float, float, float], title: str) -> None:
    west, south, east, north = bounds
    middle = math.cos(math.radians((south + north) / 2))
    tall = (north - south) / max((east - west) * middle, 1e-9)
    size = (_INCHES, _INCHES * tall) if tall <= 1 else (_INCHES / tall, _INCHES)
    figure = new_figure(max(size[0], 1.5), max(size[1], 1.5), dpi=_DPI)
    axes = figure.subplots()
    axes.imshow(picture, extent=(west, east, south, north), interpolation="nearest", aspect=1 / max(middle, 0.05))
    axes.xaxis.set_major_formatter(lambda value, _: degrees(value, "EW"))
    axes.yaxis.set_major_formatter(lambda value, _: degrees(value, "NS"))
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=8, top=True, right=True)
    draw_plainly(axes.set_title(title, fontsize=10))
    save_figure(figure, path, "preview", margin=0.1)
