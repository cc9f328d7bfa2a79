"""For tests, yours and ours: a provider of scenes on this machine, with a switch for every fault."""

from .provider import EARTHDATA_TOKEN, At, Faults, Provider, Seen, serve_scenes

__all__ = [
    "EARTHDATA_TOKEN",
    "At",
    "Faults",
    "Provider",
    "Seen",
    "serve_scenes",
]
