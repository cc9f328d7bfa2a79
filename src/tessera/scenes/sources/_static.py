"""A static STAC catalogue in a folder or at an address. Catalogues are not trusted: no link may leave their folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from tessera.base import InputError, raise_if_machine, read_json, silent
from tessera.net import Web

from .items import scene_of
from .source import PublicFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tessera.base import Progress

    from ..records import Scene
    from .source import Query

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/\\]")
"""A scheme, a drive or an absolute path."""
_DOCUMENTS = 1_000_000
"""Documents that one catalogue may link to."""
_LIMIT = 64 * 1024**2
"""Bytes of a document."""
_NAMES = ("catalog.json", "collection.json")


class StaticCatalogue(PublicFiles):
    """A catalogue of linked documents; a search reads them all.

    Attributes
    ----------
    name : the id of its root document
    asked : its folder or address, as given
    """

    def __init__(self, place: str | Path) -> None:
        self.asked = str(place)
        self._files: _Folder | _Site = _Site(self.asked) if "://" in self.asked else _Folder(Path(place))
        self.name = str(self._files.read(self._files.entry).get("id", "")) or "static catalogue"

    def __repr__(self) -> str:
        return f"StaticCatalogue({self.asked!r})"

    def search(self, query: Query, progress: Progress = silent) -> Iterator[Scene]:  # noqa: ARG002 - all of it is read
        """See `Source`; yields every scene, whatever the query."""
        known: set[tuple[str, str]] = set()
        for count, (place, document) in enumerate(self._walk(), 1):
            progress(count, count)
            if document["type"] != "Feature":
                continue

            def resolve(what: str, href: object, place: str = place) -> str:
                return self._files.asset(href, place, what)

            scene = scene_of(document, self.name, resolve, count)
            if scene is None:
                continue
            if scene.key[1:] in known:
                raise InputError(f"item {scene.id} is twice in collection {scene.collection}; expected distinct ids")
            known.add(scene.key[1:])
            yield scene

    def _walk(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Paths and documents, breadth first, in the order of their links."""
        files = self._files
        waiting, known = [files.entry], {files.entry}
        for place in waiting:
            document = files.read(place)
            kind = document.get("type")
            if kind not in ("Catalog", "Collection", "Feature") or "stac_version" not in document:
                raise InputError(
                    f"{files.shown(place)} is not STAC: type {kind!r}; expected a Catalog, Collection or Feature"
                )
            yield place, document
            links = document.get("links") if kind != "Feature" else None
            for link in links if isinstance(links, list) else ():
                if isinstance(link, dict) and link.get("rel") in ("child", "item"):
                    linked = files.inside(link.get("href"), place, f"a link of {files.shown(place)}")
                    if linked not in known:
                        known.add(linked)
                        waiting.append(linked)
            if len(known) > _DOCUMENTS:
                raise InputError(f"catalogue {self.asked} links to more than {_DOCUMENTS} documents")


class _Folder:
    """Documents on this machine."""

    def __init__(self, path: Path) -> None:
        try:
            found = path.exists()
        except (OSError, ValueError):
            found = False  # the name is too long or has characters that are not allowed
        if not found:
            raise InputError(f"catalogue not found: {str(path)[:200]}")
        if path.is_dir():
            names = [name for name in _NAMES if (path / name).is_file()]
            if not names:
                raise InputError(f"no catalog.json in {path}; expected the folder of a static STAC catalogue")
            path = path / names[0]
        if not path.is_file():
            raise InputError(f"catalogue not found: {path}")
        self.root = path.parent.resolve()
        self.entry = str(self.root / path.name)

    def shown(self, place: str) -> str:
        return Path(place).relative_to(self.root).as_posix()

    def read(self, place: str) -> dict[str, Any]:
        file = Path(place)
        if file.exists() and not file.is_file():
            raise InputError(f"{self.shown(place)} is not a file; expected a STAC document")
        try:
            return read_json(file, what="STAC document", limit=_LIMIT)
        except OSError as error:
            raise_if_machine(error, self.shown(place))
            raise InputError(f"{self.shown(place)} cannot be read: {error.strerror}") from None

    def asset(self, href: object, document: str, what: str) -> str:
        return self.inside(href, document, what)

    def inside(self, href: object, document: str, what: str) -> str:
        """The file that a document refers to; with symbolic links resolved it must be in the catalogue's folder."""
        if not isinstance(href, str) or not href or "\0" in href:
            raise InputError(f"{what} has href {href!r}; expected a relative path")
        if _ABSOLUTE.match(href):
            raise InputError(f"{what} points to {href!r}; expected a relative path inside the catalogue's folder")
        folder = Path(document).parent
        for relative in dict.fromkeys((href, unquote(href))):
            try:
                file = (folder / relative).resolve()
            except (OSError, RuntimeError, ValueError):
                raise InputError(f"{what} has href {href!r}; expected a relative path") from None
            if not file.is_relative_to(self.root):
                raise InputError(f"{what} points to {href!r}; expected a path inside the catalogue's folder")
            if file.exists():
                return str(file)
        return str((folder / href).resolve())


