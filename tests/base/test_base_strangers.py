"""Strangers' files and texts: what is shown of them, and that nothing but a bounded regular file is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.base import (
    InputError,
    TesseraError,
    open_regular,
    parse_json,
    read_json,
    read_regular,
    read_text,
    safe_path,
    shown,
)


@given(st.text() | st.binary())
def test_what_is_shown_is_printable_quoted_and_short(value: str | bytes) -> None:
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= 82
    assert text[0] == text[-1]


def test_short_text_is_shown_whole() -> None:
    assert shown("wheat") == "'wheat'"
    assert shown("Łąka") == "'Łąka'"
    assert shown(b"a\x1b[2J\xff") == repr("a\x1b[2J\\xff")
    assert shown("x" * 81) == "'" + "x" * 77 + "...'"


def test_an_error_is_short_however_long_what_it_quotes() -> None:
    path = "/" + "/".join(["folder"] * 40)
    assert str(InputError(f"{path} is no store")) == f"{path} is no store"
    assert str(InputError(f"head {'x' * 70_000}; expected linear")) == f"head {'x' * 60}...{'x' * 19}; expected linear"
    assert len(str(InputError("no " * 5000))) == 1000


@given(st.text())
def test_an_error_is_one_printable_line(text: str) -> None:
    assert str(TesseraError(text)).isprintable()


def test_a_regular_file_is_read_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"12345")
    assert read_regular(path, what="document", limit=5) == b"12345"
    with pytest.raises(InputError, match=r"document .*a.json' has 5 bytes; at most 4 are read"):
        read_regular(path, what="document", limit=4)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "absent", what="document", limit=4)


def test_a_sparse_file_and_a_device_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="at most 10 are read"):
        read_regular(path, what="document", limit=10)
    link = tmp_path / "zero"
    link.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a device; expected a regular file"):
        read_regular(link, what="document", limit=10)


def test_pipes_folders_and_sockets_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe; expected a regular file"):
        read_json(tmp_path / "pipe", what="head file")
    with pytest.raises(InputError, match="is a folder; expected a"):
        open_regular(tmp_path, what="head file")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("s")
            with pytest.raises(InputError, match="is a socket; expected a regular file"):
                open_regular(Path("s"), what="head file")
    finally:
        os.chdir(here)


def test_links_that_lead_out_are_told(tmp_path: Path) -> None:
    store, other = tmp_path / "store", tmp_path / "other"
    store.mkdir()
    other.mkdir()
    (other / "a").write_bytes(b"1")
    (store / "folder").symlink_to(other)
    (store / "a").symlink_to(other / "a")
    (store / "own").write_bytes(b"2")
    (store / "link").symlink_to("own")
    for name in ("folder/a", "a"):
        with pytest.raises(InputError, match="leads out of"):
            read_regular(store / name, what="record", limit=9, inside=store)
    assert read_regular(store / "link", what="record", limit=9, inside=store) == b"2"
    assert safe_path(store, store / "new") == store / "new"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_is_read_in_every_form_that_marks_itself(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Łąka",\r\n "half": "\\ud83c\\udf3e"}\r\n'.encode(encoding))
    assert read_json(path, what="it") == {"name": "Łąka", "half": "\U0001f33e"}
    assert read_text(path, what="it").startswith('{"name": "Łąka",')


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ('{"a": "é"}'.encode("latin-1"), r"it .*a\.json is not UTF-8 at byte 7 \(0xe9\); save it as UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), r"begins with zero bytes, as UTF-16 without its mark does; save it as UTF-8"),
        (b"\xff\xfe{", r"is not UTF-16 at byte 2"),
        (
            b'{"a": "x\\ud800y"}',
            r"holds half of a character \(a lone surrogate\), the last of .*x\\ud800'; expected Unicode",
        ),
        (b'{"x\\uDFFF": 1}', r"holds half of a character"),
        (b"[" * 100_000, r"is not JSON: maximum recursion depth"),
        (b'{"a": ' + b"[" * 900 + b'"\\ud83c\\udf3e"' + b"]" * 900 + b"}", ""),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    if not reason:
        assert read_json(path, what="it")
        return
    with pytest.raises(InputError, match=reason) as caught:
        read_json(path, what="it")
    assert len(str(caught.value)) < 300


def test_text_with_an_undecoded_letter_is_no_json() -> None:
    with pytest.raises(InputError, match=r"the GeoJSON given holds half of a character"):
        parse_json('{"a": "\udcff"}', "the GeoJSON given")
