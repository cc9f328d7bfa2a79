"""A static server for stores and pages, with byte ranges."""

from .connection import Limits, Served
from .server import Server, make_server, serve

__all__ = [
    "Limits",
    "Served",
    "Server",
    "make_server",
    "serve",
]
