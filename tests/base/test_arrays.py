"""Arrays of a stranger: a header that claims more than there is allocates nothing."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest

from tessera.base import InputError, parse_npy, parse_npz


def _npy(array: Any, **claimed: Any) -> bytes:
    file = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, {**about, **claimed})
    data: bytes = array.tobytes()
    return file.getvalue() + data


def _npz(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.zeros((0, 5)), np.int8(3)]
)
def test_what_numpy_writes_is_read(array: Any) -> None:
    one, several = io.BytesIO(), io.BytesIO()
    np.save(one, array)
    np.savez(several, a=array, b=array)
    assert np.array_equal(parse_npy(one.getvalue(), "x"), array)
    found = parse_npz(several.getvalue(), "x")
    assert list(found) == ["a", "b"]
    assert np.array_equal(found["b"], array)
    assert found["b"].dtype == np.asarray(array).dtype


@pytest.mark.parametrize(
    "claimed",
    [
        {"shape": (10**12,)},
        {"shape": (2**40, 2**40)},
        {"shape": (-1, 8)},
        {"shape": (2,)},
        {"shape": (1,) * 70},
        {"descr": "|O"},
        {"descr": "|V0"},
        {"descr": "<U0"},
        {"descr": "<U999999999"},
        {"descr": [("a", "|O")]},
        {"shape": "x"},
    ],
    ids=str,
)
def test_a_header_that_claims_something_else_is_one_line(claimed: dict[str, Any]) -> None:
    data = _npy(np.arange(8), **claimed)
    for read in (lambda: parse_npy(data, "x"), lambda: parse_npz(_npz({"a.npy": data}), "x")):
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match=r"^x") as told:
                read()
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
        assert "\n" not in str(told.value)


def test_truncations_and_nonsense_are_one_line() -> None:
    whole = _npy(np.arange(8))
    packed = _npz({"a.npy": whole})
    for length in range(len(whole)):
        with pytest.raises(InputError):
            parse_npy(whole[:length], "x")
    for length in range(0, len(packed), 7):
        with pytest.raises(InputError):
            parse_npz(packed[:length], "x")
    deep = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + b"(" * 3000 + b")" * 3000 + b"}"
    with pytest.raises(InputError):
        parse_npy(b"\x93NUMPY\x01\x00" + len(deep).to_bytes(2, "little") + deep, "x")


def test_members_that_unpack_or_overlap_are_refused() -> None:
    zeros = _npy(np.zeros(20_000_000, dtype=np.int8))
    with pytest.raises(InputError, match="compressed"):
        parse_npz(_npz({"a.npy": zeros}, zipfile.ZIP_DEFLATED), "x")
    data = bytearray(_npz({"a.npy": _npy(np.arange(8))}))
    data[data.rindex(b"a.npy") - 46 + 24 : data.rindex(b"a.npy") - 46 + 28] = b"\xff\xff\xff\x7f"
    with pytest.raises(InputError, match="claims more bytes"):
        parse_npz(bytes(data), "x")
    flipped = bytearray(_npz({"a.npy": _npy(np.arange(8))}))
    flipped[130] ^= 1
    with pytest.raises(InputError, match=r"no whole \.npz"):
        parse_npz(bytes(flipped), "x")
