"""What a stranger's Parquet file would unpack to, told from its page headers before anything is unpacked.

A header is a struct in Thrift's compact protocol (apache/parquet-format, `PageHeader`); only numbers are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import CorruptError

_DEPTH = 8
"""Structs within structs; a header has three."""
_STRUCT, _LIST, _SET, _BINARY, _DOUBLE, _BYTE = 12, 9, 10, 8, 7, 3
_BOOLEANS = (1, 2)
_WHOLE = (4, 5, 6)
_PAGE_KINDS = {0: "data", 2: "dictionary", 3: "data"}
_ABOUT = {0: 5, 2: 7, 3: 8}
"""Kind of page -> field of its own header, whose first field is the number of values."""
_ENCODING = {0: 2, 2: 2, 3: 4}
"""Kind of page -> field of that header that tells the encoding."""


@dataclass(frozen=True)
class Page:
    """A page: whether it is a dictionary, its values, its bytes once unpacked, its encoding (0: plain)."""

    dictionary: bool
    values: int
    unpacked: int
    encoding: int


def parquet_pages(data: bytes, name: str) -> list[Page]:
    """The pages of one column of one row group.

    Parameters
    ----------
    data : the column's bytes in the file
    name : what to call it in a message

    Raises
    ------
    CorruptError
        A header cannot be read, or a page reaches beyond the column.
    """
    found = []
    reader = _Compact(data, name)
    while reader.at < len(data):
        header = reader.struct(0)
        kind, unpacked, packed = (header.get(field) for field in (1, 2, 3))
        if not isinstance(kind, int) or kind not in _PAGE_KINDS:
            raise CorruptError(f"{name} has a page of kind {kind!r}; expected data or a dictionary")
        about = header.get(_ABOUT[kind])
        values, encoding = (about.get(1), about.get(_ENCODING[kind])) if isinstance(about, dict) else (None, None)
        numbers = [number for number in (unpacked, packed, values, encoding) if isinstance(number, int) and number >= 0]
        if len(numbers) < 4:
            raise CorruptError(f"{name} has a page of {unpacked!r} bytes, {values!r} values and encoding {encoding!r}")
        unpacked, packed, values, encoding = numbers
        reader.at += packed
        if reader.at > len(data):
            raise CorruptError(f"{name} has a page that reaches beyond its end")
        found.append(Page(kind == 2, values, unpacked, encoding))
    return found


class _Compact:
    """Structs of Thrift's compact protocol, one after the other."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        self.at = 0

    def struct(self, depth: int) -> dict[int, object]:
        """Field number -> whole number or struct; fields of other kinds are skipped."""
        if depth > _DEPTH:
            raise CorruptError(f"{self._name} has a page header of structs deeper than {_DEPTH}")
        fields: dict[int, object] = {}
        field = 0
        while True:
            head = self._byte()
            if head == 0:
                return fields
            field = field + (head >> 4) if head >> 4 else self._whole()
            value = self._value(head & 15, depth)
            if value is not None:
                fields[field] = value

    def _value(self, kind: int, depth: int) -> object:
        if kind in _BOOLEANS:
            return None
        if kind in _WHOLE:
            return self._whole()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind == _BINARY:
            length = self._varint()
            self.at += length
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BYTE:
            self.at += 1
        elif kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            if count > len(self._data):
                raise CorruptError(f"{self._name} has a page header with a list of {count} values")
            for _ in range(count):
                if head & 15 in _BOOLEANS:
                    self._byte()
                else:
                    self._value(head & 15, depth + 1)
        else:
            raise CorruptError(f"{self._name} has a page header with a value of kind {kind}")
        return None

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise CorruptError(f"{self._name} ends within a page header")
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise CorruptError(f"{self._name} has a page header with a number of more than 10 bytes")

    def _whole(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
