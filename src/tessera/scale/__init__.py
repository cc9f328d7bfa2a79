"""Many pixels and long hours: cells embedded block by block, on several devices, continued after any stop."""

from .cells import embed_cube
from .workers import Workers, devices_for

__all__ = ["Workers", "devices_for", "embed_cube"]
