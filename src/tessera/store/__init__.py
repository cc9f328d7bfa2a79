"""Years of embeddings at a path or URL: layout, writer, reader."""

from .layout import ArraySpec, Layout
from .metadata import parse_year
from .store import Store, create_store, open_store

__all__ = ["ArraySpec", "Layout", "Store", "create_store", "open_store", "parse_year"]
