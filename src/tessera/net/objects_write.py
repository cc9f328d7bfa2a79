"""Writing to an object store: put, conditional swap, list and delete."""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tessera.base import InputError, raise_if_machine

from ._host import Host, host_of
from .errors import CredentialError, LoadError, MissingError, NetError, OversizeError, PermanentError
from .objects import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from obstore import GetOptions, PutMode, UpdateVersion

SCHEMES = ("s3", "gs", "az")
"""Schemes of URLs that can be written to."""
_PART_BYTES = 16 * 1024**2
_CLIENT = {"user_agent": "tessera-earth", "timeout": "1800s", "connect_timeout": "20s", "allow_http": True}
"""A shard of 134 MB at 1 Mbit/s takes 18 minutes. Plain http is used only if the given endpoint has it."""
_ONE_ATTEMPT = {"max_retries": 0}
_BUSY = re.compile(
    r"(status code|status|code)\W+(408|409|429|5\d\d)|server error|too many requests|slow ?down|timed? ?out"
    r"|connection (reset|closed)|error sending request|error decoding response|incomplete"
)


@dataclass(frozen=True)
class Version:
    """One version of an object.

    Attributes
    ----------
    etag, generation : identify it; S3 and Azure have the first, GCS the second
    size : bytes
    """

    etag: str | None
    generation: str | None
    size: int


