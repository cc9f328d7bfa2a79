"""What is wrong within a head's file is told with the file's name."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import pytest
from maps_helpers import make_head

from tessera.base import InputError
from tessera.heads import head as head_module
from tessera.heads import load_head

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"colours": ("#00aa00",)}, "1 colours for 4 classes"),
        ({"classes": ("a", "b")}, "2 classes for a model of 4"),
        ({"inputs": ()}, "0 inputs of 0 dims"),
        ({"classes": ("x" * 255, "town", "water", "10")}, "the head: class 'x"),
    ],
)
def test_a_wrong_head_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], line: str
) -> None:
    head = make_head()
    fields = {one.name: getattr(head, one.name) for one in dataclasses.fields(head)} | change
    monkeypatch.setattr(head_module, "read_head", lambda path: fields)
    path = tmp_path / "h.json"
    with pytest.raises(InputError, match=f"^head {re.escape(str(path))}: {re.escape(line)}"):
        load_head(path)
