"""Cubes to embeddings: sampling rules, batches, the network, codes."""

from .draws import Draw
from .encoder import Encoder, encoder_of, find_devices, load_encoder
from .job import Options
from .row_blocks import Block, plan_blocks
from .sampling import RULES, sample_indices
from .series import embed_with

__all__ = [
    "RULES",
    "Block",
    "Draw",
    "Encoder",
    "Options",
    "embed_with",
    "encoder_of",
    "find_devices",
    "load_encoder",
    "plan_blocks",
    "sample_indices",
]