class _Site:
    """Documents on a server, below one address."""

    def __init__(self, url: str) -> None:
        check_root(url, "a static STAC catalogue, or its folder")
        self.entry = url if url.endswith(".json") else f"{url.rstrip('/')}/{_NAMES[0]}"
        self.root = self.entry.rsplit("/", 1)[0] + "/"
        self._web = Web()

    def shown(self, place: str) -> str:
        return place

    def read(self, place: str) -> dict[str, Any]:
        document = self._web.get(place, limit=_LIMIT).json(place)
        if not isinstance(document, dict):
            raise InputError(f"{place} holds a JSON {type(document).__name__}; expected a STAC document")
        return document

    def asset(self, href: object, document: str, what: str) -> str:
        """The address of an asset, which may be on another server: assets are only read as pixels."""
        if isinstance(href, str) and href.startswith("s3://"):
            return public_address(href, what)
        address = self._joined(href, document, what)
        if urlsplit(address).scheme not in ("http", "https"):
            raise InputError(f"{what} points to {href!r}; expected an http or https address")
        return address

    def inside(self, href: object, document: str, what: str) -> str:
        """The address of a linked document, which must be below the catalogue's address."""
        address = self._joined(href, document, what)
        if not address.startswith(self.root) or ".." in unquote(urlsplit(address).path).split("/"):
            raise InputError(f"{what} points to {href!r}; expected an address below {self.root}")
        return address

    def _joined(self, href: object, document: str, what: str) -> str:
        if not isinstance(href, str) or not href or any(ord(letter) < 33 for letter in href):
            raise InputError(f"{what} has href {href!r}; expected an address")
        try:
            return urljoin(document, href)
        except ValueError:
            raise InputError(f"{what} has href {href!r}; expected an address") from None


def check_root(url: str, what: str) -> None:
    """Check that an address can be shown and recorded, and that paths can be appended to it.

    A password, a query or a fragment is refused, and the message does not show it.
    """
    try:
        parts = urlsplit(url)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https") or not host or any(ord(letter) < 33 for letter in url):
        raise InputError(
            f"source {url.partition('?')[0].rpartition('@')[2]!r}, scheme {scheme!r}; "
            f"expected the http or https address of {what}"
        )
    if parts.query or parts.fragment or "@" in parts.netloc:
        shown = f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise InputError(f"{shown} has a query or a password; expected the address of {what}")


_REGIONS = {"sentinel-cogs": "us-west-2", "sentinel-s2-l2a": "eu-central-1"}
"""Regions of buckets with Sentinel scenes (Registry of Open Data on AWS)."""
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)")


def public_address(href: str, what: str) -> str:
    """The https address of a file in a public bucket, given as s3://bucket/key."""
    match = _BUCKET.fullmatch(href)
    if match is None:
        raise InputError(f"{what} points to {href!r}; expected s3://bucket/key")
    region = f".{_REGIONS[match[1]]}" if match[1] in _REGIONS else ""
    return f"https://{match[1]}.s3{region}.amazonaws.com/{match[2]}"
