"""`tessera store`: info, check, repair, coverage, exchange, preview."""

from .group import app

__all__ = ["app"]
