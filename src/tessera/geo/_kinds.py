"""The kind of a vector file, by its first bytes instead of its name."""

from __future__ import annotations

import re

from tessera.base import InputError, encoding_of, shown

READ = (
    "GeoJSON, GeoPackage, Shapefile (also zipped), GeoParquet, FlatGeobuf, file geodatabase, KML, KMZ, GPX waypoints; "
    "CSV, TSV, Excel .xlsx, .ods, .dbf and Parquet with columns lon and lat"
)
"""Supported formats, for messages."""
HEAD = 4096
"""Bytes at the beginning that identify a file's kind."""
_BINARY = (
    (b"PAR1", "parquet"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\0\0\x27\x0a", "shp"),
    (b"fgb\x03fgb", "fgb"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file; save it as .xlsx or .csv"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"II*\0", "a TIFF image; expected features"),
    (b"MM\0*", "a TIFF image; expected features"),
    (b"\x89PNG", "a PNG image; expected features"),
    (b"%PDF", "a PDF; expected features"),
)
_TEXT_REFUSED = (
    ("!table", "a MapInfo table, which refers to other files; save it as GeoPackage"),
    ("Version ", "a MapInfo interchange file; save it as GeoPackage"),
    ("PROJCS[", "the CRS of a Shapefile; give its .shp"),
    ("GEOGCS[", "the CRS of a Shapefile; give its .shp"),
)
_DBF = frozenset(b"\x03\x30\x31\x43\x83\x8b\xcb\xf5\xfb")
_NAME = re.compile(r"<([^\s/>]+)")
_PROLOG = (("<?", "?>"), ("<!--", "-->"))
"""Start and end of constructs that may precede the root element."""


def kind_of(head: bytes, source: str, suffix: str = "") -> str:
    """ "parquet", "sqlite", "shp", "fgb", "zip", "dbf", "json", "kml", "gpx" or "text" (CSV and similar).

    The suffix of the name identifies dBase tables, which have no signature. A kind that may refer to other files or to
    the network is never read.
    """
    if not head:
        raise InputError(f"{source} is an empty file; expected features")
    if suffix.lower() == ".shx":
        raise InputError(f"{source} is the index of a Shapefile; give its .shp")
    for magic, kind in _BINARY:
        if head.startswith(magic):
            return kind
    for magic, reason in _REFUSED:
        if head.startswith(magic):
            raise InputError(f"{source} is {reason}")
    if suffix.lower() == ".dbf" and head[0] in _DBF and b"\0" in head[:32]:
        return "dbf"
    text = text_of(head)
    if text is None:
        raise InputError(f"{source} is not a vector file that can be read; expected {READ}")
    start = text.lstrip("\ufeff\x1e \t\r\n")
    if start.startswith(("{", "[")):
        return "json"
    for prefix, reason in _TEXT_REFUSED:
        if start.startswith(prefix):
            raise InputError(f"{source} is {reason}")
    if start.startswith("<"):
        return _xml(start, source)
    return "text"


def _xml(text: str, source: str) -> str:
    name = _root(text)
    kind = name.rpartition(":")[2].lower()
    if kind in ("kml", "gpx"):
        return kind
    raise InputError(
        f"{source} is XML of the kind {shown(name, 40)}, which may refer to other files or to the network and is not "
        f"read; expected {READ}"
    )


def _root(text: str) -> str:
    """The name of the root element, in time linear in what precedes it."""
    at = 0
    while True:
        at = len(text) - len(text[at:].lstrip())
        known = next((pair for pair in _PROLOG if text.startswith(pair[0], at)), None)
        if known is not None:
            end, size = text.find(known[1], at + len(known[0])), len(known[1])
        elif text[at : at + 9].upper() == "<!DOCTYPE":
            end, size = text.find(">", at), 1
            inner = text.find("[", at)
            if 0 <= inner < end:
                end = text.find(">", max(text.find("]", inner), inner))
        else:
            found = _NAME.match(text, at)
            return found.group(1) if found else "unknown"
        if end < 0:
            return "unknown"
        at = end + size


def text_of(head: bytes) -> str | None:
    """The first bytes as text, None where they are not text."""
    name = encoding_of(head)
    decoded = head.decode(name or "latin-1", "ignore")
    return None if "\0" in decoded else decoded
