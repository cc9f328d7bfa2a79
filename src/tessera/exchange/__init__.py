"""What a store holds in the files of others, out and in."""

from .points import estimate_points, export_points
from .regions import estimate_region, export_region, targets_of
from .sizes import Estimate
from .zonal import estimate_zonal, export_zonal

__all__ = [
    "Estimate",
    "estimate_points",
    "estimate_region",
    "estimate_zonal",
    "export_points",
    "export_region",
    "export_zonal",
    "targets_of",
]
