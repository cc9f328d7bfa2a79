"""Earth Search of Element 84: Sentinel-2 L2A as public cloud-optimised GeoTIFFs on AWS.

Reference: earth-search.aws.element84.com/v1. Some of its items are in ESA's own bucket, sentinel-s2-l2a, and still
have the offset; the copies in sentinel-cogs do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tessera.net import LoadError, MissingError

from ..records import S2_COLLECTIONS
from .stac_api import StacApi

if TYPE_CHECKING:
    from tessera.net import NetError, Web

API = "https://earth-search.aws.element84.com/v1"


class EarthSearch(StacApi):
    """See `Source`.

    Parameters
    ----------
    url : root of the API
    """

    def __init__(self, url: str = API, *, web: Web | None = None) -> None:
        super().__init__(url, "earth-search", collections=S2_COLLECTIONS, web=web)

    def search_verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """The error for a refused search; this API answers 403 when it throttles."""
        return LoadError if status == 403 else super().search_verdict(status, body)

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:  # noqa: ARG002
        """See `Source`; S3 answers 403 for a missing file, because the buckets cannot be listed."""
        return MissingError if status == 403 else None
