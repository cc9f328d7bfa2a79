"""Earth Search of Element 84: Sentinel-2 L2A as cloud-optimised GeoTIFFs on AWS, public.

Its facts: earth-search.aws.element84.com/v1. Some of its items lie in ESA's own bucket, sentinel-s2-l2a, and still
carry the offset; the copies in sentinel-cogs do not.
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
        """What a refusal of a search means: here 403 is a throttle."""
        return LoadError if status == 403 else super().search_verdict(status, body)

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:  # noqa: ARG002
        """See `Source`; S3 refuses what is not there, as the buckets may not be listed."""
        return MissingError if status == 403 else None
