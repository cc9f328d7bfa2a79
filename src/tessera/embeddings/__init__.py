"""Embeddings: int8 codes with one scale a pixel, observation counts, and the one test of validity."""

from .coded import CodedVectors
from .codes import dequantise, is_valid, parse_scales, quantise
from .embeddings import STREAMS, Embeddings, ModelIdentity
from .stacked import StackedVectors

__all__ = [
    "STREAMS",
    "CodedVectors",
    "Embeddings",
    "ModelIdentity",
    "StackedVectors",
    "dequantise",
    "is_valid",
    "parse_scales",
    "quantise",
]
