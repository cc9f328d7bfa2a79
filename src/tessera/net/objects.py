"""Objects by key under one root, a local folder or a URL, in whole or by byte range."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError

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
    from collections.abc import Iterator, Sequence

    from obstore import GetOptions

_LOAD = re.compile(
    r"(status code|status|code)\W+(429|5\d\d)|server error|too many requests|timed? ?out|connection (reset|closed)"
)
"""What a busy server or a broken line says, in the first line of an error."""
_RANGE_SIGNS = ("range was invalid", "range not satisfiable", "status code: 416")
_ATTEMPTS = {"max_retries": 4}
_THREADS = 8
"""Requests under way at once for one object."""
_RUN_BYTES = 8 * 1024**2


@contextmanager
def _named(root: str, key: str) -> Iterator[None]:
    """Translate what the object store raised into the taxonomy, naming the object."""
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
        text = _first_line(error)
        said = text.lower().replace(key.lower(), "").replace(root.lower(), "")
        if isinstance(error, PreconditionError):
            raise ChangedError(f"{where} was replaced while it was read, try again") from None
        if "range request not supported" in said:
            raise PermanentError(f"{root} does not answer range requests; expected a server that does") from None
        if any(sign in said for sign in _RANGE_SIGNS):
            raise CorruptError(f"{where} is shorter than expected: {text}") from None
        if "error sending request" in said:
            raise LoadError(f"{where}: no answer from the server") from None
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

    def read(self, key: str, *, limit: int) -> bytes:
        """A whole object of at most `limit` bytes.

        Raises
        ------
        MissingError, OversizeError, CredentialError, LoadError, PermanentError
        """
        import obstore

        with _named(self.root, key):
            answer = obstore.get(self._store, key)
            size = int(answer.meta["size"])
            if size > limit:
                raise OversizeError(f"{self.root}/{key} has {size} bytes; at most {limit} are read")
            return bytes(answer.bytes())

    def head_range(self, key: str, length: int) -> tuple[bytes, int, str | None]:
        """The first `length` bytes of an object, its whole size and its ETag (None where none is told), in one request.

        Raises
        ------
        CorruptError
            The object is shorter.
        MissingError, CredentialError, LoadError, PermanentError
        """
        import obstore

        with _named(self.root, key):
            answer = obstore.get(self._store, key, options={"range": (0, length)})
            size, etag = int(answer.meta["size"]), answer.meta["e_tag"]
            if etag is not None and etag.startswith("W/"):
                # a weak tag never matches a condition (RFC 9110, 13.1.1)
                etag = None
            data = bytes(answer.bytes())
        if len(data) != length:
            raise CorruptError(f"{self.root}/{key} has {size} bytes; expected at least {length}")
        return data, size, etag

    def read_ranges(
        self, key: str, starts: Sequence[int], lengths: Sequence[int], *, etag: str | None = None
    ) -> list[bytes]:
        """Several ranges of one object; those that touch are fetched as one, of at most 8 MiB.

        Parameters
        ----------
        key : the object
        starts, lengths : bytes
        etag : the version that is wanted

        Raises
        ------
        ChangedError
            The object is no longer of that version.
        CorruptError
            Fewer bytes came.
        MissingError, CredentialError, LoadError, PermanentError
        """
        runs = _runs(starts, lengths)

        def fetch(run: tuple[int, int, int]) -> bytes:
            return self._fetch(key, run[0], run[1], etag)

        if len(runs) == 1:
            fetched = [fetch(runs[0])]
        else:
            with ThreadPoolExecutor(_THREADS) as pool:
                fetched = list(pool.map(fetch, runs))
        parts: list[bytes] = []
        for (start, _, count), data in zip(runs, fetched, strict=True):
            for offset, length in zip(starts[len(parts) :][:count], lengths[len(parts) :][:count], strict=True):
                parts.append(data[offset - start : offset - start + length])
        return parts

    def _fetch(self, key: str, start: int, stop: int, etag: str | None) -> bytes:
        import obstore

        options: GetOptions = {"range": (start, stop)}
        if etag is not None:
            options["if_match"] = etag
        with _named(self.root, key):
            data = bytes(obstore.get(self._store, key, options=options).bytes())
        if len(data) != stop - start:
            raise CorruptError(f"{self.root}/{key}: {len(data)} bytes from {start}; expected {stop - start}")
        return data


def _runs(starts: Sequence[int], lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Ranges in the given order, joined where one begins at the end of the last: (start, stop, how many)."""
    runs: list[tuple[int, int, int]] = []
    for start, length in zip(starts, lengths, strict=True):
        if runs and runs[-1][1] == start and start + length - runs[-1][0] <= _RUN_BYTES:
            first, _, count = runs[-1]
            runs[-1] = (first, start + length, count + 1)
        else:
            runs.append((start, start + length, 1))
    return runs


def open_objects(root: str | Path) -> Objects:
    """Open a folder or a URL (http, https, s3, gs, az) for reading.

    Raises
    ------
    InputError
        The folder is missing, or the URL's scheme is none of these.
    """
    from obstore.store import LocalStore, from_url

    text = str(root)
    if "://" not in text:
        folder = Path(text)
        if not folder.is_dir():
            raise InputError(f"store not found: {folder} is no folder")
        return Objects(text.rstrip("/"), folder, LocalStore(folder.resolve()))
    scheme = text.split("://", 1)[0].lower()
    if scheme not in ("http", "https", "s3", "gs", "az"):
        raise InputError(f"{text} has the scheme {scheme!r}; expected http, https, s3, gs, az or a path")
    options: dict[str, Any] = {"retry_config": _ATTEMPTS}
    if scheme in ("http", "https"):
        options["client_options"] = {"allow_http": True, "user_agent": "tessera-earth"}
    try:
        store = from_url(text.rstrip("/"), **options)
    except Exception as error:
        raise InputError(f"{text} cannot be opened: {_first_line(error)}") from None
    return Objects(text.rstrip("/"), None, store)
