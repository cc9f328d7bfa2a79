"""Untrusted text and JSON: any Unicode encoding with a byte order mark, else UTF-8; no lone surrogates."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .paths import read_regular
from .quoting import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# UTF-32 first, since its mark begins with that of UTF-16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""An escape such as \\ud800, which is a character only as part of a pair; or a surrogate in the text itself."""
_LIMIT = 64 * 1024 * 1024


def encoding_of(data: bytes) -> str | None:
    """Python's name of the encoding given by a byte order mark, None without one."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), None)


def decode_text(data: bytes, what: str) -> str:
    """Decode a document in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, as Windows editors save it.

    Parameters
    ----------
    what : kind and path of the document in messages, such as "configuration a.toml"

    Raises
    ------
    InputError
        It is in another encoding.
    """
    encoding = encoding_of(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = data[error.start : error.start + 1].hex()
        raise InputError(
            f"{what} is not {encoding.removesuffix('-sig').upper()} at byte {error.start} (0x{wrong}); save it as UTF-8"
        ) from None
    if "\0" in text[:4]:
        raise InputError(f"{what} begins with zero bytes, as UTF-16 without its mark does; save it as UTF-8")
    return text


def read_text(path: Path, *, what: str, limit: int = _LIMIT, inside: Path | None = None) -> str:
    """The text of a regular file of at most `limit` bytes, without a byte order mark; for `inside` see `open_regular`.

    Raises
    ------
    InputError
        The file is missing, not a regular file, larger than `limit`, or in an encoding unknown to `decode_text`.
    """
    try:
        data = read_regular(path, what=what, limit=limit, inside=inside)
    except FileNotFoundError:
        raise InputError(f"{what} not found: {path}") from None
    return decode_text(data, f"{what} {path}")


def parse_json(data: bytes | str, what: str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON document.

    Parameters
    ----------
    what : kind and path of the document in messages, such as "head a.json"
    pairs : makes an object from its names and values; by default the last of equal names counts

    Raises
    ------
    InputError
        It is not JSON, is nested too deeply, or has a lone surrogate (half of a character).
    """
    text = decode_text(data, what) if isinstance(data, bytes) else data
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is not JSON: {error}") from None
    if _HALF.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[max(0, error.start - 20) : error.end]
            raise InputError(
                f"{what} holds half of a character (a lone surrogate), the last of {shown(half)}; expected Unicode text"
            ) from None
        except RecursionError as error:
            raise InputError(f"{what} is nested too deeply: {error}") from None
    return value


def read_json(path: Path, *, what: str, limit: int = _LIMIT, inside: Path | None = None) -> dict[str, Any]:
    """Read a JSON object of at most `limit` bytes; for `inside` see `open_regular`.

    Raises
    ------
    InputError
        The file is missing, not a regular file, larger than `limit`, or not a JSON object.
    """
    value = parse_json(read_text(path, what=what, limit=limit, inside=inside), f"{what} {path}")
    if not isinstance(value, dict):
        raise InputError(f"{what} {path} holds a JSON {type(value).__name__}; expected an object")
    return value


def check_format(value: Mapping[str, Any], name: str, version: int | str, where: str) -> None:
    """Check the format and version of a document.

    Parameters
    ----------
    value : has "format" and "version"
    where : kind and path of the document in messages

    Raises
    ------
    InputError
        The format or version differs; the message says if the version is a later one.
    """
    given = value.get("format"), value.get("version")
    if given != (name, version):
        later = given[0] == name and isinstance(given[1], int) and isinstance(version, int) and given[1] > version
        raise InputError(
            f"{where} has format {_plain(given[0])} {_plain(given[1])}; expected {name!r} {version}"
            f"{', or a later release of tessera to read it' if later else ''}"
        )


def _plain(value: object) -> str:
    return shown(value) if isinstance(value, str) else shown(value)[1:-1]
