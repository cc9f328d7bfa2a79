"""A static server for stores, with byte ranges; the built page."""

from .connection import Limits, Served
from .page import lay_page, page_folder
from .server import Server, make_server, serve

__all__ = [
    "Limits",
    "Served",
    "Server",
    "lay_page",
    "make_server",
    "page_folder",
    "serve",
]
