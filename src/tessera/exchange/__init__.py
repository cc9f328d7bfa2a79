"""What a store holds in the files of others, out and in."""

from .files import export_points, export_region

__all__ = ["export_points", "export_region"]
