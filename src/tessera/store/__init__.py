"""Years of embeddings at a path or URL: layout, writer, reader."""

from .commits import (
    BOOKKEEPING,
    MARK_BYTES,
    Commit,
    cell_lock_path,
    commit_path,
    is_pending,
    pack_bitmap,
    read_commit,
    read_intent,
    recover_cell,
    sha256_of,
)
from .opening import NoStoreError, create_store, open_store
from .others import DATASETS, Dataset, dataset_identity, parse_dataset
from .queries import (
    PointSample,
    PointStatus,
    Region,
    SquareSums,
    Zonal,
    ZonalPlan,
    crs_facts,
    parse_anywhere,
    plan_region,
    plan_zonal,
)
from .store import Store

__all__ = [
    "BOOKKEEPING",
    "DATASETS",
    "MARK_BYTES",
    "Commit",
    "Dataset",
    "NoStoreError",
    "PointSample",
    "PointStatus",
    "Region",
    "SquareSums",
    "Store",
    "Zonal",
    "ZonalPlan",
    "cell_lock_path",
    "commit_path",
    "create_store",
    "crs_facts",
    "dataset_identity",
    "is_pending",
    "open_store",
    "pack_bitmap",
    "parse_anywhere",
    "parse_dataset",
    "plan_region",
    "plan_zonal",
    "read_commit",
    "read_intent",
    "recover_cell",
    "sha256_of",
]
