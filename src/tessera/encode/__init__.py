"""Cubes to embeddings: sampling rules, batches, the network, codes."""

from .blocks import Block, plan_blocks
from .draws import Draw
from .encoder import Encoder, encoder_of, find_devices, load_encoder
from .job import Options
from .sampling import RULES, sample_indices

__all__ = [
    "RULES",
    "Block",
    "Draw",
    "Encoder",
    "Options",
    "encoder_of",
    "find_devices",
    "load_encoder",
    "plan_blocks",
    "sample_indices",
]
