"""Objects by key under one root, a local folder or a URL, read whole or by byte range."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, raise_if_machine, safe_path

from ._host import Host, host_of, retries
from ._proxies import client_options
from .errors import (
    ChangedError,
    CorruptError,
    CredentialError,
    LoadError,
    MissingError,
    NetError,
    OversizeError,
    PermanentError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore import GetOptions

_LOAD = re.compile(
    r"(status code|status|code)\W+(429|5\d\d)|server error|too many requests|timed? ?out|connection (reset|closed)"
    r"|body error|error decoding response body|end of file before message|incomplete message"
)
"""Signs of a busy server or a broken connection in the first line of an error."""
_RANGE_SIGNS = ("range was invalid", "range not satisfiable", "status code: 416")
_ONE_ATTEMPT = {"max_retries": 0}
"""`Host` retries instead, so that all readers of a host wait."""
_UNREACHED = re.compile(r"kind: connect\b|dns error|connection refused")
_NONSENSE = re.compile(r"\bparse\(\s*(version|status|header|toolarge|uri|method|internal)")
"""Signs of an answer that is not HTTP in a client's error."""
_CLIENT: dict[str, Any] = {
    "user_agent": "tessera-earth",
    "timeout": "120s",
    "connect_timeout": "20s",
    "allow_http": True,
}


@contextmanager
def _named(root: str, key: str) -> Iterator[None]:
    """Translate errors of the object store into the taxonomy, naming the object."""
    from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError

    where = f"{root}/{key}"
    try:
        yield
    except NetError:
        raise
    except FileNotFoundError:
        raise MissingError(f"{where} is missing") from None
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise CredentialError(f"{where} is refused: {_first_line(error)}") from None
    except (BaseError, OSError, ValueError) as error:
        raise_if_machine(error, where)
        text = _first_line(error)
        said = text.lower().replace(key.lower(), "").replace(root.lower(), "")
        if isinstance(error, PreconditionError):
            raise ChangedError(f"{where} was replaced while it was read, try again") from None
        if "range request not supported" in said:
            raise PermanentError(f"{root} does not answer range requests; expected a server that does") from None
        if any(sign in said for sign in _RANGE_SIGNS):
            raise CorruptError(f"{where} is shorter than expected: {text}") from None
        whole = str(error).lower()
        if "certificate" in whole or "corrupt message" in whole or "handshake" in whole:
            raise PermanentError(
                f"{where}: no secure connection: the certificate is not trusted, or the server does not speak https"
            ) from None
        if "error sending request" in said:
            if _NONSENSE.search(whole):
                raise PermanentError(f"{where}: the server does not speak HTTP") from None
            reached = not _UNREACHED.search(whole)
            what = "no answer from the server" if reached else "no server answers at this address"
            raise LoadError(f"{where}: {what}", reached=reached, broken=reached and "timed" not in whole) from None
        if _LOAD.search(said):
            raise LoadError(f"{where} could not be read, try again: {text}") from None
        raise PermanentError(f"{where} could not be read: {text}") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


