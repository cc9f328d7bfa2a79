"""Training data: blocks of pixel-years on disk, their shuffled order, augmentation."""

from .augment import Augment
from .block_files import Blocks, open_blocks, write_blocks
from .random import bits, key_of, keys_of, uniform
from .stream import Scaler, Stream, draw_into
from .year import month_means, year_curves

__all__ = [
    "Augment",
    "Blocks",
    "Scaler",
    "Stream",
    "bits",
    "draw_into",
    "key_of",
    "keys_of",
    "month_means",
    "open_blocks",
    "uniform",
    "write_blocks",
    "year_curves",
]
