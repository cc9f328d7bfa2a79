"""Kept parts of long work: what is put comes back, what is damaged counts as absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tessera.base import InputError, Kept

ARRAYS: dict[str, np.ndarray[Any, Any]] = {
    "codes": np.arange(12, dtype=np.int8).reshape(3, 4),
    "scales": np.array([np.nan, 1.5, np.inf], np.float32),
}


@given(st.dictionaries(st.sampled_from("abc"), arrays.arrays(np.float32, arrays.array_shapes(max_dims=3)), max_size=3))
@settings(max_examples=30)
def test_a_part_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, given: dict[str, np.ndarray[Any, Any]]
) -> None:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    parts = {name: np.asarray(value) for name, value in given.items()}
    kept.put("x.part", parts)
    found = kept.get("x.part", sum(value.nbytes for value in parts.values()))
    assert found is not None
    assert {name: value.tobytes() for name, value in found.items()} == {n: v.tobytes() for n, v in parts.items()}


def test_any_changed_byte_or_lost_tail_counts_as_absent(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.put("x.part", ARRAYS)
    whole = (tmp_path / "x.part").read_bytes()
    for place in range(0, len(whole), 7):
        (tmp_path / "x.part").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.get("x.part", 1000) is None
        (tmp_path / "x.part").write_bytes(whole[:place])
        assert kept.get("x.part", 1000) is None
    assert kept.has("x.part")
    assert not kept.has("y.part")
    assert kept.get("y.part", 1000) is None


def test_more_than_the_limit_and_links_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    kept = Kept(tmp_path / "in")
    kept.put("x.part", {"a": np.zeros(100_000, np.int8)})
    assert kept.get("x.part", 10) is None
    (tmp_path / "in" / "x.part").rename(tmp_path / "x.part")
    (tmp_path / "in" / "x.part").symlink_to(tmp_path / "x.part")
    assert kept.get("x.part", 200_000) is None
    with pytest.raises(InputError):
        kept.put("../y.part", ARRAYS)
