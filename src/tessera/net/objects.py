"""Objects by key under one root, a local folder or a URL, in whole or by byte range."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.base import InputError

from .errors import CorruptError, CredentialError, LoadError, MissingError, NetError, OversizeError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOAD_SIGNS = (
    "429",
    "500",
    "502",
    "503",
    "504",
    "timed out",
    "timeout",
    "connection",
    "error sending request",
    "reset",
)
_RANGE_SIGNS = ("range was invalid", "range not satisfiable", " 416")
_ATTEMPTS = {"max_retries": 4}


@contextmanager
def _named(root: str, key: str) -> Iterator[None]:
    """Translate what the object store raised into the taxonomy, naming the object."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

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
        if any(sign in str(error).lower() for sign in _RANGE_SIGNS):
            raise CorruptError(f"{where} is shorter than expected: {text}") from None
        if any(sign in str(error).lower() for sign in _LOAD_SIGNS):
            raise LoadError(f"{where} could not be read, try again: {text}") from None
        raise PermanentError(f"{where} could not be read: {text}") from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


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

    def head_range(self, key: str, length: int) -> tuple[bytes, int]:
        """The first `length` bytes of an object and its whole size, in one request.

        Raises
        ------
        CorruptError
            The object is shorter.
        MissingError, CredentialError, LoadError, PermanentError
        """
        import obstore

        with _named(self.root, key):
            answer = obstore.get(self._store, key, options={"range": (0, length)})
            size = int(answer.meta["size"])
            data = bytes(answer.bytes())
        if len(data) != length:
            raise CorruptError(f"{self.root}/{key} has {size} bytes; expected at least {length}")
        return data, size

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """`length` bytes from `start` on.

        Raises
        ------
        CorruptError
            Fewer bytes came.
        MissingError, CredentialError, LoadError, PermanentError
        """
        return self.read_ranges(key, [start], [length])[0]

    def read_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int], *, gap: int = 0) -> list[bytes]:
        """Several ranges of one object; ranges at most `gap` bytes apart are fetched as one.

        Raises
        ------
        CorruptError
            Fewer bytes came.
        MissingError, CredentialError, LoadError, PermanentError
        """
        import obstore

        with _named(self.root, key):
            parts = obstore.get_ranges(self._store, key, starts=list(starts), lengths=list(lengths), coalesce=gap)
            answer = [bytes(part) for part in parts]
        for start, length, part in zip(starts, lengths, answer, strict=True):
            if len(part) != length:
                raise CorruptError(f"{self.root}/{key}: {len(part)} bytes from {start}; expected {length}")
        return answer


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
