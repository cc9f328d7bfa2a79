"""tessera: Sentinel-1/2 scenes in, one vector for every 10 m pixel out, and maps from a handful of labels."""

from ._version import __version__

__all__ = ["__version__"]
