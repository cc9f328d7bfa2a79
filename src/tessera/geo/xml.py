"""Untrusted XML, element by element: references are never opened, and document types are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat

from tessera.base import InputError, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def walk_xml(
    data: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    *,
    source: Path | str,
    fault: str,
) -> None:
    """Walk through a document's elements, named without prefixes, and its text; `fault` is said of what is not XML."""

    def doctype(*_: object) -> None:
        raise InputError(f"{source} declares a document type, which may refer to other files; it is not read")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda name, given: start(name.rpartition(":")[2], given)
    parser.EndElementHandler = lambda name: end(name.rpartition(":")[2])
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source} {fault}: {shown(error)[1:-1]}") from None