@dataclass(frozen=True)
class Listed:
    """An object in a listing: key relative to the root, bytes, time of its last change."""

    key: str
    size: int
    modified: datetime


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Translate errors of the object store into the taxonomy, naming the object."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except (NetError, InputError):
        raise
    except FileNotFoundError:
        raise MissingError(f"{where} is missing") from None
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise CredentialError(f"{where} is refused: {_first_line(error)}") from None
    except (BaseError, OSError, ValueError) as error:
        raise_if_machine(error, where)
        text = _first_line(error)
        if _BUSY.search(text.lower().replace(where.lower(), "")):
            raise LoadError(f"{where} could not be reached, try again: {text}") from None
        raise PermanentError(f"{where} could not be read or written: {text}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


@dataclass(frozen=True)
class ObjectsWriter:
    """Objects under one root of an object store, for writing.

    Requests are retried when the server is busy or the connection breaks. So a swap that succeeded is reported as lost
    if its first answer did not arrive; whoever loses must read the object again.

    Attributes
    ----------
    objects : the same objects, for reading
    conditional : whether the store checks the condition of a swap; else this process does, and must be the only writer
    """

    objects: Objects
    conditional: bool
    _store: Any
    _host: Host

    @property
    def root(self) -> str:
        """URL, for messages."""
        return self.objects.root

    def head(self, key: str) -> Version | None:
        """The version of an object, None if it is missing.

        Raises
        ------
        CredentialError, LoadError, PermanentError
        """
        import obstore

        def request() -> Version:
            with _translated(f"{self.root}/{key}"):
                return _version(obstore.head(self._store, key))

        try:
            return self._host.ask(request)
        except MissingError:
            return None

    def read(
        self, key: str, *, limit: int, part: tuple[int, int] | None = None, of: Version | None = None
    ) -> tuple[bytes, Version] | None:
        """An object of at most `limit` bytes, or its bytes `part` (start, stop), and its version; None if missing.

        Parameters
        ----------
        of : the wanted version; None is also returned if the object has another one

        Raises
        ------
        OversizeError, CredentialError, LoadError, PermanentError
        """
        import obstore
        from obstore.exceptions import PreconditionError

        options: GetOptions = {}
        if part is not None:
            options["range"] = part
        if of is not None and of.etag is not None and not of.etag.startswith("W/"):
            options["if_match"] = of.etag

        def request() -> tuple[bytes, Version] | None:
            with _translated(f"{self.root}/{key}"):
                try:
                    answer = obstore.get(self._store, key, options=options)
                except PreconditionError:
                    return None
                version = _version(answer.meta)
                if (version.size if part is None else part[1] - part[0]) > limit:
                    raise OversizeError(f"{self.root}/{key} has {version.size} bytes; at most {limit} are read")
                return bytes(answer.bytes()), version

        try:
            return self._host.ask(request)
        except MissingError:
            return None

    def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Put an object, replacing any other; for keys without other writers. Large ones are uploaded in parts.

        Raises
        ------
        CredentialError, LoadError, PermanentError
        """
        import obstore

        def request() -> None:
            with _translated(f"{self.root}/{key}"):
                large = sum(len(part) for part in parts) > _PART_BYTES
                obstore.put(self._store, key, list(parts), use_multipart=large, chunk_size=_PART_BYTES)

        self._host.ask(request)

    def swap(self, key: str, parts: Sequence[bytes | bytearray | memoryview], expected: Version | None) -> bool:
        """Put an object if its version is still `expected`; with None, if it does not exist.

        Returns
        -------
        Whether it was put. False may also answer the retry of a request that succeeded the first time.

        Raises
        ------
        InputError
            The store has no conditional put.
        CredentialError, LoadError, PermanentError
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, NotSupportedError, PreconditionError

        if not self.conditional and self.head(key) != expected:
            return False

        def request() -> bool:
            mode = _mode(expected) if self.conditional else "overwrite"
            with _translated(f"{self.root}/{key}"):
                try:
                    obstore.put(self._store, key, list(parts), mode=mode, use_multipart=False)
                except (AlreadyExistsError, PreconditionError):
                    return False
                except (RuntimeError, NotSupportedError):
                    # obstore raises RuntimeError for a mode that its store lacks, and other classes else
                    raise self._unconditional() from None
                return True

        return self._host.ask(request)

    def prove_conditions(self) -> None:
        """Test that the store checks the condition of a swap; some accept the request and ignore the condition.

        Raises
        ------
        InputError
            It ignores the condition.
        """
        if not self.conditional:
            return
        key = f".tessera/probe/{uuid.uuid4().hex}"
        try:
            first = self.swap(key, [b"1"], None) and self.head(key)
            kept = bool(first) and not self.swap(key, [b"2"], None)
            if kept and isinstance(first, Version):
                kept = self.swap(key, [b"3"], first) and not self.swap(key, [b"4"], first)
        finally:
            self.delete([key])
        if not kept:
            raise self._unconditional()

    def _unconditional(self) -> InputError:
        return InputError(
            f"{self.root} has no conditional put, so two writers could damage each other's data; expected a store that "
            f"has it (S3, GCS, Azure, R2, MinIO), or single_writer=True if no other process writes"
        )

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects that are not needed; those missing or impossible to delete are passed over."""
        import obstore

        if keys:
            with suppress(Exception):
                self._host.ask(lambda: obstore.delete(self._store, list(keys)))

    def list_all(self, prefix: str) -> list[Listed]:
        """The objects whose keys begin with `prefix` and a slash, in any order.

        Raises
        ------
        CredentialError, LoadError, PermanentError
        """
        import obstore

        def request() -> list[Listed]:
            with _translated(f"{self.root}/{prefix}"):
                return [
                    Listed(str(item["path"]), int(item["size"]), item["last_modified"])
                    for page in obstore.list(self._store, prefix or None)
                    for item in page
                ]

        return self._host.ask(request)


def _mode(expected: Version | None) -> PutMode:
    if expected is None:
        return "create"
    version: UpdateVersion = {}
    if expected.etag is not None:
        version["e_tag"] = expected.etag
    if expected.generation is not None:
        version["version"] = expected.generation
    return version


def _version(meta: Any) -> Version:
    return Version(meta["e_tag"], meta["version"], int(meta["size"]))


def open_writer(root: str, *, single_writer: bool = False) -> ObjectsWriter:
    """Open a URL (s3, gs, az) for writing; region, endpoint and credentials come from the usual environment variables.

    Parameters
    ----------
    single_writer : set True only if no other process writes; the store then needs no conditional put

    Raises
    ------
    InputError
        Another scheme, or a URL that cannot be opened.
    """
    from obstore.store import from_url

    scheme = root.partition("://")[0].lower()
    if "://" not in root or scheme not in SCHEMES:
        raise InputError(f"{root} can only be read; expected a path or an {', '.join(SCHEMES)} URL to write to")
    options: dict[str, Any] = {"retry_config": _ONE_ATTEMPT, "client_options": {**_CLIENT}}
    try:
        store = from_url(root.rstrip("/"), **options)
    except Exception as error:
        raise InputError(f"{root} cannot be opened: {_first_line(error)}") from None
    return writer_of(store, root.rstrip("/"), single_writer=single_writer)


def writer_of(store: Any, root: str, *, single_writer: bool = False) -> ObjectsWriter:
    """A writer to any obstore store; `root` is its name in messages."""
    host = host_of("/".join(root.split("/")[:3]))
    return ObjectsWriter(Objects(root, None, store, host), not single_writer, store, host)
