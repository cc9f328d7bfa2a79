"""Reading pixels: points, regions, zonal statistics, lazy arrays."""

from .arrow import record_batches
from .lazy import iter_arrays, iter_coded, lazy_array, read_array, register_accessor
from .points import PointSample, PointStatus, parse_anywhere, sample, sample_coded, sample_inside
from .query import parse_query
from .region import Region, plan_region
from .state import cells_at, cells_of, cells_of_region, state_of
from .target import crs_facts, parse_target
from .whereabouts import refuse_empty, where_data_lie
from .zonal import SquareSums, Zonal, ZonalPlan, plan_zonal, zonal_means

__all__ = [
    "PointSample",
    "PointStatus",
    "Region",
    "SquareSums",
    "Zonal",
    "ZonalPlan",
    "cells_at",
    "cells_of",
    "cells_of_region",
    "crs_facts",
    "iter_arrays",
    "iter_coded",
    "lazy_array",
    "parse_anywhere",
    "parse_query",
    "parse_target",
    "plan_region",
    "plan_zonal",
    "read_array",
    "record_batches",
    "refuse_empty",
    "register_accessor",
    "sample",
    "sample_coded",
    "sample_inside",
    "state_of",
    "where_data_lie",
    "zonal_means",
]
