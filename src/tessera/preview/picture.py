"""A picture of a store's extent, from its global pyramid, with a frame in degrees."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.base import InputError, require, write_atomic

from .globe import LAST, SIDE, Scale, halve
from .pyramid import read_chunk, read_pyramid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tessera.store import Store

LONG_SIDE = 1600
"""Most pixels of the pyramid along a side of the picture."""
_OVER = 2
"""Pixels by which a level's data may reach over those of the next coarser one."""
_DPI = 160
_INCHES = 7.0
"""Longer side of the frame."""


def draw_preview(store: Store, path: str | Path) -> tuple[Path, float, tuple[float, float, float, float]]:
    """Draw the finest level of the pyramid that fits into 1,600 pixels, cut to where there is data.

    Parameters
    ----------
    store : local, with a pyramid (`update_preview`)
    path : .png

    Returns
    -------
    The path, the side of a pixel, and (west, south, east, north), degrees; east is above 180 over the date line

    Raises
    ------
    InputError
        No pyramid, no data in it, another suffix, or matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise InputError(f"picture {path}; expected a name that ends in .png")
    root = store.objects.folder
    if root is None:
        raise InputError(f"{store.objects.root} is read by URL; a picture is drawn where the store is a local folder")
    state = read_pyramid(root)
    if state is None:
        raise InputError(f"{store.objects.root} has no pyramid; make it: tessera store preview {store.objects.root}")
    picture, side, (west, north) = _cut(root, state.finest)
    east, south = west + picture.shape[1] * side, north - picture.shape[0] * side
    title = f"{store.model.name}, {state.year}"
    _draw(path, picture, (west, south, east, north), title)
    return path, side, (west, south, east, north)


def _cut(root: Path, finest: int) -> tuple[NDArray[np.uint8], float, tuple[float, float]]:
    """The picture, the side of a pixel, and longitude and latitude of its north-west corner, degrees."""
    # the coarsest level is small enough to be looked at whole; its data say where to look on
    scale = Scale(LAST)
    picture = _read(root, scale, 0, 0, *scale.shape)
    row, col, height, width = _extent(picture, scale)
    for number in range(LAST - 1, finest - 1, -1):
        finer = Scale(number)
        # coarse pixels are painted by their middles: finer data may reach over their edge, and are trimmed where read
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


def _extent(picture: NDArray[np.uint8], scale: Scale) -> tuple[int, int, int, int]:
    """Row, column, height and width of what has data around the globe: what is left out is the widest gap."""
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
    """A rectangle of a level; columns go on over the date line."""
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
    purpose = "a picture with a frame"
    figure = require("matplotlib.figure", extra="heads", purpose=purpose).Figure(
        (max(size[0], 1.5), max(size[1], 1.5)), dpi=_DPI
    )
    require("matplotlib.backends.backend_agg", extra="heads", purpose=purpose).FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(picture, extent=(west, east, south, north), interpolation="nearest", aspect=1 / max(middle, 0.05))
    axes.xaxis.set_major_formatter(_degrees("E", "W"))
    axes.yaxis.set_major_formatter(_degrees("N", "S"))
    axes.locator_params(nbins=5)
    axes.tick_params(labelsize=8, top=True, right=True)
    axes.set_title(title, fontsize=10).set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.1, metadata={"Software": None})
    try:
        write_atomic(path, buffer.getvalue())
    except OSError as error:
        raise InputError(f"cannot write the picture {path}: {error.strerror or error}") from None


def _degrees(positive: str, negative: str) -> Any:
    def label(value: float, position: int | None = None) -> str:  # noqa: ARG001 - matplotlib's shape
        turned = (value + 180) % 360 - 180 if positive == "E" else value
        rounded = round(turned, 4)
        return f"{abs(rounded):g}° {positive if rounded > 0 else negative}" if rounded else "0°"

    return label
