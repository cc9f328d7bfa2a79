"""The protocol of a provider of scenes."""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tessera.net import MissingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tessera.base import Progress
    from tessera.net import NetError

    from ..records import Scene


@dataclass(frozen=True)
class Query:
    """The area and time of a search.

    Attributes
    ----------
    box : west, south, east, north in degrees; west > east over the date line
    first, last : UTC days, both included
    """

    box: tuple[float, float, float, float]
    first: dt.date
    last: dt.date

    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """The box, split in two where it crosses the date line."""
        west, south, east, north = self.box
        if west <= east:
            return (self.box,)
        return (west, south, 180.0, north), (-180.0, south, east, north)

    def months(self) -> Iterator[tuple[dt.date, dt.date]]:
        """First and last day of each calendar month, those of the ends cut to the query."""
        first = self.first
        while first <= self.last:
            last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
            yield first, min(last, self.last)
            first = last + dt.timedelta(days=1)


@dataclass(frozen=True)
class Address:
    """Where a file can be read now.

    Attributes
    ----------
    url : http or https, signed where its provider signs; or a path on this machine
    headers : to send to that host only
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class PublicFiles:
    """The part of a `Source` that concerns files, where anybody may read them."""

    def address(self, href: str) -> Address:
        """See `Source`; nothing is signed."""
        return Address(href)

    def renew(self, href: str, refused: Address) -> bool:  # noqa: ARG002
        """See `Source`; there are no credentials."""
        return False

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """See `Source`; a bucket that cannot be listed answers 403 for a missing file."""
        return MissingError if status == 403 and b"AccessDenied" in body else None


class Source(Protocol):
    """A provider of scenes.

    Attributes
    ----------
    name : in provenance, such as "mpc", or the id of a static catalogue
    """

    @property
    def name(self) -> str: ...

    def search(self, query: Query, progress: Progress) -> Iterator[Scene]:
        """Scenes whose outline may intersect the box, in the catalogue's order; others may be included, none twice.

        Raises
        ------
        InputError
            This is not a catalogue, or an item lacks a required value.
        NetError
            The catalogue cannot be searched.
        """
        ...

    def address(self, href: str) -> Address:
        """The address where an asset can be read now, with a signature or token that is valid for some minutes.

        Raises
        ------
        CredentialError
            There are no credentials, or they are refused.
        """
        ...

    def renew(self, href: str, refused: Address) -> bool:
        """Fetch new credentials after these were refused; False where there are none to fetch.

        Many threads may call this at once; only one of them asks the provider.
        """
        ...

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """The error for this provider's answer, None where the status has its usual meaning."""
        ...
