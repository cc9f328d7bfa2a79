"""Years of embeddings at a path or URL: layout, writer, reader."""

from .check import check_store
from .datasets import DATASETS, Dataset, dataset_identity, parse_dataset
from .layout import ArraySpec, Layout
from .metadata import parse_year
from .opening import NoStoreError
from .packing import pack, zstd_length
from .points import PointSample, PointStatus, parse_anywhere
from .prefetch import ahead
from .region import Region, plan_region
from .repair import repair_store
from .report import Problem, Repair, Report, Tally
from .store import Store, create_store, open_store
from .target import crs_facts
from .zonal import SquareSums, Zonal, ZonalPlan, plan_zonal

__all__ = [
    "DATASETS",
    "ArraySpec",
    "Dataset",
    "Layout",
    "NoStoreError",
    "PointSample",
    "PointStatus",
    "Problem",
    "Region",
    "Repair",
    "Report",
    "SquareSums",
    "Store",
    "Tally",
    "Zonal",
    "ZonalPlan",
    "ahead",
    "check_store",
    "create_store",
    "crs_facts",
    "dataset_identity",
    "open_store",
    "pack",
    "parse_anywhere",
    "parse_dataset",
    "parse_year",
    "plan_region",
    "plan_zonal",
    "repair_store",
    "zstd_length",
]
