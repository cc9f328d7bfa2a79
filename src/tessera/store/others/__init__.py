"""Stores that others wrote: published datasets, foreign Zarr layouts, plain Zarr arrays."""

from .datasets import DATASETS, PREFIX, Dataset, dataset_identity, dataset_url, parse_dataset
from .foreign import UnknownLayoutError, open_foreign
from .zarr_source import open_icechunk, open_zarr_source

__all__ = [
    "DATASETS",
    "PREFIX",
    "Dataset",
    "UnknownLayoutError",
    "dataset_identity",
    "dataset_url",
    "open_foreign",
    "open_icechunk",
    "open_zarr_source",
    "parse_dataset",
]