@dataclass(frozen=True)
class Objects:
    """Objects under one root.

    Attributes
    ----------
    root : path or URL, for messages
    folder : the path where it is local, else None
    """

    root: str
    folder: Path | None
    _store: Any
    _host: Host

    def zarr_store(self) -> Any:
        """The same objects as zarr-python's read-only store."""
        from zarr.storage import ObjectStore

        if self.folder is None:
            return ObjectStore(_remote_store(self.root, retries()), read_only=True)
        from ._regular import RegularStore

        return RegularStore(ObjectStore(self._store, read_only=True), self.folder)

    def read(self, key: str, *, limit: int) -> bytes:
        """A whole object of at most `limit` bytes.

        Raises
        ------
        MissingError, OversizeError, CredentialError, LoadError, PermanentError
        """
        import obstore

        def request() -> bytes:
            with _named(self.root, key):
                answer = obstore.get(self._store, key)
                size = int(answer.meta["size"])
                if size > limit:
                    raise OversizeError(f"{self.root}/{key} has {size} bytes; at most {limit} are read")
                data = self._take(answer, limit)
            if len(data) > limit:
                raise OversizeError(f"{self.root}/{key} has more than the {size} bytes that its server states")
            return data

        self._check_file(key, inside=True)
        return self._host.ask(request)

    def _check_file(self, key: str, *, inside: bool = False) -> None:
        """Refuse anything but a file, such as a pipe, which would block; with `inside` also a link out of the root."""
        if self.folder is None:
            return
        path = self.folder / key
        if inside:
            try:
                safe_path(self.folder, path)
                if path.is_symlink():
                    safe_path(self.folder, Path(os.path.realpath(path)))
            except InputError as error:
                raise CorruptError(str(error)) from None
        try:
            # one call only: between two a writer may remove the file
            mode = path.stat().st_mode
        except OSError as error:
            raise_if_machine(error, path)
            return
        if not stat.S_ISREG(mode):
            raise CorruptError(f"{path} is no file")

    def _take(self, answer: Any, most: int) -> bytes:
        """The bytes of an answer; reading stops a few bytes after `most`."""
        if self.folder is not None:
            return bytes(answer.bytes())
        parts: list[Any] = []
        taken = 0
        for part in answer.stream(min_chunk_size=max(1, most)):
            parts.append(part)
            taken += len(part)
            if taken > most:
                break
        return bytes(parts[0]) if len(parts) == 1 else b"".join(map(bytes, parts))

    def edge(self, key: str, length: int, *, at_end: bool = False, known: str | None = None) -> Piece | None:
        """The first or last `length` bytes of an object, with its size and version, in one request.

        Parameters
        ----------
        known : the version that the caller has; if it is still current, no bytes are sent and None is returned

        Raises
        ------
        CorruptError
            The object is shorter.
        MissingError, CredentialError, LoadError, PermanentError
        """
        import obstore
        from obstore.exceptions import NotModifiedError

        options: GetOptions = {"range": {"suffix": length} if at_end else (0, length)}
        if known is not None:
            options["if_none_match"] = known

        def request() -> Piece | None:
            with _named(self.root, key):
                try:
                    answer = obstore.get(self._store, key, options=options)
                    size, etag = int(answer.meta["size"]), answer.meta["e_tag"]
                    data = self._take(answer, length)
                except NotModifiedError:
                    return None
            if known is not None and etag == known:
                # a server that does not know the condition
                return None
            return Piece(data, size, etag)

        self._check_file(key)
        piece = self._host.ask(request)
        if piece is not None and len(piece.data) != length:
            said = f"received {len(piece.data)} of {piece.size} bytes"
            raise CorruptError(
                f"{self.root}/{key}: {said}; expected {length} at its {'end' if at_end else 'beginning'}"
            )
        return piece

    def range(self, key: str, start: int, stop: int, *, etag: str | None = None) -> bytes:
        """Bytes `start` to `stop` (exclusive) of an object.

        Parameters
        ----------
        etag : the wanted version, strong or weak; a strong one is sent as a condition, and the answer's is always
            compared

        Raises
        ------
        ChangedError
            The object is no longer of that version.
        CorruptError
            Fewer bytes arrived.
        MissingError, CredentialError, LoadError, PermanentError
        """
        import obstore

        options: GetOptions = {"range": (start, stop)}
        # a weak tag never matches a condition (RFC 9110, 13.1.1)
        if etag is not None and is_strong(etag):
            options["if_match"] = etag

        def request() -> bytes:
            with _named(self.root, key):
                answer = obstore.get(self._store, key, options=options)
                found = answer.meta["e_tag"]
                if etag is not None and found is not None and found != etag:
                    # a server that does not know the condition
                    raise ChangedError(f"{self.root}/{key} was replaced while it was read, try again")
                return self._take(answer, stop - start)

        self._check_file(key)
        data = self._host.ask(request)
        if len(data) != stop - start:
            raise CorruptError(f"{self.root}/{key}: received {len(data)} bytes from {start}; expected {stop - start}")
        return data


def is_strong(etag: str | None) -> bool:
    """Whether an ETag is strong, so that a request can be conditional on it."""
    return etag is not None and not etag.startswith("W/")


@dataclass(frozen=True)
class Piece:
    """A part of an object: its bytes, the size of the whole, and its version (None if unknown)."""

    data: bytes
    size: int
    etag: str | None


def open_objects(root: str | Path) -> Objects:
    """Open a folder or a URL (http, https, s3, gs, az) for reading.

    Raises
    ------
    InputError
        The folder is missing, or the URL's scheme is none of these.
    """
    from obstore.store import LocalStore

    text = str(root)
    if "://" not in text:
        folder = Path(text)
        if not folder.is_dir():
            raise InputError(f"store not found: {folder} is no folder")
        return Objects(text.rstrip("/"), folder, LocalStore(os.path.realpath(folder)), host_of("local"))
    scheme = text.split("://", 1)[0].lower()
    if scheme not in ("http", "https", "s3", "gs", "az"):
        raise InputError(f"{text} has the scheme {scheme!r}; expected http, https, s3, gs, az or a path")
    try:
        store = _remote_store(text, _ONE_ATTEMPT)
    except Exception as error:
        raise InputError(f"{text} cannot be opened: {_first_line(error)}") from None
    return Objects(text.rstrip("/"), None, store, host_of("/".join(text.split("/")[:3])))


def _remote_store(url: str, how_often: dict[str, Any]) -> Any:
    """The object store of a URL; http URLs stay HTTP, even if they look like a bucket."""
    from obstore.store import HTTPStore, from_url

    options: dict[str, Any] = {"retry_config": how_often, "client_options": {**_CLIENT, **client_options(url)}}
    make = HTTPStore.from_url if url.lower().startswith("http") else from_url
    return make(url.rstrip("/"), **options)
