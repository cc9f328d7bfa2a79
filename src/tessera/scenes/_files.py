"""Bytes of the files of scenes, on this machine or at a provider that signs, throttles and lets tokens expire."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tessera.base import InputError, open_regular, raise_if_machine
from tessera.net import CorruptError, CredentialError, MissingError, PermanentError, Web

if TYPE_CHECKING:
    from .sources import Source

_RENEWALS = 2
"""New credentials that are asked for before a refusal is believed."""


class LocalFile:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (exclusive), fewer where the file ends.

        Raises
        ------
        MissingError, PermanentError
        MachineError
            This machine cannot read any file, whichever it is.
        """
        try:
            with open_regular(self.path, what="scene") as file:
                file.seek(start)
                return file.read(stop - start)
        except InputError:
            raise PermanentError(f"{self.name} is not a file; expected a GeoTIFF") from None
        except FileNotFoundError:
            raise MissingError(f"{self.name} is missing") from None
        except (OSError, MemoryError) as error:
            raise_if_machine(error, self.name)
            raise PermanentError(f"{self.name} cannot be read: {getattr(error, 'strerror', None) or error}") from None


class RemoteFile:
    """A file of a provider; one version of it, since header and blocks belong together."""

    def __init__(self, source: Source, href: str) -> None:
        self.name = href.split("?", 1)[0]
        self._source, self._href = source, href
        self._web = Web(source.verdict)
        self._version: str | None = None

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` (exclusive), fewer where the file ends.

        Raises
        ------
        LoadError, CredentialError, MissingError, CorruptError, PermanentError
        """
        for attempt in range(_RENEWALS + 1):
            address = self._source.address(self._href)
            try:
                answer = self._web.get(address.url, span=(start, stop), limit=stop - start, headers=address.headers)
                break
            except CredentialError:
                if attempt == _RENEWALS or not self._source.renew(self._href, address):
                    raise
            except InputError as error:
                raise PermanentError(str(error)) from None
        version = answer.headers.get("etag")
        if self._version is not None and version is not None and version != self._version:
            raise CorruptError(f"{self.name} was replaced while it was read")
        self._version = self._version or version
        return answer.data


def open_file(source: Source, href: str) -> LocalFile | RemoteFile:
    """The file behind an asset's address."""
    if "://" in href:
        return RemoteFile(source, href)
    return LocalFile(Path(href))
