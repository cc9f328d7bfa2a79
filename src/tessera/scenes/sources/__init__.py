"""Where scenes come from: one module a source, and the registry that knows them by name."""

from .items import printable, scene_of
from .opera import CONCEPT, expiry
from .registry import check_credentials, parse_source, sources_of
from .source import Address, Query, Source
from .stac_api import StacApi

__all__ = [
    "CONCEPT",
    "Address",
    "Query",
    "Source",
    "StacApi",
    "check_credentials",
    "expiry",
    "parse_source",
    "printable",
    "scene_of",
    "sources_of",
]
