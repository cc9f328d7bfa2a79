"""The part of a GeoTIFF that a target touches: fetched by byte range, unpacked by GDAL from memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tessera.net import CorruptError, PermanentError, join_ranges

from ._blocks import Blocks, mini_tiff
from ._tiff import Pieces, parse_tiff, read_lists
from .warp import box_for, lay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from ._tiff import File, Image
    from .warp import Box, Target

GAP = 4096
"""Bytes between two ranges that are taken along rather than asked around: less than what a request costs."""
CROP_LIMIT = 1024**3
"""Bytes of one file, packed."""
_PIXELS = 16
"""Pixels of a file for each of the target's: sides of 2.5 m."""

Span = tuple[int, int]
_Packed = bytes


@dataclass(frozen=True)
class Crop:
    """Blocks of one file, packed as they came."""

    name: str  # of the file
    requests: int  # requests, bytes: asked and taken, the header's too
    bytes: int
    image: Image  # what the file's header says
    box: Box | None  # the file's pixels that are wanted, None where the target lies outside of the file
    resampling: str | None = None  # the only one for which they suffice, None for any
    _corner: tuple[int, int] = (0, 0)
    _tiff: _Packed = field(default=b"", repr=False)

    def pixels(self) -> NDArray[Any]:
        """The wanted pixels of the file: (h, w) of its own type, 0 where it has no data."""
        left, top, right, bottom = self.box or (0, 0, 0, 0)
        if not self._tiff:
            return np.zeros((bottom - top, right - left), self.image.dtype)
        from rasterio.errors import RasterioError
        from rasterio.io import MemoryFile
        from rasterio.windows import Window

        part = Window(left - self._corner[0], top - self._corner[1], right - left, bottom - top)
        try:
            with MemoryFile(self._tiff) as memory, memory.open(driver="GTiff") as image:
                pixels: NDArray[Any] = image.read(1, window=part)
        except RasterioError as error:
            raise CorruptError(f"{self.name} has a block that cannot be unpacked: {_reason(error)}") from None
        if pixels.dtype != self.image.dtype or pixels.shape != (bottom - top, right - left):
            raise CorruptError(f"{self.name} was unpacked as {pixels.dtype}; expected {self.image.dtype}")
        if pixels.dtype.kind == "f":
            np.copyto(pixels, 0, where=np.isnan(pixels))
        no_data = self.image.no_data
        if no_data is not None and (pixels.dtype.kind == "f" or no_data in _range(pixels.dtype)):
            np.copyto(pixels, 0, where=pixels == no_data)
        return pixels

    def onto(self, target: Target, resampling: str, dtype: str) -> NDArray[Any]:
        """The pixels on the target that the crop was fetched for: (H, W) of a type, 0 where there is no data.

        What GDAL's warper gives from the whole file, with 0 for no data and so NaN and what the file declares;
        "nearest", "bilinear" or "cubic".
        """
        if self.resampling not in (None, resampling):
            raise ValueError(f"{self.name} was fetched for {self.resampling}, not for {resampling}")
        if not np.can_cast(self.image.dtype, dtype):
            raise PermanentError(f"{self.name} holds {self.image.dtype}; expected {dtype}")
        if self.box is None or not self._tiff:
            return np.zeros(target.window.shape, dtype)
        pixels = self.pixels().astype(dtype, copy=False)
        size = (self.image.width, self.image.height)
        return lay(pixels, self.box, size, self.image.place, target, resampling)


def fetch_crop(
    file: File,
    target: Target,
    *,
    resampling: str | None = None,
    at_once: Callable[[Callable[[Span], bytes], Sequence[Span]], Iterable[bytes]] | None = None,
) -> Crop:
    """Fetch what a target needs of a file: its header, then the blocks, neighbours in one range.

    Parameters
    ----------
    file : GeoTIFF of one sample a pixel
    target : the pixels that are wanted
    resampling : the only one that will be asked for; fewer blocks than for any where that is "nearest"
    at_once : maps a function over ranges, such as an executor's `map`; one after the other by default

    Raises
    ------
    CorruptError
        It is no TIFF file, or ends before its header or blocks do.
    PermanentError
        It is of a kind that is not read.
    NetError
        As the file raises them.
    """
    pieces = Pieces(file)
    image = parse_tiff(pieces)
    box = box_for(target, image.place, image.width, image.height, resampling)
    if box is None:
        return Crop(file.name, pieces.requests, pieces.bytes, image, None, resampling)
    left, top, right, bottom = box
    height, width = target.window.shape
    if (right - left) * (bottom - top) > _PIXELS * (width + 64) * (height + 64):
        raise PermanentError(
            f"{file.name} has {right - left} x {bottom - top} pixels for {width} x {height}; "
            f"expected at most {_PIXELS} for each"
        )
    rows, columns = image.rows, image.columns
    blocks = Blocks(top // rows, -(-bottom // rows), left // columns, -(-right // columns))
    spans = _spans(pieces, image, blocks)
    starts, sizes = np.array([span for span in spans if span[1]], dtype=np.int64).reshape(-1, 2).T
    ranges = [(run.start, run.stop) for run in join_ranges(starts, starts + sizes, gap=GAP, disjoint=True)]
    parts = {span[0]: bytes(held) for span in ranges if (held := pieces.has(*span)) is not None}
    missing = [span for span in ranges if span[0] not in parts]

    def read(span: Span) -> bytes:
        data = file.read(*span)
        if len(data) != span[1] - span[0]:
            raise CorruptError(
                f"{file.name} ends within a block; expected bytes {span[0]} to {span[1]}, got {len(data)} of them"
            )
        return data

    for span, data in zip(missing, (at_once or map)(read, missing), strict=True):
        pieces.add(span[0], data)
        parts[span[0]] = data
    small = mini_tiff(image, blocks, spans, parts) if parts else b""
    corner = (blocks.left * columns, blocks.top * rows)
    return Crop(file.name, pieces.requests, pieces.bytes, image, box, resampling, corner, small)


def _spans(pieces: Pieces, image: Image, blocks: Blocks) -> list[Span]:
    """First byte and length of each block, row by row; length 0 where it was never written."""
    start = blocks.top * image.across + blocks.left
    stop = (blocks.bottom - 1) * image.across + blocks.right
    offsets, sizes = read_lists(pieces, image, start, stop)
    wanted = [
        row * image.across + column - start
        for row in range(blocks.top, blocks.bottom)
        for column in range(blocks.left, blocks.right)
    ]
    spans = [(int(begin), int(size)) for begin, size in zip(offsets[wanted], sizes[wanted], strict=True)]
    most = 2 * image.block_bytes + 4096
    for begin, size in spans:
        if size and not (8 <= begin < 2**62 and size <= most):
            raise CorruptError(
                f"{pieces.name} claims a block of {size} bytes at byte {begin}; expected at most {most} bytes"
            )
    total = sum(size for _, size in spans)
    if total > CROP_LIMIT:
        raise PermanentError(f"{pieces.name} has {total} bytes for this area; expected at most {CROP_LIMIT}")
    return spans


def _range(dtype: np.dtype[Any]) -> range:
    about = np.iinfo(dtype)
    return range(about.min, about.max + 1)


def _reason(error: Exception) -> str:
    return " ".join(str(error.__cause__ or error).split())[:200]
