"""Cubes to embeddings: sampling rules, batches, the network, codes."""

from .encoder import Encoder, load_encoder
from .sampling import RULES, sample_indices

__all__ = ["RULES", "Encoder", "load_encoder", "sample_indices"]
