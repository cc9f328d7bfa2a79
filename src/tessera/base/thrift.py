"""Metadata of untrusted Parquet files, parsed without pyarrow, which would unpack them or abort on damage.

Footer and page headers are structs in Thrift's compact protocol (apache/parquet-format, `FileMetaData`, `PageHeader`).
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import InputError

_DEPTH = 8
"""Nesting depth of structs; a footer has six levels."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_WHOLE = (4, 5, 6)
_PAGE_KINDS = {0: "data", 2: "dictionary", 3: "data"}
_ABOUT = {0: 5, 2: 7, 3: 8}
"""Page type -> field with its specific header, whose first field is the number of values."""
_ENCODING = {0: 2, 2: 2, 3: 4}
"""Page type -> field of that header with the encoding."""


@dataclass(frozen=True)
class Page:
    """A page: whether it is a dictionary, number of values, unpacked bytes, encoding (0: plain)."""

    dictionary: bool
    values: int
    unpacked: int
    encoding: int


@dataclass(frozen=True)
class Chunk:
    """One column of one row group: its path, position and length of its bytes, whether it has a dictionary, and its
    encoded minimum and maximum (None if not recorded).
    """

    path: str
    start: int
    length: int
    dictionary: bool
    low: bytes | None
    high: bytes | None


@dataclass(frozen=True)
class Group:
    """A row group: number of rows, and columns in the order of the schema."""

    rows: int
    chunks: tuple[Chunk, ...]


def row_groups(footer: bytes, name: str) -> list[Group]:
    """The row groups listed in a footer.

    Parameters
    ----------
    footer : the bytes between the last page and the last 8 bytes of the file
    name : its name in messages

    Raises
    ------
    InputError
        It cannot be parsed, or a column is in another file or encrypted.
    """
    groups = []
    for group in _list(_Compact(footer, name).struct(0), 4):
        rows = group.get(3)
        if not isinstance(rows, int) or rows < 0:
            raise InputError(f"{name} has a row group of {rows!r} rows")
        groups.append(Group(rows, tuple(_chunk(chunk, name) for chunk in _list(group, 1))))
    return groups


def _list(fields: dict[int, object], field: int) -> list[dict[int, object]]:
    found = fields.get(field)
    return [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []


def _chunk(fields: dict[int, object], name: str) -> Chunk:
    about = fields.get(3)
    if not isinstance(about, dict) or fields.keys() & {1, 8, 9}:
        raise InputError(f"{name} has a column in another file, or an encrypted one; expected its data in the file")
    path, length, data, dictionary = (about.get(field) for field in (3, 7, 9, 11))
    if not isinstance(path, list) or not isinstance(length, int) or not isinstance(data, int):
        raise InputError(f"{name} has a column without a path, a place or a length")
    text = b".".join(part for part in path if isinstance(part, bytes)).decode("utf-8", "backslashreplace")
    places = [place for place in (data, dictionary) if isinstance(place, int) and place]
    statistics = about.get(12)
    low, high = (statistics.get(6), statistics.get(5)) if isinstance(statistics, dict) else (None, None)
    return Chunk(
        text,
        min(places, default=0),
        length,
        bool(dictionary),
        low if isinstance(low, bytes) else None,
        high if isinstance(high, bytes) else None,
    )


def page_headers(data: bytes, name: str) -> list[Page]:
    """The pages of one column of one row group.

    Parameters
    ----------
    data : the column's bytes in the file
    name : its name in messages

    Raises
    ------
    InputError
        A header cannot be parsed, or a page extends beyond the column.
    """
    found = []
    reader = _Compact(data, name)
    while reader.at < len(data):
        header = reader.struct(0)
        kind, unpacked, packed = (header.get(field) for field in (1, 2, 3))
        if not isinstance(kind, int) or kind not in _PAGE_KINDS:
            raise InputError(f"{name} has a page of kind {kind!r}; expected data or a dictionary")
        about = header.get(_ABOUT[kind])
        values, encoding = (about.get(1), about.get(_ENCODING[kind])) if isinstance(about, dict) else (None, None)
        numbers = [number for number in (unpacked, packed, values, encoding) if isinstance(number, int) and number >= 0]
        if len(numbers) < 4:
            raise InputError(f"{name} has a page of {unpacked!r} bytes, {values!r} values and encoding {encoding!r}")
        unpacked, packed, values, encoding = numbers
        reader.at += packed
        if reader.at > len(data):
            raise InputError(f"{name} has a page that reaches beyond its end")
        found.append(Page(kind == 2, values, unpacked, encoding))
    return found


class _Compact:
    """A parser of consecutive structs in Thrift's compact protocol."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        self.at = 0

    def struct(self, depth: int) -> dict[int, object]:
        """Field number -> integer, bytes, struct or list; fields of other types are skipped."""
        if depth > _DEPTH:
            raise InputError(f"{self._name} has structs deeper than {_DEPTH}")
        fields: dict[int, object] = {}
        field = 0
        while True:
            head = self._byte()
            if head == 0:
                return fields
            field = field + (head >> 4) if head >> 4 else self._whole()
            kind = head & 15
            if kind not in (_TRUE, _FALSE):
                value = self._value(kind, depth)
                if value is not None:
                    fields[field] = value

    def _value(self, kind: int, depth: int) -> object:
        if kind in _WHOLE:
            return self._whole()
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            return self._values(depth)
        if kind in (_TRUE, _FALSE, _BYTE):
            self._skip(1)
        elif kind == _DOUBLE:
            self._skip(8)
        else:
            raise InputError(f"{self._name} has a value of kind {kind}")
        return None

    def _values(self, depth: int) -> list[object]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        # every value takes at least one byte
        if count > len(self._data) - self.at:
            raise InputError(f"{self._name} has a list of {count} values; it has {len(self._data)} bytes")
        if depth >= _DEPTH:
            raise InputError(f"{self._name} has lists deeper than {_DEPTH}")
        return [self._value(head & 15, depth + 1) for _ in range(count)]

    def _skip(self, length: int) -> bytes:
        start = self.at
        if length > len(self._data) - start:
            raise InputError(f"{self._name} ends within a value of {length} bytes")
        self.at = start + length
        return self._data[start : self.at]

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise InputError(f"{self._name} ends within a header")
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise InputError(f"{self._name} has a number of more than 10 bytes")

    def _whole(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
