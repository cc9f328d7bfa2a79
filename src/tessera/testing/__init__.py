"""Tools for tests: a local provider of scenes that fails on demand, small stores, strategies for hypothesis."""

from . import strategies
from .provider import EARTHDATA_TOKEN, At, Faults, Provider, Seen, serve_scenes
from .stores import (
    SMALL_LAYOUT,
    SMALL_MODEL,
    FolderHandler,
    Request,
    random_embeddings,
    same_embeddings,
    serve_folder,
    small_store,
)

__all__ = [
    "EARTHDATA_TOKEN",
    "SMALL_LAYOUT",
    "SMALL_MODEL",
    "At",
    "Faults",
    "FolderHandler",
    "Provider",
    "Request",
    "Seen",
    "random_embeddings",
    "same_embeddings",
    "serve_folder",
    "serve_scenes",
    "small_store",
    "strategies",
]
