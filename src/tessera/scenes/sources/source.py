"""What a provider of scenes is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from tessera.base import Progress
    from tessera.net import NetError

    from ..records import Scene


@dataclass(frozen=True)
class Query:
    """What is searched for.

    Attributes
    ----------
    box : west, south, east, north in degrees; west > east over the date line
    first, last : days of UTC, both included
    """

    box: tuple[float, float, float, float]
    first: dt.date
    last: dt.date

    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """The box, in two where it lies over the date line."""
        west, south, east, north = self.box
        if west <= east:
            return (self.box,)
        return (west, south, 180.0, north), (-180.0, south, east, north)


@dataclass(frozen=True)
class Address:
    """Where a file can be read now.

    Attributes
    ----------
    url : http or https, signed where its provider signs; or a path of this machine
    headers : to send to that host, and to no other
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A provider of scenes.

    Attributes
    ----------
    name : in provenance, such as "mpc", or the id of a static catalogue
    """

    @property
    def name(self) -> str: ...

    def search(self, query: Query, progress: Progress) -> Iterator[Scene]:
        """Scenes whose outline may meet the box, in the order of the catalogue; more may come, none twice.

        Raises
        ------
        InputError
            The catalogue is not one, or an item lacks what is needed.
        NetError
            It cannot be asked.
        """
        ...

    def address(self, href: str) -> Address:
        """Where an asset can be read now: signed, with a token that still holds for some minutes.

        Raises
        ------
        CredentialError
            There are no credentials, or they are refused.
        """
        ...

    def renew(self, href: str, refused: Address) -> bool:
        """Fetch new credentials after these were refused; False where there are none to fetch.

        Many threads may ask at once; one asks the provider.
        """
        ...

    def verdict(self, status: int, body: bytes) -> type[NetError] | None:
        """What a refusal of this provider means, where it is not what the status usually means."""
        ...
