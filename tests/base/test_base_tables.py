from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tessera.base import TURNING, cell_text, csv_text, safe_cell

LETTERS = st.text(
    st.sampled_from("=+-@'ab1.\\xu20e\u202e\u2066\x1b\n\t\r,\"") | st.characters(exclude_categories=["Cs"])
)


@given(LETTERS)
@example("'=1")
@example("''=1")
@example("\\u202e")
@example("\\\\x1b")
@example("\t=1")
def test_a_cell_gives_its_text_back_and_is_harmless(text: str) -> None:
    cell = safe_cell(text)
    assert cell_text(cell) == text
    assert not set(cell) & TURNING
    assert all(letter >= " " for letter in cell)
    if cell[:1] in tuple("=+-@"):
        float(cell)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+49 30", "'+49 30"),
        ("-5", "-5"),
        ("+1.5e3", "+1.5e3"),
        ("- none", "'- none"),
        ("forest", "forest"),
        ("'wood'", "'wood'"),
        ("a\u202eb", "a\\u202eb"),
        ("\t=1", "\\x09=1"),
        ("حقل", "حقل"),
    ],
)
def test_what_a_spreadsheet_would_run_is_text(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@given(st.lists(st.lists(LETTERS, min_size=2, max_size=2), max_size=4))
def test_rows_are_read_back(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    assert [[cell_text(cell) for cell in row] for row in read] == rows
    assert csv_text([["a", None, 1.5, 2]]) == "a,,1.5,2\n"
