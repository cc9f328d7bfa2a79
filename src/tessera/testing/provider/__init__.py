"""A local provider of scenes, for tests and benchmarks: STAC API or CMR, signing, files, and faults on demand."""

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
