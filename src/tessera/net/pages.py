"""What a Parquet column of a store or a provider would unpack to, in this room's taxonomy."""

from __future__ import annotations

from tessera.base import InputError, Page, page_headers

from .errors import CorruptError

__all__ = ["Page", "parquet_pages"]


def parquet_pages(data: bytes, name: str) -> list[Page]:
    """See `tessera.base.page_headers`.

    Raises
    ------
    CorruptError
        A header cannot be read, or a page reaches beyond the column.
    """
    try:
        return page_headers(data, name)
    except InputError as error:
        raise CorruptError(str(error)) from None
