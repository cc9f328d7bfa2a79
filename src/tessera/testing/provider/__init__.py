"""A provider of scenes on this machine, for tests and benchmarks: STAC API or CMR, signing, files, every fault."""

from .faults import At, Faults
from .server import EARTHDATA_TOKEN, Provider, Seen, serve_scenes

__all__ = [
    "EARTHDATA_TOKEN",
    "At",
    "Faults",
    "Provider",
    "Seen",
    "serve_scenes",
]
